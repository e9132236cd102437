//! Two people exchange two shifts.

use super::{Cover, CoverKind, Rota, shifts};
use crate::domain::calendar::Calendar;
use crate::domain::civil_time;
use chrono::NaiveDateTime;

/// A stretch of local time: from, and to (exclusive).
pub type Span = (NaiveDateTime, NaiveDateTime);

/// The longest stretch that is swapped, in days.
const MAX_DAYS: i64 = 366;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    #[error("{} to {}: the end is not after the start", .0.0, .0.1)]
    EndsBeforeStart(Span),
    #[error("{} to {}: a swap is of at most {MAX_DAYS} days", .0.0, .0.1)]
    TooLong(Span),
    #[error("the two shifts overlap")]
    Overlap,
    #[error("{} to {}: nobody is on duty for part of it", .0.0, .0.1)]
    Nobody(Span),
    #[error("{} to {}: more than one person is on duty in it", .0.0, .0.1)]
    NotOneShift(Span),
    #[error("both shifts are {0}'s")]
    SamePerson(String),
}

/// Two covers that exchange two shifts, to be added after the rota's others. Done twice, everybody
/// is on as before.
///
/// # Errors
/// A stretch without length, two that overlap, or one that is not a single person's duty.
pub fn swap(rota: &Rota, calendar: &Calendar, a: Span, b: Span) -> Result<Vec<Cover>, SwapError> {
    let (person_a, person_b) = (holder(rota, calendar, a)?, holder(rota, calendar, b)?);
    if instants(a).0 < instants(b).1 && instants(b).0 < instants(a).1 {
        return Err(SwapError::Overlap);
    }
    if person_a == person_b {
        return Err(SwapError::SamePerson(person_a));
    }
    let cover = |span: Span, person: String| Cover {
        from: span.0,
        to: span.1,
        person,
        kind: CoverKind::Swap,
        note: String::new(),
    };
    Ok(vec![cover(a, person_b), cover(b, person_a)])
}

fn instants(span: Span) -> (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>) {
    (civil_time::earliest(span.0), civil_time::earliest(span.1))
}

fn holder(rota: &Rota, calendar: &Calendar, span: Span) -> Result<String, SwapError> {
    let (from, to) = instants(span);
    if from >= to {
        return Err(SwapError::EndsBeforeStart(span));
    }
    if (to - from).num_days() > MAX_DAYS {
        return Err(SwapError::TooLong(span));
    }
    let mut held = shifts(rota, calendar, from, to);
    if held.iter().any(|s| s.person.is_none()) {
        return Err(SwapError::Nobody(span));
    }
    match (held.pop().and_then(|s| s.person), held.is_empty()) {
        (Some(person), true) => Ok(person),
        _ => Err(SwapError::NotOneShift(span)),
    }
}
