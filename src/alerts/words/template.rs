//! One text with placeholders from a closed list: read once, filled without ever failing.

use std::fmt::Write;

/// What can be filled in, and so everything that a message can say besides its fixed words. Nothing
/// here is about the child; who fills it sees to it that no value is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    pub reference: String,
    pub area: String,
    pub agency: String,
    pub kind: String,
    pub call_back: String,
    pub link: String,
    pub code: String,
    pub at: String,
    pub until: String,
    pub step: String,
}

/// The value of a placeholder.
type Field = fn(&Filled) -> &str;

const FIELDS: [(&str, Field); 10] = [
    ("reference", |f| &f.reference),
    ("area", |f| &f.area),
    ("agency", |f| &f.agency),
    ("kind", |f| &f.kind),
    ("call_back", |f| &f.call_back),
    ("link", |f| &f.link),
    ("code", |f| &f.code),
    ("at", |f| &f.at),
    ("until", |f| &f.until),
    ("step", |f| &f.step),
];

/// A line with one of these that is empty is left out: not every message has an answer or an end.
const OPTIONAL: [&str; 4] = ["link", "code", "until", "step"];

/// Parts of names that somebody who wants to tell more than a message may tell would write.
const PERSONAL: [&str; 38] = [
    "child",
    "baby",
    "infant",
    "name",
    "names",
    "forename",
    "surname",
    "initials",
    "nhs",
    "dob",
    "birth",
    "born",
    "age",
    "sex",
    "gender",
    "ethnicity",
    "religion",
    "address",
    "postcode",
    "home",
    "school",
    "gp",
    "ward",
    "hospital",
    "place",
    "location",
    "circumstances",
    "cause",
    "diagnosis",
    "death",
    "mother",
    "father",
    "parent",
    "parents",
    "carer",
    "family",
    "sibling",
    "siblings",
];

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Field(&'static str, Field),
}

/// A text ready to be filled.
#[derive(Clone, Debug)]
pub struct Template {
    lines: Vec<Vec<Piece>>,
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// Every placeholder that is not on the list, and braces that do not match.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let lines = text.trim_end().lines().map(|l| line(l, &mut wrong)).collect();
        if wrong.is_empty() { Ok(Self { lines }) } else { Err(wrong) }
    }

    /// Whether the text says this placeholder.
    #[must_use]
    pub fn says(&self, field: &str) -> bool {
        self.lines.iter().any(|l| holds(l, |name| name == field))
    }

    /// The text with `values`, each passed through `clean`; values are never read for placeholders.
    #[must_use]
    pub fn fill(&self, values: &Filled, line_end: &str, clean: fn(&str) -> String) -> String {
        let empty = |field: Field| field(values).trim().is_empty();
        // A line with the reference stays whatever else is on it: it is the message.
        let idle = |l: &[Piece]| {
            let gap = l.iter().any(
                |p| matches!(p, Piece::Field(name, get) if OPTIONAL.contains(name) && empty(*get)),
            );
            gap && !holds(l, |name| name == "reference")
        };
        let said: Vec<_> = self.lines.iter().filter(|l| !idle(l)).collect();
        // Half a text is better than none.
        let said = if said.is_empty() { self.lines.iter().collect() } else { said };
        let mut out = String::new();
        for (n, line) in said.into_iter().enumerate() {
            if n > 0 {
                out.push_str(line_end);
            }
            for piece in line {
                match piece {
                    Piece::Text(text) => out.push_str(text),
                    Piece::Field(_, get) => out.push_str(&clean(get(values))),
                }
            }
        }
        out
    }
}

fn holds(line: &[Piece], wanted: impl Fn(&str) -> bool) -> bool {
    line.iter().any(|p| matches!(p, Piece::Field(name, _) if wanted(name)))
}

fn line(text: &str, wrong: &mut Vec<String>) -> Vec<Piece> {
    let (mut pieces, mut plain) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let found = &rest[at..];
        if found.starts_with("{{") || found.starts_with("}}") {
            plain.push_str(&found[..1]);
            rest = &found[2..];
            continue;
        }
        let inside = found.strip_prefix('{').and_then(|f| f.split_once('}'));
        let Some((name, after)) = inside.filter(|(name, _)| !name.contains('{')) else {
            wrong.push("a brace stands alone (write {{ or }} for a brace)".to_owned());
            return pieces;
        };
        match FIELDS.iter().find(|(known, _)| *known == name) {
            Some((known, get)) => {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(Piece::Field(known, *get));
            }
            None => wrong.push(refusal(name)),
        }
        rest = after;
    }
    plain.push_str(rest);
    pieces.push(Piece::Text(plain));
    pieces
}

fn refusal(name: &str) -> String {
    let parts = name.to_lowercase();
    let personal = parts.split(|c: char| !c.is_alphanumeric()).any(|p| PERSONAL.contains(&p));
    let mut said = if personal {
        format!("{{{name}}} is refused: messages may hold nothing about the child or family")
    } else {
        format!("{{{name}}} is not a placeholder")
    };
    said.push_str("; there are");
    for (known, _) in FIELDS {
        let _ = write!(said, " {{{known}}}");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Filled {
        Filled { reference: "R".into(), area: "{code}".into(), ..Filled::default() }
    }

    fn fill(text: &str) -> String {
        Template::parse(text).unwrap().fill(&filled(), "|", str::to_owned)
    }

    #[test]
    fn braces_are_escaped_and_values_are_not_read_again() {
        assert_eq!(fill("{{{reference}}} {{area}} {area}"), "{R} {area} {code}");
    }

    #[test]
    fn a_line_with_nothing_to_say_is_left_out_but_never_the_reference() {
        assert_eq!(fill("{reference} {step}\n{step}\n\nReply {code}\nx"), "R ||x");
        assert_eq!(fill("Reply {code}."), "Reply .");
    }

    #[test]
    fn everything_wrong_with_a_text_is_said() {
        let wrong = Template::parse("{Reference} {mothers_name} {}\n{a{b} } {").unwrap_err();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(wrong[0].starts_with("{Reference} is not a placeholder; there are {reference}"));
        assert!(wrong[1].contains("nothing about the child or family"));
        assert!(wrong[3].contains("stands alone"));
    }

    #[test]
    fn personal_data_is_named_as_such_however_it_is_written() {
        for name in [
            "child",
            "name",
            "names",
            "surname",
            "nhs",
            "nhs_number",
            "NHS-Number",
            "dob",
            "date_of_birth",
            "address",
            "postcode",
            "ward",
            "place",
            "circumstances",
            "mother",
            "father",
            "parent",
            "family",
            "sibling",
            "Child.Name",
            "cause of death",
        ] {
            let wrong = Template::parse(&format!("{{{name}}}")).unwrap_err();
            assert!(wrong[0].contains("nothing about the child or family"), "{name}: {wrong:?}");
        }
    }
}
