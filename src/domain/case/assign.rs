//! Whose case it is in the office: assigning, handing over with a note, taking what was handed over.

use super::{CaseState, Refusal};
use crate::domain::event::{Event, Named, Person};
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// Who has the case in the office, and how they came to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    pub to: Option<Named>,
    pub at: DateTime<Utc>,
    pub by: Person,
    pub by_id: Option<Uuid>,
    pub note: String,
    /// Until when, if it is for a time.
    pub until: Option<NaiveDate>,
    /// Handed over by somebody else and not taken yet.
    pub waiting: bool,
    /// Whose it was before.
    pub former: Option<Named>,
}

/// A wish to assign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assign {
    /// Nobody, to put it back.
    pub to: Option<Named>,
    pub by: Person,
    pub by_id: Option<Uuid>,
    pub note: String,
    pub until: Option<NaiveDate>,
}

/// Assigns a case. To whoever has it already, without a word to add, changes nothing.
///
/// # Errors
/// An exercise, a withdrawn notification, or somebody whom a restriction keeps out.
pub fn assign(s: &CaseState, wish: Assign) -> Result<Vec<Event>, Refusal> {
    if s.drill {
        return Err(Refusal::DrillNotAssigned);
    }
    if s.withdrawn.is_some() {
        return Err(Refusal::Withdrawn);
    }
    if let (Some(r), Some(to)) = (&s.keeping.restricted, &wish.to)
        && !r.people.iter().any(|p| p.id == to.id)
    {
        return Err(Refusal::NotOnItsList);
    }
    let same = s.assigned.to.as_ref().map(|p| p.id) == wish.to.as_ref().map(|p| p.id);
    if same && wish.note.is_empty() && wish.until.is_none() {
        return Ok(Vec::new());
    }
    let Assign { to, by, by_id, note, until } = wish;
    Ok(vec![Event::CaseAssigned { to, by, by_id, note, until, undo: false }])
}

/// Gives a case back to whoever had it before `by_id` assigned it to `to`.
///
/// # Errors
/// Somebody has assigned it since.
pub fn undo_assign(
    s: &CaseState,
    to: Option<Uuid>,
    by: Person,
    by_id: Uuid,
) -> Result<Vec<Event>, Refusal> {
    let a = &s.assigned;
    if a.to.as_ref().map(|p| p.id) != to || a.by_id != Some(by_id) {
        return Err(Refusal::AssignedSince);
    }
    Ok(vec![Event::CaseAssigned {
        to: a.former.clone(),
        by,
        by_id: Some(by_id),
        note: String::new(),
        until: None,
        undo: true,
    }])
}

/// Whoever a case was handed to takes it. Taken before, nothing changes.
///
/// # Errors
/// It is not theirs.
pub fn take(s: &CaseState, who: Uuid) -> Result<Vec<Event>, Refusal> {
    if s.assigned.to.as_ref().is_none_or(|p| p.id != who) {
        return Err(Refusal::NotHandedToYou);
    }
    Ok(if s.assigned.waiting { vec![Event::HandOverTaken { who }] } else { Vec::new() })
}

pub(super) fn apply(s: &mut CaseState, at: DateTime<Utc>, event: Event) {
    match event {
        Event::CaseAssigned { to, by, by_id, note, until, undo } => {
            let waiting = !undo && to.as_ref().is_some_and(|p| Some(p.id) != by_id);
            let former = std::mem::take(&mut s.assigned).to;
            s.assigned = Assignment { to, at, by, by_id, note, until, waiting, former };
        }
        Event::HandOverTaken { .. } => s.assigned.waiting = false,
        _ => {}
    }
}
