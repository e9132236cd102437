//! Is a Joint Agency Response due? Five statutory criteria, each met, not met or cannot tell yet;
//! any one that is met is enough, and "cannot tell" is never read as "no".

mod criteria;
mod decision;

pub use criteria::{attended_at_birth, not_born_alive, says_unattended_stillbirth};
pub use decision::{assess, settle_with};

use serde::{Deserialize, Serialize};

/// Edition of these rules: the five criteria of the 2018 statutory and operational guidance,
/// carried on in Working Together 2023, chapter 6.
pub const RULESET: &str = "england-2018.1";

/// What the rules say should happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// All five are not met, or the death is outside child death review.
    NotTriggered,
    /// None is met but one cannot be told: alerts go out as for triggered, until ruled out.
    Provisional,
    /// At least one is met.
    Triggered,
}

impl Decision {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotTriggered => "not_triggered",
            Self::Provisional => "provisional",
            Self::Triggered => "triggered",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::NotTriggered, Self::Provisional, Self::Triggered]
            .into_iter()
            .find(|d| d.word() == word)
    }
}

/// What is known about one criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    NotMet,
    CannotTell,
    Met,
}

impl Verdict {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not_met",
            Self::CannotTell => "cannot_tell",
        }
    }
}

/// One criterion with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    /// J1 to J5; a partnership's own triggers are L1 and on.
    pub code: String,
    pub result: Verdict,
    pub reason: String,
    /// Where the rule stands.
    pub clause: String,
    /// Paths of the facts relied on.
    pub relied_on: Vec<String>,
    /// The question that would settle it, while it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub settle_with: Option<String>,
}

/// Two statements that cannot both be right; the safer one was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    pub fields: Vec<String>,
    pub message: String,
}

/// The decision with everything it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    pub decision: Decision,
    pub ruleset: String,
    pub reason: String,
    pub criteria: Vec<Criterion>,
    pub conflicts: Vec<Conflict>,
    /// While provisional: the one question to ask next. Empty otherwise.
    pub settle_with: String,
}

/// A partnership's own trigger. It may widen the statutory test, never narrow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraTrigger {
    /// Not anticipated as a significant possibility 24 hours before (the older test, still used by
    /// some partnerships beside the five criteria).
    NotAnticipated24h,
}
