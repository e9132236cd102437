//! One field of the facts as it stands: its value, what others say of it, and whether somebody
//! answered that it is not known. What an edit compares, a history shows and an undo puts back.

use super::facts::{Amendment, Facts, flatten, unflatten};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Every field that facts can hold, in the order in which people read them. A list is one field.
pub const FIELDS: [&str; 41] = [
    "event",
    "child.given_names",
    "child.family_name",
    "child.also_known_as",
    "child.nhs_number",
    "child.no_nhs_number_reason",
    "child.date_of_birth",
    "child.age_description",
    "child.sex",
    "child.ethnicity",
    "child.gestation_weeks",
    "child.live_born",
    "child.termination",
    "child.address.lines",
    "child.address.postcode",
    "death.date",
    "death.time",
    "death.pronounced_at",
    "death.place.type",
    "death.place.name",
    "death.place.postcode",
    "death.event_place.type",
    "death.event_place.name",
    "death.event_place.postcode",
    "death.circumstances",
    "death.expected",
    "death.detention",
    "death.healthcare_professional_at_birth",
    "jar_answers.external_cause",
    "jar_answers.sudden_no_apparent_cause",
    "jar_answers.custody_or_detention",
    "jar_answers.suspicion_not_natural",
    "jar_answers.unattended_stillbirth",
    "notifier.name",
    "notifier.role",
    "notifier.organisation",
    "notifier.telephone",
    "notifier.email",
    "household",
    "professionals",
    "informed_already",
];

/// A field as it stands.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What others say instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Value>,
    /// Asked, and the answer was that it is not known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not_known: bool,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reading(…)")
    }
}

impl Reading {
    /// Whether two readings say the same; an answer of "not known" is no saying.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        self.value == other.value && self.others == other.others
    }
}

/// Fields by name.
pub type Readings = BTreeMap<String, Reading>;

/// Every field of which anything is said.
#[must_use]
pub fn readings(facts: &Facts) -> Readings {
    let mut all: Readings = flatten(facts)
        .into_iter()
        .map(|(path, v)| (path, Reading { value: Some(v), ..Reading::default() }))
        .collect();
    for (path, others) in &facts.other_accounts {
        all.entry(path.clone()).or_default().others.clone_from(others);
    }
    for path in &facts.not_known {
        all.entry(path.clone()).or_default().not_known = true;
    }
    all
}

/// One field.
#[must_use]
pub fn reading(facts: &Facts, field: &str) -> Reading {
    readings(facts).remove(field).unwrap_or_default()
}

/// The facts with these fields standing exactly so, and every other as it was.
#[must_use]
pub fn with(facts: &Facts, fields: &Readings) -> Facts {
    let mut leaves = flatten(facts);
    let (mut others, mut not_known) = (facts.other_accounts.clone(), facts.not_known.clone());
    for (path, r) in fields {
        match &r.value {
            Some(v) => leaves.insert(path.clone(), v.clone()),
            None => leaves.remove(path),
        };
        if r.others.is_empty() {
            others.remove(path);
        } else {
            others.insert(path.clone(), r.others.clone());
        }
        if r.not_known {
            not_known.insert(path.clone());
        } else {
            not_known.remove(path);
        }
    }
    let mut next = unflatten(leaves);
    next.other_accounts = others;
    next.not_known = not_known;
    next.unrecognised.clone_from(&facts.unrecognised);
    next
}

/// The fields that a patch speaks of.
#[must_use]
pub fn fields_of(patch: &Facts) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = flatten(patch).into_keys().collect();
    all.extend(patch.not_known.iter().cloned());
    all
}

/// Fields that a correction would overwrite although somebody has changed them since it was begun:
/// `base` is what its writer saw, `now` what stands. Whoever says what stands anyway is in nobody's
/// way.
#[must_use]
pub fn clashes(base: &Facts, now: &Facts, correction: &Facts) -> Vec<String> {
    let (was, is) = (readings(base), readings(now));
    let would = readings(&now.amended(correction, Amendment::Correction).0);
    let nothing = Reading::default();
    let of = |all: &Readings, path: &str| all.get(path).unwrap_or(&nothing).clone();
    fields_of(correction)
        .into_iter()
        .filter(|p| {
            let is = of(&is, p);
            !is.says_as(&of(&was, p)) && !is.says_as(&of(&would, p))
        })
        .collect()
}
