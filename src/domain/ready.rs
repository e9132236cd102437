//! Is a case ready for the panel? If not, what does it wait for? And so: which stage is it in?

use super::case::CaseState;
use super::facts::words;
use super::milestone::{Milestone, Standing};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

words!(
    /// Where a case stands.
    Stage {
        Notified = "notified",
        Gathering = "gathering",
        MeetingHeld = "meeting_held",
        Ready = "ready",
        Listed = "listed",
        Reviewed = "reviewed",
        Closed = "closed",
        OutOfScope = "out_of_scope",
        /// Made in error, or the same death twice.
        Withdrawn = "withdrawn",
        /// Not a case: an exercise.
        Drill = "drill",
        /// Not a case of its own: another report of a death that has one.
        SecondAccount = "second_account",
    }
);

impl Stage {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Notified => "Notified",
            Self::Gathering => "Gathering information",
            Self::MeetingHeld => "Review meeting held",
            Self::Ready => "Ready for panel",
            Self::Listed => "On a panel list",
            Self::Reviewed => "Reviewed by panel",
            Self::Closed => "Closed",
            Self::OutOfScope => "Out of scope",
            Self::Withdrawn => "Withdrawn",
            Self::Drill => "Drill",
            Self::SecondAccount => "Second account of a case",
        }
    }
}

/// One thing a case waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    pub code: String,
    pub message: String,
    /// When it is expected, if anyone has said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<NaiveDate>,
}

/// Codes of everything that a case can wait for, with what people call it.
#[must_use]
pub fn waits() -> [(&'static str, &'static str); 9] {
    let mut all = [("notification_incomplete", "Facts of the notification"); 9];
    for (at, gate) in all.iter_mut().skip(1).zip(Milestone::GATES) {
        *at = (gate.word(), gate.label());
    }
    all
}

/// Everything that stands between a case and the panel; empty when it is ready.
///
/// A step nobody has recorded blocks: silence is not "not needed". A hold is the exception: it
/// blocks only once somebody has placed it.
#[must_use]
pub fn blockers(case: &CaseState) -> Vec<Blocker> {
    let mut out = Vec::new();
    let c = &case.facts.child;
    let mut missing = Vec::new();
    if c.given_names.is_none() && c.family_name.is_none() {
        missing.push("name");
    }
    if c.nhs_number.is_none() && c.no_nhs_number_reason.is_none() {
        missing.push("NHS number or the reason for having none");
    }
    if c.date_of_birth.is_none() {
        missing.push("date of birth");
    }
    if case.facts.death.date.is_none() {
        missing.push("date of death");
    }
    if c.sex.is_none() {
        missing.push("sex");
    }
    if c.ethnicity.is_none() {
        missing.push("ethnic group");
    }
    if c.address.postcode.is_none() {
        missing.push("home postcode");
    }
    if !missing.is_empty() {
        out.push(Blocker {
            code: "notification_incomplete".to_owned(),
            message: format!("Notification: {} not known yet", missing.join(", ")),
            expected: None,
        });
    }
    for gate in Milestone::GATES {
        let record = case.milestones.get(&gate);
        let (state, expected) = match record {
            Some(r) if r.standing.blocks() => ("awaited", r.on),
            Some(_) => continue,
            None if gate == Milestone::CriminalOrReviewHold => continue,
            None => ("not recorded yet", None),
        };
        out.push(Blocker {
            code: gate.word().to_owned(),
            message: format!("{}: {state}", gate.label()),
            expected,
        });
    }
    out
}

/// The stage that follows from what has been recorded.
#[must_use]
pub fn stage(case: &CaseState) -> Stage {
    let done = |m| case.milestones.get(&m).is_some_and(|r| r.standing == Standing::Done);
    if case.drill {
        Stage::Drill
    } else if case.accounts.of.is_some() {
        Stage::SecondAccount
    } else if case.withdrawn.is_some() {
        Stage::Withdrawn
    } else if !case.scope.in_scope {
        Stage::OutOfScope
    } else if done(Milestone::Finalised) {
        Stage::Closed
    } else if done(Milestone::PanelReview) {
        Stage::Reviewed
    } else if case.listing.is_some() {
        Stage::Listed
    } else if blockers(case).is_empty() {
        Stage::Ready
    } else if done(Milestone::CdrMeeting) {
        Stage::MeetingHeld
    } else if case.milestones.is_empty() {
        Stage::Notified
    } else {
        Stage::Gathering
    }
}
