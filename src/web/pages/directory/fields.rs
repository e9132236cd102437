//! Forms as data: one template shows them all, so that each has its labels, hints, messages and
//! what was typed.

use serde::Serialize;

/// Something to be said about a field; `_form` is the form as a whole.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Said {
    pub field: String,
    pub message: String,
}

impl Said {
    pub fn new(field: &str, message: &str) -> Self {
        let mut c = message.chars();
        let message = c.next().map_or_else(String::new, |f| f.to_uppercase().chain(c).collect());
        Self { field: field.to_owned(), message }
    }
}

/// A page with one form.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct FormPage {
    pub title: String,
    /// Paragraphs above the form.
    pub lead: Vec<String>,
    pub groups: Vec<Group>,
    pub button: String,
    /// The button takes something away.
    pub danger: bool,
    /// Where "Back" leads.
    pub back: String,
    /// Further ways from here: address and words.
    pub links: Vec<(String, String)>,
}

/// Fields under one heading.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Group {
    pub title: String,
    pub hint: String,
    pub fields: Vec<Field>,
}

/// One field, or several tick boxes under one question.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Field {
    pub name: String,
    pub label: String,
    pub hint: String,
    /// `select`, `checks`, `textarea` or the type of an input.
    pub kind: &'static str,
    /// What can be chosen: value and words; of tick boxes the field names.
    pub options: Vec<(String, String)>,
    pub short: bool,
}

impl Field {
    pub fn input(kind: &'static str, name: &str, label: &str) -> Self {
        Self { kind, name: name.to_owned(), label: label.to_owned(), ..Self::default() }
    }

    pub fn text(name: &str, label: &str) -> Self {
        Self::input("text", name, label)
    }

    pub fn tel(name: &str, label: &str) -> Self {
        Self::input("tel", name, label).short()
    }

    pub fn select(name: &str, label: &str, options: Vec<(String, String)>) -> Self {
        Self { options, ..Self::input("select", name, label) }
    }

    pub fn checks(name: &str, label: &str, options: Vec<(String, String)>) -> Self {
        Self { options, ..Self::input("checks", name, label) }
    }

    pub fn hint(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.hint);
        self
    }

    pub fn short(mut self) -> Self {
        self.short = true;
        self
    }
}

impl Group {
    pub fn plain(fields: Vec<Field>) -> Self {
        Self { fields, ..Self::default() }
    }

    pub fn titled(title: &str, hint: &str, fields: Vec<Field>) -> Self {
        Self { title: title.to_owned(), hint: hint.to_owned(), fields }
    }
}

/// A list of words for a select.
pub(super) fn options<'a>(
    all: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<(String, String)> {
    all.into_iter().map(|(v, w)| (v.to_owned(), w.to_owned())).collect()
}

/// What a form is filled with at first.
pub(super) fn filled<'a>(
    all: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<(String, String)> {
    options(all)
}
