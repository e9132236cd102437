//! Statutory and customary clocks. "Overdue" is a prompt, never a legal conclusion: many of these
//! are targets, and the unconfirmed ones are configuration.

use super::case::CaseState;
use super::milestone::{Milestone, Standing};
use super::ready::{Stage, stage};
use chrono::{DateTime, Duration, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// Lengths that a partnership may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lengths {
    /// T04: hours from death until the CDOP knows (48 nationally; many areas ask for 24).
    pub notify_cdop_hours: u32,
    /// T11: months from death to the child death review meeting.
    pub cdr_meeting_months: u32,
    /// T15: months from death to the completed review (unconfirmed, so configurable).
    pub review_months: u32,
}

impl Default for Lengths {
    fn default() -> Self {
        Self { notify_cdop_hours: 48, cdr_meeting_months: 3, review_months: 6 }
    }
}

/// One clock of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// T04, T11, T15 of the process reference.
    pub id: &'static str,
    pub label: &'static str,
    pub due: DateTime<Utc>,
    /// When it was met.
    pub met: Option<DateTime<Utc>>,
    pub overdue: bool,
}

/// The clocks that run for a case; none while the date of death is not known.
#[must_use]
pub fn clocks(case: &CaseState, lengths: &Lengths, now: DateTime<Utc>) -> Vec<Clock> {
    let Some(died) = case.facts.died_at() else { return Vec::new() };
    let months = |n: u32| died.checked_add_months(Months::new(n)).unwrap_or(died);
    let met_on = |m: Milestone| {
        let record = case.milestones.get(&m).filter(|r| r.standing == Standing::Done)?;
        record.on.map(end_of_day)
    };
    let clock = |id, label, due: DateTime<Utc>, met: Option<DateTime<Utc>>| Clock {
        id,
        label,
        due,
        met,
        overdue: met.unwrap_or(now) > due,
    };
    // With no time of death the day's end counts, so that no case looks late that may not be.
    let notify_from = if case.facts.death.time.is_some() { died } else { died + Duration::days(1) };
    vec![
        clock(
            "T04",
            "CDOP notified",
            notify_from + Duration::hours(i64::from(lengths.notify_cdop_hours)),
            Some(case.received_at),
        ),
        clock(
            "T11",
            "Child death review meeting",
            months(lengths.cdr_meeting_months),
            met_on(Milestone::CdrMeeting),
        ),
        clock(
            "T15",
            "Review complete",
            months(lengths.review_months),
            met_on(Milestone::PanelReview),
        ),
    ]
}

/// The clock that runs out next, or ran out first: what has not been done yet of an open case.
#[must_use]
pub fn next(case: &CaseState, lengths: &Lengths) -> Option<(&'static str, DateTime<Utc>)> {
    let open = matches!(
        stage(case),
        Stage::Notified | Stage::Gathering | Stage::MeetingHeld | Stage::Ready | Stage::Listed
    );
    let waits = |m: Milestone| case.milestones.get(&m).is_none_or(|r| r.standing.blocks());
    let runs = |c: &Clock| match c.id {
        "T11" => waits(Milestone::CdrMeeting),
        "T15" => waits(Milestone::PanelReview),
        _ => false,
    };
    let now = case.received_at;
    let all = clocks(case, lengths, now).into_iter().filter(|c| open && runs(c));
    all.map(|c| (c.id, c.due)).min_by_key(|(_, due)| *due)
}

/// What people call a clock.
#[must_use]
pub fn label(id: &str) -> &'static str {
    match id {
        "T04" => "CDOP notified",
        "T11" => "Child death review meeting",
        "T15" => "Review complete",
        _ => "",
    }
}

fn end_of_day(day: NaiveDate) -> DateTime<Utc> {
    super::civil_time::start_of(day) + Duration::minutes(23 * 60 + 59)
}
