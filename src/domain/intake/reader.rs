//! A walk over a JSON body that remembers what it did not like and where.

use crate::domain::civil_time;
use chrono::{NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Why a field makes the body unusable. The message never repeats the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub field: String,
    pub code: &'static str,
    pub message: String,
}

/// Something accepted that a person should look at. The message never repeats the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    pub field: String,
    pub code: String,
    pub message: String,
}

/// What a walk has found so far.
#[derive(Default)]
pub struct Notes {
    pub problems: Vec<Problem>,
    pub warnings: Vec<Warning>,
    pub not_known: BTreeSet<String>,
    pub unrecognised: Map<String, Value>,
}

impl Notes {
    pub fn problem(&mut self, field: &str, code: &'static str, message: impl Into<String>) {
        self.problems.push(Problem { field: field.to_owned(), code, message: message.into() });
    }

    pub fn warn(&mut self, field: &str, code: &str, message: impl Into<String>) {
        self.warnings.push(Warning {
            field: field.to_owned(),
            code: code.to_owned(),
            message: message.into(),
        });
    }
}

/// One JSON object being read; what is left over at the end was not recognised.
pub struct Object<'n> {
    path: String,
    rest: Map<String, Value>,
    notes: &'n mut Notes,
}

impl<'n> Object<'n> {
    /// Reads `value` as the object at `path`; null counts as empty.
    pub fn new(path: &str, value: Option<Value>, notes: &'n mut Notes) -> Self {
        let rest = match value {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(m)) => m,
            Some(_) => {
                let name = if path.is_empty() { "body" } else { path };
                notes.problem(name, "wrong_type", "must be an object");
                Map::new()
            }
        };
        Self { path: path.to_owned(), rest, notes }
    }

    #[must_use]
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.rest.remove(key).filter(|v| !v.is_null())
    }

    pub fn object(&mut self, key: &str) -> Object<'_> {
        let (path, value) = (self.path(key), self.take(key));
        Object::new(&path, value, self.notes)
    }

    /// Free text, trimmed; empty counts as absent. Control characters but line breaks are removed,
    /// and that is said.
    pub fn text(&mut self, key: &str) -> Option<String> {
        let value = self.take(key)?;
        let path = self.path(key);
        clean(&path, value, self.notes)
    }

    /// A text whose "unknown" means not known.
    fn answer(&mut self, key: &str) -> Option<String> {
        let word = self.text(key)?;
        if word.eq_ignore_ascii_case("unknown") {
            self.notes.not_known.insert(self.path(key));
            return None;
        }
        Some(word)
    }

    /// One word of a list; "unknown" and absent are none.
    pub fn choice<T>(
        &mut self,
        key: &str,
        words: &[&str],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let word = self.answer(key)?;
        let parsed = parse(&word);
        if parsed.is_none() {
            let path = self.path(key);
            self.notes.problem(
                &path,
                "not_in_list",
                format!("must be one of: {}, unknown", words.join(", ")),
            );
        }
        parsed
    }

    /// An ISO date.
    pub fn date(&mut self, key: &str) -> Option<NaiveDate> {
        let word = self.answer(key)?;
        let date = civil_time::parse_day(&word);
        if date.is_none() {
            let path = self.path(key);
            self.notes.problem(&path, "not_a_date", "must be a real date, like 2026-11-20");
        }
        date
    }

    /// A wall-clock time.
    pub fn time(&mut self, key: &str) -> Option<NaiveTime> {
        let word = self.answer(key)?;
        let time = civil_time::parse_time(&word);
        if time.is_none() {
            let path = self.path(key);
            self.notes.problem(&path, "not_a_time", "must be a time of day, like 03:15");
        }
        time
    }

    pub fn integer(&mut self, key: &str) -> Option<i64> {
        let value = self.take(key)?;
        if let Value::String(s) = &value
            && (s.trim().is_empty() || s.trim().eq_ignore_ascii_case("unknown"))
        {
            if !s.trim().is_empty() {
                self.notes.not_known.insert(self.path(key));
            }
            return None;
        }
        // 39.0 is a whole number too.
        #[allow(clippy::cast_possible_truncation)] // only what is whole and small enough
        let from_float = |f: f64| (f.fract() == 0.0 && f.abs() < 1e15).then_some(f as i64);
        let whole = value.as_i64().or_else(|| value.as_f64().and_then(from_float));
        if whole.is_none() {
            let path = self.path(key);
            self.notes.problem(&path, "wrong_type", "must be a whole number");
        }
        whole
    }

    /// A list whose entries are read one by one.
    pub fn list<T>(
        &mut self,
        key: &str,
        mut each: impl FnMut(&str, Value, &mut Notes) -> Option<T>,
    ) -> Vec<T> {
        let path = self.path(key);
        match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .filter(|(_, v)| !v.is_null())
                .filter_map(|(i, v)| each(&format!("{path}[{i}]"), v, self.notes))
                .collect(),
            Some(Value::String(s)) if matches!(s.trim(), "" | "unknown") => Vec::new(),
            Some(_) => {
                self.notes.problem(&path, "wrong_type", "must be a list");
                Vec::new()
            }
        }
    }

    pub fn texts(&mut self, key: &str) -> Vec<String> {
        self.list(key, clean)
    }

    /// What nobody asked for is kept and warned about. At most 50 warnings: the rest is one.
    pub fn finish(self) {
        const MOST: usize = 50;
        for (key, value) in self.rest {
            let path =
                if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            let seen = self.notes.unrecognised.len();
            if seen < MOST {
                // The name of an unknown field is the sender's text; it is repeated only if it
                // looks like a field name, so that nothing personal comes back in a warning: ours
                // are lower case, names of people are not.
                let plain = |c: char| {
                    c.is_ascii_lowercase()
                        || c.is_ascii_digit()
                        || matches!(c, '_' | '-' | '.' | '[' | ']')
                };
                let shown = path.len() <= 80
                    && path.chars().all(plain)
                    && path.chars().filter(char::is_ascii_digit).count() <= 4;
                let name = if shown { path.as_str() } else { "(another field)" };
                self.notes.warn(
                    name,
                    "unknown_field",
                    "is not a field of the notification; it was kept with the case",
                );
            } else if seen == MOST {
                self.notes.warn(
                    "(more fields)",
                    "unknown_field",
                    "more fields than shown here were not recognised; all were kept",
                );
            }
            self.notes.unrecognised.insert(path, value);
        }
    }
}

/// Text without control characters, or none if it is empty.
pub fn clean(path: &str, value: Value, notes: &mut Notes) -> Option<String> {
    let Value::String(text) = value else {
        notes.problem(path, "wrong_type", "must be text");
        return None;
    };
    if text.contains('\u{FFFD}') {
        notes.warn(
            path,
            "unreadable_character",
            "has a character that could not be read; please check the text",
        );
    }
    let unwanted = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let text = if text.contains(unwanted) {
        notes.warn(path, "control_characters", "had control characters; they were removed");
        text.replace(unwanted, "")
    } else {
        text
    };
    let trimmed = text.trim();
    if trimmed.is_empty() {
        None
    } else if trimmed.len() == text.len() {
        Some(text)
    } else {
        Some(trimmed.to_owned())
    }
}
