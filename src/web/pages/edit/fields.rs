//! The fields of a case in the groups in which people read and change them: what each is called,
//! how it is asked for, and how its value reads.

use crate::domain::facts::{
    Answer, Detention, EventKind, Facts, NoNhsNumber, PlaceType, Sex, Termination, YesNo,
};
use crate::domain::reading::{Reading, reading};
use crate::web::render::sentence;
use chrono::NaiveDate;
use serde_json::{Value, json};

/// How a field is asked for.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Long,
    Number,
    Date,
    Time,
    Tel,
    Email,
    /// One of these words, or not known.
    Choice(&'static [&'static str]),
    /// Lines, each a text of its own.
    Texts,
    /// People, each with these boxes.
    Rows(&'static [(&'static str, &'static str)]),
}

pub(super) struct Field {
    pub path: &'static str,
    pub label: &'static str,
    pub kind: Kind,
    /// On the case page also while nothing is known of it.
    pub core: bool,
}

pub(super) struct Group {
    pub word: &'static str,
    pub title: &'static str,
    pub fields: &'static [Field],
}

const fn field(path: &'static str, label: &'static str, kind: Kind) -> Field {
    Field { path, label, kind, core: true }
}

/// Shown only once something is known.
const fn rare(path: &'static str, label: &'static str, kind: Kind) -> Field {
    Field { path, label, kind, core: false }
}

const YES_NO: &[&str] = YesNo::WORDS;

pub(super) const GROUPS: [Group; 7] = [
    Group {
        word: "child",
        title: "The child",
        fields: &[
            field("child.given_names", "First names", Kind::Text),
            field("child.family_name", "Family name", Kind::Text),
            rare("child.also_known_as", "Also known as", Kind::Texts),
            field("child.nhs_number", "NHS number", Kind::Text),
            rare(
                "child.no_nhs_number_reason",
                "Why there is no NHS number",
                Kind::Choice(NoNhsNumber::WORDS),
            ),
            field("child.date_of_birth", "Date of birth", Kind::Date),
            rare("child.age_description", "Age, as described", Kind::Text),
            field("child.sex", "Sex", Kind::Choice(Sex::WORDS)),
            field(
                "child.ethnicity",
                "Ethnic group",
                Kind::Choice(crate::domain::intake::ETHNICITIES),
            ),
            rare("child.gestation_weeks", "Weeks of pregnancy at birth", Kind::Number),
            rare("child.live_born", "Born alive", Kind::Choice(YES_NO)),
            rare("child.termination", "Termination of pregnancy", Kind::Choice(Termination::WORDS)),
            field("child.address.lines", "Home address", Kind::Texts),
            field("child.address.postcode", "Home postcode", Kind::Text),
        ],
    },
    Group {
        word: "death",
        title: "What happened",
        fields: &[
            field("event", "What happened", Kind::Choice(EventKind::WORDS)),
            field("death.date", "Date of death or collapse", Kind::Date),
            field("death.time", "Time", Kind::Time),
            rare("death.pronounced_at", "When and where death was pronounced", Kind::Text),
            field("death.circumstances", "Circumstances", Kind::Long),
            field("death.expected", "Expected the day before", Kind::Choice(YES_NO)),
            rare("death.detention", "Custody or detention", Kind::Choice(Detention::WORDS)),
            rare(
                "death.healthcare_professional_at_birth",
                "A healthcare professional was there at birth",
                Kind::Choice(YES_NO),
            ),
        ],
    },
    Group {
        word: "places",
        title: "Where",
        fields: &[
            field("death.place.type", "Place of death", Kind::Choice(PlaceType::WORDS)),
            field("death.place.name", "Name of the place", Kind::Text),
            rare("death.place.postcode", "Its postcode", Kind::Text),
            rare("death.event_place.type", "Where it began", Kind::Choice(PlaceType::WORDS)),
            rare("death.event_place.name", "Name of that place", Kind::Text),
            rare("death.event_place.postcode", "Postcode of that place", Kind::Text),
        ],
    },
    Group {
        word: "jar",
        title: "The five questions",
        fields: &[
            field("jar_answers.external_cause", "External cause", Kind::Choice(Answer::WORDS)),
            field(
                "jar_answers.sudden_no_apparent_cause",
                "Sudden, with no cause apparent",
                Kind::Choice(YES_NO),
            ),
            field(
                "jar_answers.custody_or_detention",
                "In custody or detained",
                Kind::Choice(YES_NO),
            ),
            field(
                "jar_answers.suspicion_not_natural",
                "Suspicion that it was not natural",
                Kind::Choice(Answer::WORDS),
            ),
            field(
                "jar_answers.unattended_stillbirth",
                "Stillbirth with nobody medical there",
                Kind::Choice(YES_NO),
            ),
        ],
    },
    Group {
        word: "household",
        title: "Family and household",
        fields: &[field(
            "household",
            "Family and household",
            Kind::Rows(&[
                ("relationship", "Relationship to the child"),
                ("name", "Name"),
                ("age_or_date_of_birth", "Age or date of birth"),
            ]),
        )],
    },
    Group {
        word: "professionals",
        title: "Professionals",
        fields: &[field(
            "professionals",
            "Professionals",
            Kind::Rows(&[
                ("agency", "Service"),
                ("name", "Name"),
                ("role", "Role"),
                ("telephone", "Telephone"),
                ("email", "E-mail"),
            ]),
        )],
    },
    Group {
        word: "notifier",
        title: "Who notified",
        fields: &[
            field("notifier.name", "Notifier's name", Kind::Text),
            field("notifier.role", "Their role", Kind::Text),
            field("notifier.organisation", "Where they work", Kind::Text),
            field("notifier.telephone", "Their telephone", Kind::Tel),
            field("notifier.email", "Their e-mail", Kind::Email),
            rare("informed_already", "Told already by the notifier", Kind::Texts),
        ],
    },
];

pub(super) fn group(word: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|g| g.word == word)
}

fn of(path: &str) -> Option<(&'static Group, &'static Field)> {
    GROUPS.iter().find_map(|g| Some((g, g.fields.iter().find(|f| f.path == path)?)))
}

/// The group in which a field is changed.
pub(super) fn group_of(path: &str) -> Option<&'static str> {
    of(path).map(|(g, _)| g.word)
}

/// A field by its name, for an address.
pub(super) fn known(path: &str) -> Option<&'static Field> {
    of(path).map(|(_, f)| f)
}

/// What a field is called; `household[1].name` by its list.
pub(super) fn label(path: &str) -> &str {
    let whole = path.split('[').next().unwrap_or(path);
    of(whole).map_or(path, |(_, f)| f.label)
}

/// NHS ethnic category codes in words.
fn ethnicity(code: &str) -> &str {
    match code {
        "A" => "White: British",
        "B" => "White: Irish",
        "C" => "White: any other",
        "D" => "Mixed: White and Black Caribbean",
        "E" => "Mixed: White and Black African",
        "F" => "Mixed: White and Asian",
        "G" => "Mixed: any other",
        "H" => "Asian: Indian",
        "J" => "Asian: Pakistani",
        "K" => "Asian: Bangladeshi",
        "L" => "Asian: any other",
        "M" => "Black: Caribbean",
        "N" => "Black: African",
        "P" => "Black: any other",
        "R" => "Chinese",
        "S" => "Any other",
        "Z" => "Not stated",
        "99" => "Cannot be known",
        other => other,
    }
}

/// One word of a list, for people.
pub(super) fn word(path: &str, word: &str) -> String {
    match (path, word) {
        ("child.ethnicity", code) => ethnicity(code).to_owned(),
        ("event", "death") => "A child has died".to_owned(),
        ("event", "collapse") => "A child has collapsed and is not expected to live".to_owned(),
        ("event", "stillbirth") => "A stillbirth".to_owned(),
        (_, "not_known") => "Cannot be known".to_owned(),
        (_, "possible") => "Possibly".to_owned(),
        (_, w) => sentence(&w.replace('_', " ")),
    }
}

/// A value as people read it.
pub(super) fn text(path: &str, value: &Value) -> String {
    let kind = of(path).map(|(_, f)| f.kind);
    match (kind, value) {
        (Some(Kind::Choice(_)), Value::String(w)) => word(path, w),
        (Some(Kind::Date), Value::String(d)) => NaiveDate::parse_from_str(d, "%Y-%m-%d")
            .map_or_else(|_| d.clone(), |d| d.format("%-d %B %Y").to_string()),
        (Some(Kind::Time), Value::String(t)) => t.chars().take(5).collect(),
        (_, Value::String(s)) => s.clone(),
        (_, Value::Array(items)) => {
            let one = |v: &Value| match v {
                Value::Object(row) => {
                    let parts = row.values().filter_map(Value::as_str);
                    parts.collect::<Vec<_>>().join(", ")
                }
                v => text("", v),
            };
            items.iter().map(one).collect::<Vec<_>>().join("\n")
        }
        (_, v) => v.to_string(),
    }
}

/// How a field stands, in words.
pub(super) fn said(path: &str, r: &Reading) -> String {
    let nothing = if r.not_known { "Not known" } else { "Nothing" };
    let mut out = r.value.as_ref().map_or_else(|| nothing.to_owned(), |v| text(path, v));
    for o in &r.others {
        out.push_str("\nAlso said: ");
        out.push_str(&text(path, o));
    }
    out
}

/// The groups as the case page shows them.
pub(in crate::web::pages) fn shown(facts: &Facts) -> Value {
    let row = |f: &Field| {
        let r = reading(facts, f.path);
        let known = r.value.is_some();
        (f.core || known || !r.others.is_empty()).then(|| {
            json!({
                "path": f.path,
                "label": f.label,
                "known": known,
                "text": r.value.as_ref().map(|v| text(f.path, v)),
                "others": r.others.iter().map(|o| text(f.path, o)).collect::<Vec<_>>(),
            })
        })
    };
    let group = |g: &Group| {
        let rows: Vec<Value> = g.fields.iter().filter_map(row).collect();
        (g.word.to_owned(), json!({ "word": g.word, "title": g.title, "rows": rows }))
    };
    Value::Object(GROUPS.iter().map(group).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reading::FIELDS;

    #[test]
    fn every_field_of_the_facts_can_be_read_and_changed_somewhere() {
        for f in FIELDS {
            assert!(of(f).is_some(), "{f} is in no group");
        }
        let shown: usize = GROUPS.iter().map(|g| g.fields.len()).sum();
        assert_eq!(shown, FIELDS.len(), "a field in two groups, or one that there is not");
    }

    #[test]
    fn values_read_as_people_say_them() {
        assert_eq!(text("child.date_of_birth", &json!("2024-03-01")), "1 March 2024");
        assert_eq!(text("death.time", &json!("03:15:00")), "03:15");
        assert_eq!(text("child.ethnicity", &json!("A")), "White: British");
        let row = json!([{ "relationship": "mother", "name": "M" }, { "name": "B" }]);
        assert_eq!(text("household", &row), "mother, M\nB");
        assert_eq!(label("household[1].name"), "Family and household");
    }
}
