//! Posted forms: what was typed stays, and dotted names become the JSON body that the API takes.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Fields read of one form; no page of ours has as many.
const FIELDS: usize = 2000;

/// The fields of a posted form.
#[derive(Clone, Debug, Default)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let read = form_urlencoded::parse(body).take(FIELDS);
        // NUL is in no text, and PostgreSQL takes none that holds it.
        let text = |t: std::borrow::Cow<'_, str>| t.replace('\0', "");
        Self(read.map(|(k, v)| (text(k), text(v))).collect())
    }

    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |v| v.trim())
    }

    /// Puts a field of the page's own beside what was typed.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// What was typed, to fill the form again.
    #[must_use]
    pub fn typed(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The fields as nested JSON: `child.family_name` becomes a member of `child`. Names that start
    /// with an underscore belong to the form itself.
    #[must_use]
    pub fn nested(&self) -> Value {
        let mut root = Map::new();
        for (name, value) in
            self.0.iter().filter(|(n, v)| !n.starts_with('_') && !v.trim().is_empty())
        {
            let mut at = &mut root;
            let mut parts = name.split('.').peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    at.insert(part.to_owned(), Value::String(value.clone()));
                    break;
                }
                let next = at.entry(part.to_owned()).or_insert_with(|| Value::Object(Map::new()));
                match next {
                    Value::Object(m) => at = m,
                    _ => break,
                }
            }
        }
        Value::Object(root)
    }
}

#[cfg(test)]
mod tests {
    use super::Form;
    use serde_json::json;

    #[test]
    fn nul_is_in_no_text() {
        let f = Form::parse(b"a%00b=c%00d&e=%00");
        assert_eq!((f.get("ab"), f.get("e")), ("cd", ""));
    }

    #[test]
    fn dotted_names_nest() {
        let f = Form::parse(
            b"child.family_name=A+B&child.address.postcode=ZZ1&_key=x&event=death&child=no&empty=+",
        );
        assert_eq!(f.get("event"), "death");
        let nested = f.nested();
        assert_eq!(nested["event"], json!("death"));
        assert!(nested.get("_key").is_none() && nested.get("empty").is_none());
    }
}
