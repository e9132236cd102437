//! Obligations of a case: steps that are due, answers that came, the part each agency plays.

use super::{Alert, CaseState, Refusal};
use crate::domain::alert::ContactPoint;
use crate::domain::escalation::{Act, Ladder};
use crate::domain::event::{Event, Means, Person, Step};
use crate::domain::id::AlertId;
use chrono::{DateTime, Duration, Utc};
use std::collections::BTreeSet;

/// Seconds at least between two steps that answers cause.
const BETWEEN_ANSWERS: i64 = 60;

/// What somebody at an agency answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub person: Person,
    pub means: Means,
    pub note: String,
}

/// Every step that is due at `now`. `hurried` are alerts whose last step could not be sent.
#[must_use]
pub fn escalate(state: &CaseState, now: DateTime<Utc>, hurried: &BTreeSet<AlertId>) -> Vec<Event> {
    let step = |(id, a): (&AlertId, &Alert)| {
        let ladder = a.ladder.as_ref()?;
        let (act, why, progress) = a.progress.step(ladder, now, hurried.contains(id))?;
        let (step, points) = match act {
            Act::Rung(i) => (Step::Rung, rung(ladder, i)),
            Act::Ring { .. } => (
                Step::Ring {
                    human: ladder.human.name.clone(),
                    number: ladder.human.number.clone(),
                    points: ladder.human.points.clone(),
                },
                // The agency's own last rung is tried again beside it: people come back to their
                // telephones.
                ladder.rungs.last().map_or_else(|| a.contacts.clone(), |r| r.points.clone()),
            ),
            Act::ComeBack => (Step::ComeBack, a.contacts.clone()),
        };
        let agency = a.agency.clone();
        Some(Event::AlertStepped { alert: *id, agency, step, why, points, progress })
    };
    state.alerts.iter().filter_map(step).collect()
}

fn rung(ladder: &Ladder, i: u32) -> Vec<ContactPoint> {
    ladder.rungs.get(i as usize).map(|r| r.points.clone()).unwrap_or_default()
}

/// Somebody at the agency has it and can attend. A second answer changes nothing and is no error,
/// unless the obligation had come back.
///
/// # Errors
/// The case has no such alert.
pub fn acknowledge(
    state: &CaseState,
    alert: AlertId,
    answer: &Answer,
) -> Result<Vec<Event>, Refusal> {
    let held = state.alerts.get(&alert).ok_or(Refusal::NoSuchAlert)?;
    if held.acknowledged.is_some() && !held.progress.is_unanswered() {
        return Ok(Vec::new());
    }
    let acknowledged = |alert: AlertId| Event::AlertAcknowledged {
        alert,
        agency: held.agency.clone(),
        person: answer.person.clone(),
        note: answer.note.clone(),
        means: answer.means,
    };
    let mut events = vec![acknowledged(alert)];
    // Whoever answers the message that said "until ruled out" has the case: the one that says
    // "certain" need not ask the same agency again.
    let certain = held.superseded_by.and_then(|id| Some((id, state.alerts.get(&id)?)));
    if let Some((id, a)) = certain
        && a.progress.is_unanswered()
    {
        events.push(acknowledged(id));
    }
    Ok(events)
}

/// Somebody has answered an alert, or the certain one that took its place, and it did not come back.
#[must_use]
pub fn is_answered(state: &CaseState, alert: AlertId) -> bool {
    let named = state.alerts.get(&alert);
    let now = named.and_then(|a| a.superseded_by).and_then(|id| state.alerts.get(&id)).or(named);
    now.is_some_and(|a| a.acknowledged.is_some() && !a.progress.is_unanswered())
}

/// They have it but cannot attend: the obligation stays open, and whoever they name is written to
/// at once.
///
/// # Errors
/// The case has no such alert.
pub fn hand_on(
    state: &CaseState,
    alert: AlertId,
    answer: Answer,
    to: String,
    points: Vec<ContactPoint>,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, Refusal> {
    let named = state.alerts.get(&alert).ok_or(Refusal::NoSuchAlert)?;
    // A "cannot" to the message that said "until ruled out" is one to the certain message.
    let alert = named.superseded_by.filter(|id| state.alerts.contains_key(id)).unwrap_or(alert);
    let held = state.alerts.get(&alert).ok_or(Refusal::NoSuchAlert)?;
    let Some(ladder) = held.ladder.as_ref().filter(|_| held.progress.is_open()) else {
        return Ok(Vec::new());
    };
    let Answer { person, means, note } = answer;
    // The same "cannot" twice (two clicks, a text sent again) must not climb two rungs; after an
    // acknowledgement it is a new answer.
    let before = held.handed_on.as_ref().filter(|_| held.acknowledged.is_none());
    let same = |(p, t): &(Person, String)| *p == person && *t == to;
    if before.is_some_and(same) || held.cannots.iter().any(same) {
        return Ok(Vec::new());
    }
    let opens = ladder.opens(held.planned_at, now);
    let mut progress = held.progress.handed_on(ladder, now, !points.is_empty(), opens);
    // Answers alone must not make a ladder run: two telephones that say "cannot" by themselves
    // would climb it in seconds.
    if let (Some(last), Some(next)) = (held.handed_at, progress.next_at) {
        progress.next_at = Some(next.max(last + Duration::seconds(BETWEEN_ANSWERS)));
    }
    let agency = held.agency.clone();
    Ok(vec![Event::AlertHandedOn { alert, agency, person, means, to, note, points, progress }])
}

/// An agency's part of the response. What it acknowledged is thereby acted on.
///
/// # Errors
/// No such agency was asked to respond.
pub fn enter_plan(
    state: &CaseState,
    agency: &str,
    person: Person,
    entry: String,
) -> Result<Vec<Event>, Refusal> {
    let asked = state.alerts.values().any(|a| a.agency == agency && a.kind.is_response());
    let asked_elsewhere =
        state.accounts.held.iter().any(|a| a.agencies.iter().any(|g| g == agency));
    if !asked && !asked_elsewhere {
        return Err(Refusal::NoSuchAgency);
    }
    Ok(vec![Event::JarPlanEntered { agency: agency.to_owned(), person, entry }])
}

/// Puts next steps right that are missing or impossibly far ahead.
#[must_use]
pub fn mend(state: &CaseState, now: DateTime<Utc>) -> Vec<Event> {
    let mended = |(id, a): (&AlertId, &Alert)| {
        let ladder = a.ladder.as_ref()?;
        let progress = a.progress.mended(ladder, now, ladder.opens(a.planned_at, now))?;
        Some(Event::ObligationMended { alert: *id, agency: a.agency.clone(), progress })
    };
    state.alerts.iter().filter_map(mended).collect()
}
