//! The question register: every question of the form with its id, wording, code list and rule.
//! Ids are never used again for something else.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What kind of answer a question takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Text,
    Integer,
    Date,
    Time,
    Datetime,
    NhsNumber,
    Code,
    Codes,
}

/// When an answer is needed (our proposed rule; the marks say how sure it is).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Required {
    /// To be submitted at all.
    M,
    /// Before the case is finalised.
    S,
    /// Optional.
    O,
    /// Depends on other answers.
    X,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Question {
    pub id: String,
    pub name: String,
    pub section: String,
    /// As the form puts it, or the predecessor's wording where the current one was not read.
    pub wording: String,
    pub kind: Kind,
    pub list: Option<String>,
    pub required: Required,
    /// C confirmed, CP confirmed for the predecessor, I inferred, U unconfirmed.
    pub mark: String,
}

/// All questions of one edition, in form order.
pub struct Register {
    pub questions: Vec<Question>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Code {
    pub code: String,
    pub label: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct CodeList {
    pub version: String,
    pub values: Vec<Code>,
}

pub type CodeLists = BTreeMap<String, CodeList>;

/// The notification form's register.
///
/// # Panics
/// Never in a build whose tests passed: the table is part of the program.
#[must_use]
pub fn register() -> &'static Register {
    static REGISTER: LazyLock<Register> = LazyLock::new(|| {
        let mut rows = csv::Reader::from_reader(include_bytes!("notification.csv").as_slice());
        Register { questions: rows.deserialize().filter_map(Result::ok).collect() }
    });
    &REGISTER
}

/// The code lists in use.
#[must_use]
pub fn code_lists() -> &'static CodeLists {
    static LISTS: LazyLock<CodeLists> =
        LazyLock::new(|| serde_json::from_str(include_str!("codelists.json")).unwrap_or_default());
    &LISTS
}

/// The label of a code, as printed beside it.
#[must_use]
pub fn label(list: &str, code: &str) -> Option<&'static str> {
    let values = &code_lists().get(list)?.values;
    values.iter().find(|v| v.code == code).map(|v| v.label.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        let lines = include_str!("notification.csv").lines().count();
        assert_eq!(register().questions.len(), lines - 1);
        for q in &register().questions {
            if let Some(list) = &q.list {
                assert!(code_lists().contains_key(list), "{}: {list}", q.id);
            }
            assert_eq!(q.list.is_some(), matches!(q.kind, Kind::Code | Kind::Codes), "{}", q.id);
        }
    }
}
