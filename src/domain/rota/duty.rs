//! Who is on now, and who will be.

use super::timeline::Timeline;
use super::{OnDuty, Rota, Shift};
use crate::domain::calendar::Calendar;
use chrono::{DateTime, Duration, Utc};

/// How far ahead the end of a duty is looked for, in days: a week more than the longest turn.
pub const HORIZON_DAYS: i64 = 63;

/// The longest range of which shifts are made, in days; what is asked beyond is left out.
pub const MAX_RANGE_DAYS: i64 = 1100;

/// Primary first, then the backups: next in turn of the same rotation, then lower rotations in the
/// same way; no person twice. Empty when nobody is on.
///
/// A cover puts its person first, and the one it stands in for is away: not rung while it lasts.
#[must_use]
pub fn on_duty(rota: &Rota, calendar: &Calendar, at: DateTime<Utc>) -> Vec<OnDuty> {
    let line = Timeline::new(rota, calendar);
    let mut list: Vec<OnDuty> = line
        .on(at)
        .into_iter()
        .map(|(person, by)| OnDuty { person: person.to_owned(), until: None, by })
        .collect();
    for edge in line.edges(at, later(at, HORIZON_DAYS)) {
        if list.iter().all(|d| d.until.is_some()) {
            break;
        }
        let then = line.on(edge);
        for (n, duty) in list.iter_mut().enumerate().filter(|(_, d)| d.until.is_none()) {
            if then.get(n).is_none_or(|(person, _)| *person != duty.person) {
                duty.until = Some(edge);
            }
        }
    }
    list
}

/// The shifts from `from` to `to` (exclusive), without holes: a gap is a shift of nobody. Those at
/// the ends are cut to the range. At most [`MAX_RANGE_DAYS`] from `from`.
#[must_use]
pub fn shifts(
    rota: &Rota,
    calendar: &Calendar,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Vec<Shift> {
    let to = to.min(later(from, MAX_RANGE_DAYS));
    if from >= to {
        return Vec::new();
    }
    let line = Timeline::new(rota, calendar);
    let shift = |at| Shift { from: at, to, person: line.primary(at).map(str::to_owned) };
    let mut done = Vec::new();
    let mut open = shift(from);
    for edge in line.edges(from, to) {
        let next = shift(edge);
        if next.person != open.person {
            open.to = edge;
            done.push(std::mem::replace(&mut open, next));
        }
    }
    done.push(open);
    done
}

fn later(at: DateTime<Utc>, days: i64) -> DateTime<Utc> {
    at.checked_add_signed(Duration::days(days)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
