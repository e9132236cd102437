//! Shifts as a calendar to subscribe to.

use crate::domain::calendar::Calendar as Holidays;
use crate::domain::rota::{HORIZON_DAYS, Rota, shifts};
use chrono::{DateTime, Duration, Utc};
use icalendar::{Calendar, Component, Event, EventLike};
use std::collections::BTreeMap;

/// The shifts that touch the time between `from` and `to`, each whole (up to 63 days beyond the
/// ends), as events in UTC. They carry the display name of the person and nothing else about them;
/// `names` gives it by id. An event's UID is made of the rota and the shift's start, so it is the
/// same from day to day and when somebody else takes the shift. `stamp` is when this is written.
#[must_use]
pub fn write(
    rota: &Rota,
    holidays: &Holidays,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    names: &BTreeMap<String, String>,
    stamp: DateTime<Utc>,
) -> String {
    let mut calendar = Calendar::new();
    calendar.name(&plain(&rota.name));
    // Shifts are made from further out, so that those at the ends keep their own start.
    let beyond = Duration::days(HORIZON_DAYS);
    for shift in shifts(rota, holidays, from - beyond, to + beyond) {
        let Some(person) = shift.person.filter(|_| shift.from < to && shift.to > from) else {
            continue;
        };
        let name = names.get(&person).map_or("Somebody without a name here", String::as_str);
        let start = shift.from.format("%Y%m%dT%H%M%SZ");
        calendar.push(
            Event::new()
                .uid(&format!("{start}-{}@rota.cdr", plain(&rota.id)))
                .timestamp(stamp)
                .summary(&plain(name))
                .starts(shift.from)
                .ends(shift.to)
                .done(),
        );
    }
    calendar.to_string()
}

/// A name on one line: a line break would begin another property.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
