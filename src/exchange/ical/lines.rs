//! Content lines: `NAME;PARAMETER=value:value`, folded over several.

/// One property, unfolded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    /// Where it begins in the file, from 1.
    pub line: u32,
    /// In capitals.
    pub name: String,
    parameters: Vec<(String, String)>,
    /// As in the file; see [`Property::text`].
    pub value: String,
}

impl Property {
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The value with its escapes undone.
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(self.value.len());
        let mut chars = self.value.chars();
        while let Some(c) = chars.next() {
            match (c, c == '\\') {
                (_, true) => match chars.next() {
                    Some('n' | 'N') => out.push('\n'),
                    Some(other) => out.push(other),
                    None => {}
                },
                (c, false) => out.push(c),
            }
        }
        out
    }
}

/// All properties of a file; lines that are none are passed over.
pub(super) fn properties(text: &str) -> Vec<Property> {
    let mut unfolded: Vec<(u32, String)> = Vec::new();
    for (n, line) in (1..).zip(text.lines()) {
        match (line.strip_prefix([' ', '\t']), unfolded.last_mut()) {
            (Some(more), Some((_, begun))) => begun.push_str(more),
            _ => unfolded.push((n, line.to_owned())),
        }
    }
    unfolded.into_iter().filter_map(|(n, line)| property(n, &line)).collect()
}

fn property(line: u32, text: &str) -> Option<Property> {
    let mut parts = split(text, ':');
    let head = parts.next()?;
    let value = text.get(head.len() + 1..)?.to_owned();
    let mut words = split(head, ';');
    let name = words.next()?.trim().to_ascii_uppercase();
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return None;
    }
    let parameters = words
        .filter_map(|w| w.split_once('='))
        .map(|(n, v)| (n.trim().to_ascii_uppercase(), v.trim_matches('"').to_owned()))
        .collect();
    Some(Property { line, name, parameters, value })
}

/// The pieces of a line between separators that are not in quotation marks.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::properties;

    #[test]
    fn folded_quoted_and_escaped() {
        let all = properties(
            "BEGIN:VEVENT\r\nATTENDEE;CN=\"Exampleby; Ada: Dr\";X=1:mail\r\n to:a@b.example\r\nrubbish\r\nsummary:One\\, two\\nthree\\\\\r\n",
        );
        assert_eq!(all.len(), 3);
        assert_eq!(all[1].parameter("CN"), Some("Exampleby; Ada: Dr"));
        assert_eq!((all[1].line, all[1].value.as_str()), (2, "mailto:a@b.example"));
        assert_eq!((all[2].line, all[2].name.as_str()), (5, "SUMMARY"));
        assert_eq!(all[2].text(), "One, two\nthree\\");
    }
}
