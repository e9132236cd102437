//! Who is on duty, by turns: rotations, and dated covers that win over them.
//!
//! A rota is written in English wall-clock time, because people hand over at nine, not at an
//! offset. A local time that does not exist means the first one that does; one that happens twice
//! means the earlier.

mod duty;
mod problem;
mod swap;
mod timeline;
mod window;

pub use duty::{HORIZON_DAYS, MAX_RANGE_DAYS, on_duty, shifts};
pub use problem::{MAX_COVERS, MAX_PEOPLE, MAX_ROTATIONS, RotaProblem, problems};
pub use swap::{Span, SwapError, swap};
pub use window::{BankHolidays, Window};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

/// Who is on duty for one agency, by turns. Local times are clocks in England.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Rota {
    pub id: String,
    pub name: String,
    pub rotations: Vec<Rotation>,
    pub covers: Vec<Cover>,
}

/// People taking turns from `starts` at `handover`, each for `every_days` days.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    pub id: String,
    /// Lower is rung first; equal ranks take turns by their windows and must not overlap.
    #[serde(default)]
    pub rank: u8,
    /// The day of the first turn, which begins at `handover`.
    pub starts: NaiveDate,
    /// The day on which the last turn ends, at `handover`.
    #[serde(default)]
    pub until: Option<NaiveDate>,
    pub handover: NaiveTime,
    /// Length of a turn in days, 1 to 56.
    pub every_days: u32,
    /// Ids of people, in turn.
    pub people: Vec<String>,
    #[serde(default)]
    pub only: Window,
}

/// One dated change. It wins over rotations; a later entry in the list wins over an earlier one.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Cover {
    /// Local, inclusive.
    pub from: NaiveDateTime,
    /// Local, exclusive.
    pub to: NaiveDateTime,
    /// Id of the person who is on instead.
    pub person: String,
    #[serde(default)]
    pub kind: CoverKind,
    #[serde(default)]
    pub note: String,
}

/// Why a cover exists.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
pub enum CoverKind {
    #[default]
    Override,
    /// One half of an exchange of two shifts.
    Swap,
    /// Somebody stands in for a while.
    Cover,
}

/// One person to ring.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct OnDuty {
    pub person: String,
    /// When somebody else (or nobody) takes this place in the list; `None` if that is more than
    /// [`HORIZON_DAYS`] away.
    pub until: Option<DateTime<Utc>>,
    pub by: By,
}

/// What puts a person on duty.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Cover,
    /// The rotation's id.
    Rotation(String),
}

/// A longest interval with one primary.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    pub from: DateTime<Utc>,
    /// Exclusive.
    pub to: DateTime<Utc>,
    /// `None`: nobody is on, a gap.
    pub person: Option<String>,
}
