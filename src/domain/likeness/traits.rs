//! What of a report tells whether it is about the same child, in the shape in which it is compared;
//! and the keys under which reports are found again that may be.

use super::names::Names;
use crate::domain::facts::{EventKind, Facts, Place, PlaceType, Sex};
use crate::domain::nhs_number::NhsNumber;
use chrono::{Duration, NaiveDate};
use std::collections::BTreeSet;

/// Days around a death within which another report may mean the same one.
const DAYS_AROUND: i64 = 2;

/// One report's traits. Silent in `Debug`: it is personal.
#[derive(Clone, PartialEq)]
pub struct Traits {
    pub(super) nhs: BTreeSet<String>,
    pub(super) names: Names,
    pub(super) born: BTreeSet<NaiveDate>,
    pub(super) died: BTreeSet<NaiveDate>,
    pub(super) sex: BTreeSet<Sex>,
    pub(super) event: Option<EventKind>,
    pub(super) home: BTreeSet<String>,
    /// Where the child died.
    pub(super) place: BTreeSet<String>,
    /// Where it happened, if that is not a hospital that many children go to.
    pub(super) scene: BTreeSet<String>,
}

impl std::fmt::Debug for Traits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Traits(…)")
    }
}

impl Traits {
    /// Every reading counts: what two accounts say differently contradicts neither.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let (c, d) = (&facts.child, &facts.death);
        let nhs = facts.readings("child.nhs_number", c.nhs_number.clone());
        let sex = facts.readings("child.sex", c.sex);
        let home = facts.readings("child.address.postcode", c.address.postcode.clone());
        let in_hospital = d.place.kind.is_none_or(|k| {
            matches!(
                k,
                PlaceType::EmergencyDepartment
                    | PlaceType::HospitalWard
                    | PlaceType::NeonatalUnit
                    | PlaceType::IntensiveCare
                    | PlaceType::LabourWard
                    | PlaceType::Theatre
                    | PlaceType::OtherHospital
                    | PlaceType::Hospice
                    | PlaceType::MentalHealthInpatientUnit
                    | PlaceType::NotKnown
                    | PlaceType::Other
            )
        });
        let mut scene = spots(&d.event_place);
        if !in_hospital {
            scene.extend(spots(&d.place));
        }
        Self {
            nhs: nhs.iter().filter_map(|n| NhsNumber::parse(n).ok()).map(|n| n.digits()).collect(),
            names: Names::of(facts),
            born: facts.readings("child.date_of_birth", c.date_of_birth).into_iter().collect(),
            died: facts.readings("death.date", d.date).into_iter().collect(),
            sex: sex.into_iter().filter(|s| matches!(s, Sex::Male | Sex::Female)).collect(),
            event: facts.event,
            home: home.iter().map(|p| folded(p)).filter(|p| !p.is_empty()).collect(),
            place: spots(&d.place),
            scene,
        }
    }

    /// The keys under which this report is found: a kind and a value each. Whoever keeps them keeps
    /// digests only.
    #[must_use]
    pub fn keys(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        out.extend(self.names.tokens().into_iter().map(|t| ("like_name", t)));
        out.extend(self.born.iter().map(|d| ("like_born", d.to_string())));
        out.extend(self.died.iter().map(|d| ("like_died", d.to_string())));
        out.extend(self.home.iter().map(|p| ("like_home", p.clone())));
        out
    }

    /// The keys under which a report is looked for that may certainly be about the same death.
    #[must_use]
    pub fn numbers(&self) -> Vec<(&'static str, String)> {
        self.nhs.iter().map(|n| ("nhs_number", n.clone())).collect()
    }

    /// The keys under which reports are looked for that may be about the same death.
    #[must_use]
    pub fn wanted(&self) -> Vec<(&'static str, String)> {
        let mut out = self.keys();
        out.extend(self.numbers());
        let around = (-DAYS_AROUND..=DAYS_AROUND).filter(|d| *d != 0).map(Duration::days);
        for d in &self.died {
            let near = around.clone().filter_map(|by| d.checked_add_signed(by));
            out.extend(near.map(|d| ("like_died", d.to_string())));
        }
        out.sort();
        out.dedup();
        // The NHS number first, names last: whoever looks for some of them only looks for the best.
        out.sort_by_key(|(kind, _)| (*kind != "nhs_number", *kind == "like_name"));
        out
    }

    /// A text that changes when anything does that is compared: for a keyed digest, never kept.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let n = &self.names;
        format!(
            "{:?}|{:?}|{:?}|{:?}|{:?}|{:?}|{}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}",
            self.nhs,
            n.given,
            n.family,
            n.also,
            n.mother,
            n.order,
            n.multiple,
            self.born,
            self.died,
            self.sex,
            self.event,
            self.home,
            self.place,
            self.scene
        )
    }
}

fn folded(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A place by its postcode and by its name.
fn spots(p: &Place) -> BTreeSet<String> {
    let texts = [p.postcode.as_deref(), p.name.as_deref()];
    texts.into_iter().flatten().map(folded).filter(|t| !t.is_empty()).collect()
}
