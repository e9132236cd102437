//! Who may open a case beyond the usual: the named list of a restricted case, break-glass, legal
//! holds.

use super::{CaseState, Refusal};
use crate::domain::event::{Event, Named, Person};
use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

/// How long a broken glass stays open.
pub const GLASS_HOURS: i64 = 3;

/// What the case's events say about who may open it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    pub restricted: Option<Restricted>,
    pub glass: Vec<Glass>,
    pub hold: Option<LegalHold>,
}

/// The named list and why there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restricted {
    pub at: DateTime<Utc>,
    pub reason: String,
    pub by: Person,
    pub people: Vec<Named>,
}

/// One break-glass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glass {
    pub at: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub who: Named,
    pub role: String,
    pub reason: String,
    pub reviewed: Option<Reviewed>,
}

/// What the guardian found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    pub at: DateTime<Utc>,
    pub by: Person,
    pub note: String,
}

/// Nothing of the case may be destroyed while it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegalHold {
    pub at: DateTime<Utc>,
    pub reason: String,
    pub by: Person,
}

impl Keeping {
    pub(super) fn apply(&mut self, at: DateTime<Utc>, event: Event) {
        match event {
            Event::CaseRestricted { reason, people, by } => {
                self.restricted = Some(Restricted { at, reason, by, people });
            }
            Event::CaseUnrestricted { .. } => self.restricted = None,
            Event::GlassBroken { who, role, reason, until } => {
                self.glass.push(Glass { at, until, who, role, reason, reviewed: None });
            }
            Event::GlassReviewed { who, broken_at, by, note } => {
                let same = |g: &&mut Glass| g.who.id == who && g.at == broken_at;
                if let Some(g) = self.glass.iter_mut().find(same) {
                    g.reviewed = Some(Reviewed { at, by, note });
                }
            }
            Event::LegalHoldPlaced { reason, by } => {
                self.hold = Some(LegalHold { at, reason, by });
            }
            Event::LegalHoldLifted { .. } => self.hold = None,
            _ => {}
        }
    }
}

/// Restricts a case to `people`, or changes the list.
///
/// # Errors
/// An exercise has nothing to protect.
pub fn restrict(
    s: &CaseState,
    reason: String,
    mut people: Vec<Named>,
    by: Person,
) -> Result<Vec<Event>, Refusal> {
    if s.drill {
        return Err(Refusal::OnlyADrill);
    }
    people.sort_by_key(|p| p.id);
    people.dedup_by_key(|p| p.id);
    let same = s.keeping.restricted.as_ref().is_some_and(|r| r.people == people);
    if same {
        return Ok(Vec::new());
    }
    Ok(vec![Event::CaseRestricted { reason, people, by }])
}

/// Lifts the restriction.
///
/// # Errors
/// There is none.
pub fn unrestrict(s: &CaseState, reason: String, by: Person) -> Result<Vec<Event>, Refusal> {
    if s.keeping.restricted.is_none() {
        return Err(Refusal::NotRestricted);
    }
    Ok(vec![Event::CaseUnrestricted { reason, by }])
}

/// Opens a restricted case to somebody who is not on its list.
///
/// # Errors
/// It is not restricted.
pub fn break_glass(
    s: &CaseState,
    who: Named,
    role: String,
    reason: String,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, Refusal> {
    if s.keeping.restricted.is_none() {
        return Err(Refusal::NotRestricted);
    }
    let until = now + Duration::hours(GLASS_HOURS);
    Ok(vec![Event::GlassBroken { who, role, reason, until }])
}

/// The guardian has looked into every break-glass of one person that was not reviewed yet.
///
/// # Errors
/// There is none, or it is the guardian's own.
pub fn review_glass(
    s: &CaseState,
    who: Uuid,
    by: &Person,
    note: &str,
) -> Result<Vec<Event>, Refusal> {
    let open = s.keeping.glass.iter().filter(|g| g.who.id == who && g.reviewed.is_none());
    let events: Vec<Event> = open
        .map(|g| Event::GlassReviewed {
            who,
            broken_at: g.at,
            by: by.clone(),
            note: note.to_owned(),
        })
        .collect();
    if events.is_empty() { Err(Refusal::NothingToReview) } else { Ok(events) }
}

/// Places a legal hold; a second one replaces the reason.
#[must_use]
pub fn place_hold(reason: String, by: Person) -> Vec<Event> {
    vec![Event::LegalHoldPlaced { reason, by }]
}

/// Lifts the legal hold.
///
/// # Errors
/// There is none.
pub fn lift_hold(s: &CaseState, reason: String, by: Person) -> Result<Vec<Event>, Refusal> {
    if s.keeping.hold.is_none() {
        return Err(Refusal::NoHold);
    }
    Ok(vec![Event::LegalHoldLifted { reason, by }])
}
