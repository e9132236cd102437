//! A notification that somebody is writing: what was typed, page by page, and what follows from it.
//!
//! What was typed is kept as it was typed, so that a page can be shown again as it was left. Only
//! [`body`] turns it into the notification body that every other way in uses too: whoever judges
//! it, judges the same facts.

mod body;
mod code;
mod pages;
mod skip;

pub use body::{body, salvaged, tidy};
pub use code::{CODE_LETTERS, read_code, spoken_code};
pub use pages::{Page, Section, order};
pub use skip::{Skipped, skipped};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Fields by name, as typed.
pub type Fields = BTreeMap<String, String>;

/// What is sealed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    pub fields: Fields,
    /// When each page was saved last, and which version of the draft that made.
    pub saved: BTreeMap<String, Mark>,
    /// Who had it before, and to whom it was given.
    pub handed_on: Vec<HandedOn>,
    /// How often its code was sent by mail.
    pub mailed: u32,
    /// The last save took the place of what another tab or person had saved meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// Further details that were sent after the notification, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub further_at: Option<DateTime<Utc>>,
}

/// A save of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub version: i64,
    pub at: DateTime<Utc>,
}

/// One handing over.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOn {
    pub from: String,
    pub to: String,
    pub at: DateTime<Utc>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Draft(…)")
    }
}

impl Draft {
    /// Takes over what one page says. `from` is the version that the page was shown at: a page
    /// that was saved since is replaced all the same (the last to write wins), and it is noted.
    /// Returns whether anything changed.
    pub fn take(
        &mut self,
        page: &str,
        names: &[&str],
        typed: &Fields,
        from: i64,
        next: Mark,
    ) -> bool {
        let held = |n: &str| self.fields.get(n).map_or("", String::as_str);
        let given = |n: &str| typed.get(n).map_or("", |v| v.trim());
        let same = names.iter().all(|n| held(n) == given(n));
        if same && self.saved.contains_key(page) {
            // The same page again: a second press, or an answer that was lost on its way.
            self.replaced = None;
            return false;
        }
        let newer = self.saved.get(page).is_some_and(|m| m.version > from);
        self.replaced = newer.then(|| page.to_owned());
        for n in names {
            let v = given(n);
            if v.is_empty() {
                self.fields.remove(*n);
            } else {
                self.fields.insert((*n).to_owned(), v.to_owned());
            }
        }
        self.saved.insert(page.to_owned(), next);
        true
    }

    /// One field, as typed.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}
