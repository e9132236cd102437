//! Times as people say them in England, and the instants they mean.

use chrono::{DateTime, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Europe::London;

/// What a wall-clock time in England means as an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// One instant.
    Exact(DateTime<Utc>),
    /// The hour that happens twice when the clocks go back.
    Twice { earlier: DateTime<Utc>, later: DateTime<Utc> },
    /// The hour that does not happen when the clocks go forward; the last minute before it and the
    /// first after it, as local times to offer instead.
    Never { last_before: NaiveTime, first_after: NaiveTime },
}

/// Reads a local date and time.
#[must_use]
pub fn read(date: NaiveDate, time: NaiveTime) -> Reading {
    let local = date.and_time(time);
    match London.from_local_datetime(&local) {
        LocalResult::Single(t) => Reading::Exact(t.with_timezone(&Utc)),
        LocalResult::Ambiguous(a, b) => {
            let (a, b) = (a.with_timezone(&Utc), b.with_timezone(&Utc));
            Reading::Twice { earlier: a.min(b), later: a.max(b) }
        }
        LocalResult::None => {
            // The gap is an hour long; step out of it minute by minute on either side.
            let exists = |t: &NaiveDateTime| London.from_local_datetime(t).earliest().is_some();
            let step = |by: i64| {
                (1..=180)
                    .map(|n| local + Duration::minutes(by * n))
                    .map(|t| t - Duration::seconds(i64::from(chrono::Timelike::second(&t))))
                    .find(exists)
                    .map_or(time, |t| t.time())
            };
            Reading::Never { last_before: step(-1), first_after: step(1) }
        }
    }
}

/// A day as `2026-11-20`, exactly, in a year that a living memory or a plan could hold.
#[must_use]
pub fn parse_day(text: &str) -> Option<NaiveDate> {
    let b = text.as_bytes();
    let shaped = b.len() == 10
        && b.iter()
            .enumerate()
            .all(|(i, c)| if matches!(i, 4 | 7) { *c == b'-' } else { c.is_ascii_digit() });
    let date = shaped.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()?;
    (1850..=2200).contains(&chrono::Datelike::year(&date)).then_some(date)
}

/// A time of day as `03:15` or `03:15:30`, exactly.
#[must_use]
pub fn parse_time(text: &str) -> Option<NaiveTime> {
    let shaped = matches!(text.len(), 5 | 8)
        && text
            .bytes()
            .enumerate()
            .all(|(i, c)| if matches!(i, 2 | 5) { c == b':' } else { c.is_ascii_digit() });
    let format = if text.len() == 5 { "%H:%M" } else { "%H:%M:%S" };
    let time = shaped.then(|| NaiveTime::parse_from_str(text, format).ok()).flatten()?;
    // A leap second is a second too many for a form.
    (chrono::Timelike::nanosecond(&time) == 0).then_some(time)
}

/// The date in England at an instant.
#[must_use]
pub fn date_of(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&London).date_naive()
}

/// The local date and time in England at an instant.
#[must_use]
pub fn local(at: DateTime<Utc>) -> NaiveDateTime {
    at.with_timezone(&London).naive_local()
}

/// The instant a rota means by a local time: the earlier of two, the first that exists of none.
#[must_use]
pub fn earliest(local: NaiveDateTime) -> DateTime<Utc> {
    let at = |time| match read(local.date(), time) {
        Reading::Exact(t) | Reading::Twice { earlier: t, .. } => Ok(t),
        Reading::Never { first_after, .. } => Err(first_after),
    };
    at(local.time()).or_else(at).unwrap_or_else(|_| Utc.from_utc_datetime(&local))
}

/// The first instant of a local date.
#[must_use]
pub fn start_of(date: NaiveDate) -> DateTime<Utc> {
    match read(date, NaiveTime::MIN) {
        Reading::Exact(t) | Reading::Twice { earlier: t, .. } => t,
        // England's clocks never change at midnight.
        Reading::Never { .. } => Utc.from_utc_datetime(&date.and_time(NaiveTime::MIN)),
    }
}
