//! Finding the person a file means.

use super::shown;
use std::collections::{BTreeMap, BTreeSet};

/// Somebody a file may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: String,
    pub name: String,
    /// Empty if there is none.
    pub email: String,
}

/// The people known, by everything they are called.
pub(super) struct People<'a> {
    by_name: BTreeMap<String, BTreeSet<&'a str>>,
    by_any: BTreeMap<String, BTreeSet<&'a str>>,
}

/// The most words of a line in which a name is looked for.
const MAX_WORDS: usize = 40;
/// The most words in one name.
const MAX_NAME_WORDS: usize = 6;

impl<'a> People<'a> {
    pub fn new(people: &'a [Person]) -> Self {
        let mut found = Self { by_name: BTreeMap::new(), by_any: BTreeMap::new() };
        for p in people {
            for called in [&p.name, &p.email, &p.id] {
                found.by_any.entry(key(called)).or_default().insert(&p.id);
            }
            found.by_name.entry(key(&p.name)).or_default().insert(&p.id);
        }
        // An empty name or address is nobody's.
        found.by_name.remove("");
        found.by_any.remove("");
        found
    }

    /// The id of the one person of this name, e-mail address or id; also as `Surname, Given`.
    ///
    /// # Errors
    /// A sentence: nobody, or several.
    pub fn find(&self, text: &str) -> Result<&'a str, String> {
        let turned = text.split_once(',').map(|(last, first)| format!("{first} {last}"));
        let keys = [Some(key(text)), turned.map(|t| key(&t))];
        let ids = keys.iter().flatten().find_map(|k| self.by_any.get(k));
        match ids.map(|ids| (ids.len(), ids.first())) {
            Some((1, Some(id))) => Ok(id),
            Some(_) => {
                Err(format!("Several people are called “{}”: use the e-mail address.", shown(text)))
            }
            None => Err(format!("Nobody called “{}” is in the directory.", shown(text))),
        }
    }

    /// The ids of everybody whose name stands somewhere in a text, like “On call: Ada Exampleby”.
    pub fn named_in(&self, text: &str) -> BTreeSet<&'a str> {
        let spaced: String = text
            .chars()
            .map(|c| if c.is_alphanumeric() || "'’-.".contains(c) { c } else { ' ' })
            .collect();
        let lower = spaced.to_lowercase();
        let words: Vec<&str> = lower.split_whitespace().take(MAX_WORDS).collect();
        let mut ids = BTreeSet::new();
        for n in 1..=MAX_NAME_WORDS {
            for run in words.windows(n) {
                ids.extend(self.by_name.get(&run.join(" ")).into_iter().flatten());
            }
        }
        ids
    }
}

fn key(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}
