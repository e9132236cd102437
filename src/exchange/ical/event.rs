//! The events of a calendar, as groups of properties.

use super::MAX_EVENTS;
use super::lines::{Property, properties};
use crate::exchange::{Findings, Refused};

/// One `VEVENT`, without what is nested in it.
pub(super) struct Event {
    /// The line of its `BEGIN`.
    pub line: u32,
    properties: Vec<Property>,
}

impl Event {
    pub fn get(&self, name: &str) -> Option<&Property> {
        self.all(name).next()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &Property> {
        self.properties.iter().filter(move |p| p.name == name)
    }

    /// Two events of one `UID` belong together.
    pub fn uid(&self) -> &str {
        self.get("UID").map_or("", |p| p.value.trim())
    }
}

/// # Errors
/// Not a calendar, or too many events.
pub(super) fn events(text: &str, findings: &mut Findings) -> Result<Vec<Event>, Refused> {
    let mut all = Vec::new();
    let mut open: Option<Event> = None;
    // Alarms and other parts inside an event.
    let mut nested = 0_usize;
    let mut calendar = false;
    for p in properties(text) {
        let part = p.value.trim().to_ascii_uppercase();
        match (p.name.as_str(), part.as_str(), &mut open) {
            ("BEGIN", "VCALENDAR", None) => calendar = true,
            ("BEGIN", "VEVENT", _) => {
                if let Some(unfinished) = open.take() {
                    findings.problem(unfinished.line, "", NOT_ENDED);
                }
                if all.len() == MAX_EVENTS {
                    return Err(Refused::TooManyEvents { limit: MAX_EVENTS });
                }
                open = Some(Event { line: p.line, properties: Vec::new() });
                nested = 0;
            }
            ("END", "VEVENT", _) => all.extend(open.take()),
            ("BEGIN", _, Some(_)) => nested += 1,
            ("END", _, Some(_)) => nested = nested.saturating_sub(1),
            (_, _, Some(event)) if nested == 0 => event.properties.push(p),
            _ => {}
        }
    }
    if let Some(unfinished) = open {
        findings.problem(unfinished.line, "", NOT_ENDED);
    }
    if calendar { Ok(all) } else { Err(Refused::NotACalendar) }
}

const NOT_ENDED: &str = "The event has no END:VEVENT.";
