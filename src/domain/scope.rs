//! Whether a death falls under child death review. Out of scope is a recorded outcome, never a
//! refused form.

use super::facts::{EventKind, Facts, NoNhsNumber, PlaceType, Termination, YesNo};
use super::{age, jar};
use serde::{Deserialize, Serialize};

/// The outcome and the reason a person reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub in_scope: bool,
    /// Code of the list `scope_exclusion` when out of scope.
    pub exclusion: Option<Exclusion>,
    pub reason: String,
}

/// Why a death is outside (codes of `scope_exclusion`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exclusion {
    #[serde(rename = "SB_ATT")]
    AttendedStillbirth,
    #[serde(rename = "TOP")]
    LawfulTermination,
    #[serde(rename = "GE18")]
    Adult,
}

/// Judges what is known. A death leaves the scope only on positive facts; two accounts that differ
/// keep it in.
#[must_use]
pub fn judge(facts: &Facts) -> Scope {
    let out = |exclusion, reason: &str| Scope {
        in_scope: false,
        exclusion: Some(exclusion),
        reason: reason.to_owned(),
    };
    if is_adult(facts) {
        return out(
            Exclusion::Adult,
            "Aged 18 or over at death: child death review covers deaths before the 18th birthday.",
        );
    }
    let terminations = facts.readings("child.termination", facts.child.termination);
    // A baby may live for a while after a termination; somebody of months or years did not die of
    // one, and an unattended stillbirth was not one. Then the word is taken for a slip.
    let plausible = facts.age().is_none_or(|a| a.total_days < 28)
        && facts.event != Some(EventKind::Collapse)
        && !jar::says_unattended_stillbirth(facts);
    if plausible
        && !terminations.is_empty()
        && terminations.iter().all(|t| *t == Termination::Lawful)
    {
        return out(
            Exclusion::LawfulTermination,
            "A termination within the law is outside child death review, also when the baby was born alive.",
        );
    }
    if jar::not_born_alive(facts) {
        return match jar::attended_at_birth(facts) {
            Some(true) => out(
                Exclusion::AttendedStillbirth,
                "A stillbirth attended by a healthcare professional is outside child death review.",
            ),
            Some(false) => within(
                "A stillbirth with no healthcare professional in attendance: a Joint Agency Response is due; whether a full review follows depends on what is found.",
            ),
            None => within(
                "Reported as a stillbirth; kept in scope until it is known whether a healthcare professional was in attendance.",
            ),
        };
    }
    within(notes(facts))
}

fn within(reason: &str) -> Scope {
    Scope { in_scope: true, exclusion: None, reason: reason.to_owned() }
}

fn notes(facts: &Facts) -> &'static str {
    if facts.event == Some(EventKind::Collapse) {
        return "A collapse that the child is not expected to survive: the response is decided now, not at death.";
    }
    let abroad = |k: Option<PlaceType>| k == Some(PlaceType::Abroad);
    if abroad(facts.death.place.kind) {
        return "A resident child who died abroad is reviewed at home.";
    }
    if facts.child.no_nhs_number_reason == Some(NoNhsNumber::NotResident) {
        return "Not resident in England: the area where the child died may review the death if the partners think it right.";
    }
    if facts.age().is_none() {
        return "The age is not certain; there is reason to believe the person was under 18.";
    }
    "A live-born child who died before the 18th birthday."
}

/// Positive evidence of an 18th birthday, on every account.
fn is_adult(facts: &Facts) -> bool {
    let born = facts.readings("child.date_of_birth", facts.child.date_of_birth);
    let died = facts.readings("death.date", facts.death.date);
    facts.event != Some(EventKind::Stillbirth)
        && !born.is_empty()
        && !died.is_empty()
        && born.iter().all(|b| died.iter().all(|d| age::is_adult(*b, *d)))
}

/// Whether the reading "born alive" holds on any account.
#[must_use]
pub fn born_alive_on_some_account(facts: &Facts) -> bool {
    facts.readings("child.live_born", facts.child.live_born).contains(&YesNo::Yes)
}
