//! What has been said about a death: known, not known yet, or said differently by two people.
//!
//! Every value may be missing. An answer of "unknown" is remembered as such (`not_known`), because
//! the statutory forms tell "not known" from "not answered". When a second account differs, both
//! readings are kept (`other_accounts`) and whoever judges takes the safer one.

use super::{age, civil_time, postcode};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// An enum whose variants are written as the contract's lower-case words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            serde::Serialize, serde::Deserialize,
        )]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        #[allow(dead_code)] // not every list is both read and written
        impl $name {
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

words!(
    /// What happened.
    EventKind { Death = "death", Collapse = "collapse", Stillbirth = "stillbirth" }
);
words!(
    /// An answer that was given. "Unknown" is the absence of one.
    Answer { Yes = "yes", Possible = "possible", No = "no" }
);
words!(
    YesNo { Yes = "yes", No = "no" }
);
words!(
    Termination { No = "no", Lawful = "lawful" }
);
words!(
    Sex { Male = "male", Female = "female", Indeterminate = "indeterminate", NotKnown = "not_known" }
);
words!(
    NoNhsNumber { NotResident = "not_resident_in_england", NotAvailable = "not_available" }
);
words!(
    /// Whether the child was held by the state at the time (criterion J3).
    Detention {
        None = "none", Police = "police", Prison = "prison",
        YoungOffenderInstitution = "young_offender_institution",
        SecureChildrensHome = "secure_childrens_home",
        SecureTrainingCentre = "secure_training_centre",
        MentalHealthAct = "mental_health_act", Immigration = "immigration",
    }
);
words!(
    /// Places, one to one with the NCMD list `place_of_death`.
    PlaceType {
        EmergencyDepartment = "emergency_department", HospitalWard = "hospital_ward",
        NeonatalUnit = "neonatal_unit", IntensiveCare = "intensive_care",
        LabourWard = "labour_ward", Theatre = "theatre", OtherHospital = "other_hospital",
        Home = "home", OtherPrivateResidence = "other_private_residence",
        FosterHome = "foster_home", ResidentialCare = "residential_care",
        PublicPlace = "public_place", School = "school", Hospice = "hospice",
        MentalHealthInpatientUnit = "mental_health_inpatient_unit", Custody = "custody",
        InTransit = "in_transit", Abroad = "abroad", Other = "other", NotKnown = "not_known",
    }
);

/// Structs of personal data print nothing of it.
macro_rules! silent_debug {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventKind>,
    pub child: Child,
    pub death: Death,
    pub jar_answers: JarAnswers,
    pub notifier: Contact,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub household: Vec<HouseholdMember>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub professionals: Vec<Professional>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub informed_already: Vec<String>,
    /// Paths whose answer was "unknown", e.g. `jar_answers.external_cause`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub not_known: BTreeSet<String>,
    /// Readings of a path that differ from the one above, from later accounts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub other_accounts: BTreeMap<String, Vec<Value>>,
    /// Fields this edition does not know, kept as they came.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub unrecognised: Map<String, Value>,
}

macro_rules! optional_struct {
    ($(#[$doc:meta])* $name:ident { $($field:ident : $t:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$t>,)+
        }
    };
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Child {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_names: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_known_as: Vec<String>,
    /// As given: a number that fails its check is kept and warned about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nhs_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_nhs_number_reason: Option<NoNhsNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_of_birth: Option<NaiveDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sex: Option<Sex>,
    /// NHS ethnic category code (list `ethnicity`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ethnicity: Option<String>,
    /// Completed weeks at birth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gestation_weeks: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_born: Option<YesNo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination: Option<Termination>,
    pub address: Address,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<PlaceType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Death {
    /// Of the death; of the collapse while the child lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<NaiveDate>,
    /// England's wall clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<NaiveTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pronounced_at: Option<String>,
    pub place: Place,
    pub event_place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circumstances: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<YesNo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detention: Option<Detention>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcare_professional_at_birth: Option<YesNo>,
}

optional_struct!(
    /// The notifier's own answers to the five questions.
    JarAnswers {
        external_cause: Answer,
        sudden_no_apparent_cause: Answer,
        custody_or_detention: Answer,
        suspicion_not_natural: Answer,
        unattended_stillbirth: Answer,
    }
);
optional_struct!(
    /// Who is calling, and how to call back.
    Contact { name: String, role: String, organisation: String, telephone: String, email: String }
);
optional_struct!(HouseholdMember {
    relationship: String,
    name: String,
    age_or_date_of_birth: String
});
optional_struct!(Professional {
    agency: String,
    name: String,
    role: String,
    telephone: String,
    email: String
});
silent_debug!(
    Facts,
    Child,
    Address,
    Place,
    Death,
    JarAnswers,
    Contact,
    HouseholdMember,
    Professional
);

/// How new facts relate to those already held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amendment {
    /// The earlier value was wrong: the new one replaces it (the journal keeps both).
    Correction,
    /// Someone else says otherwise: both are kept and the conflict is shown.
    FurtherAccount,
}

impl Facts {
    /// The readings of one value: the one held and those of other accounts.
    pub fn readings<T: DeserializeOwned>(&self, path: &str, held: Option<T>) -> Vec<T> {
        let others = self.other_accounts.get(path).into_iter().flatten();
        held.into_iter().chain(others.filter_map(|v| T::deserialize(v).ok())).collect()
    }

    /// Takes in a patch. A value of the patch fills a gap, replaces (correction) or is kept beside
    /// (further account) a differing one. A correction to "unknown" takes a value back: it is not
    /// known after all. Returns the paths whose value changed or gained a second reading.
    #[must_use]
    pub fn amended(&self, patch: &Self, how: Amendment) -> (Self, Vec<String>) {
        let mut held = flatten(self);
        let mut others = self.other_accounts.clone();
        let mut touched = Vec::new();
        for (path, new) in flatten(patch) {
            match (held.get(&path), how) {
                (Some(old), _) if *old == new => {}
                (Some(Value::Array(old)), Amendment::FurtherAccount) => {
                    let mut list = old.clone();
                    let more = new.as_array().into_iter().flatten();
                    list.extend(more.filter(|v| !old.contains(v)).cloned());
                    held.insert(path.clone(), Value::Array(list));
                    touched.push(path);
                }
                (Some(_), Amendment::FurtherAccount) => {
                    let kept = others.entry(path.clone()).or_default();
                    if !kept.contains(&new) {
                        kept.push(new);
                        touched.push(path);
                    }
                }
                _ => {
                    others.remove(&path);
                    held.insert(path.clone(), new);
                    touched.push(path);
                }
            }
        }
        if how == Amendment::FurtherAccount {
            // What somebody said differently already is one more reading here.
            for (path, more) in &patch.other_accounts {
                let kept = others.entry(path.clone()).or_default();
                for v in more {
                    if held.get(path) != Some(v) && !kept.contains(v) {
                        kept.push(v.clone());
                        touched.push(path.clone());
                    }
                }
                if kept.is_empty() {
                    others.remove(path);
                }
            }
        }
        if how == Amendment::Correction {
            for path in &patch.not_known {
                let had = held.remove(path).is_some() | others.remove(path).is_some();
                if had {
                    touched.push(path.clone());
                }
            }
        }
        let mut next = unflatten(held);
        next.other_accounts = others;
        next.not_known = self.not_known.union(&patch.not_known).cloned().collect();
        let known: BTreeSet<String> = flatten(&next).into_keys().collect();
        next.not_known.retain(|p| !known.contains(p));
        next.unrecognised.clone_from(&self.unrecognised);
        for (name, value) in &patch.unrecognised {
            // Under a name of its own if there is one already: nothing kept is overwritten.
            let mut free = name.clone();
            let mut n = 1;
            while next.unrecognised.get(&free).is_some_and(|v| v != value) {
                n += 1;
                free = format!("{name} ({n})");
            }
            next.unrecognised.insert(free, value.clone());
        }
        (next, touched)
    }

    /// Every known value by its dotted path; a list counts as one value.
    #[must_use]
    pub fn leaves(&self) -> BTreeMap<String, Value> {
        flatten(self)
    }

    /// The age at death (or collapse), if both dates are known and in order.
    #[must_use]
    pub fn age(&self) -> Option<age::Age> {
        age::at(self.child.date_of_birth?, self.death.date?)
    }

    /// The instant of death; the start of its day when the time is not known. On the night the
    /// clocks go back the earlier reading is taken.
    #[must_use]
    pub fn died_at(&self) -> Option<DateTime<Utc>> {
        let date = self.death.date?;
        Some(match self.death.time.map(|t| civil_time::read(date, t)) {
            Some(civil_time::Reading::Exact(t) | civil_time::Reading::Twice { earlier: t, .. }) => {
                t
            }
            Some(civil_time::Reading::Never { .. }) | None => civil_time::start_of(date),
        })
    }

    /// Whether anything identifies the child or a place to go to.
    #[must_use]
    pub fn identifies_something(&self) -> bool {
        let c = &self.child;
        let place = |p: &Place| {
            p.name.is_some()
                || p.postcode.is_some()
                || p.kind.is_some_and(|k| !matches!(k, PlaceType::NotKnown | PlaceType::Other))
        };
        c.given_names.is_some()
            || c.family_name.is_some()
            || !c.also_known_as.is_empty()
            || c.nhs_number.is_some()
            || c.date_of_birth.is_some()
            || !c.address.lines.is_empty()
            || c.address.postcode.is_some()
            || place(&self.death.place)
            || place(&self.death.event_place)
    }

    /// Whether the notifier can be called back.
    #[must_use]
    pub fn can_call_back(&self) -> bool {
        self.notifier.telephone.is_some() || self.notifier.email.is_some()
    }

    /// Brings values people type in several shapes to one.
    pub fn normalise(&mut self) {
        for p in [
            &mut self.child.address.postcode,
            &mut self.death.place.postcode,
            &mut self.death.event_place.postcode,
        ] {
            if let Some(usual) = p.as_deref().and_then(postcode::normalise) {
                *p = Some(usual);
            }
        }
    }
}

/// Leaves by dotted path; a list counts as one leaf.
pub(super) fn flatten(facts: &Facts) -> BTreeMap<String, Value> {
    fn walk(prefix: &str, v: Value, out: &mut BTreeMap<String, Value>) {
        match v {
            Value::Object(m) => {
                for (k, v) in m {
                    let path = if prefix.is_empty() { k } else { format!("{prefix}.{k}") };
                    walk(&path, v, out);
                }
            }
            Value::Null => {}
            leaf => {
                out.insert(prefix.to_owned(), leaf);
            }
        }
    }
    let mut root = serde_json::to_value(facts).unwrap_or_default();
    if let Value::Object(m) = &mut root {
        for not_a_fact in ["not_known", "other_accounts", "unrecognised"] {
            m.remove(not_a_fact);
        }
    }
    let mut out = BTreeMap::new();
    walk("", root, &mut out);
    out
}

pub(super) fn unflatten(leaves: BTreeMap<String, Value>) -> Facts {
    let mut root = Map::new();
    for (path, value) in leaves {
        let mut at = &mut root;
        let mut keys = path.split('.').peekable();
        while let Some(key) = keys.next() {
            if keys.peek().is_none() {
                at.insert(key.to_owned(), value);
                break;
            }
            let next = at.entry(key.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            match next {
                Value::Object(m) => at = m,
                // A leaf cannot also be a branch: paths come from one struct's shape.
                _ => break,
            }
        }
    }
    Facts::deserialize(Value::Object(root)).unwrap_or_default()
}
