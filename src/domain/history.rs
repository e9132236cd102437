//! How each field came to be what it is: who, when, from what to what. Computed from the events of a
//! case and from nothing else; and from the same events, whether a change can be taken back.

use super::case::{Accounts, CaseState, Put, facts_after};
use super::event::{Event, Recorded, SetHow};
use super::facts::{Amendment, Facts};
use super::reading::{self, Reading};
use super::ready::{Stage, stage};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeSet;

/// In what way a field changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It came with the notification.
    Notified,
    Corrected,
    /// Somebody else says otherwise, or says what nobody had said.
    Account,
    /// An earlier change was taken back.
    Undone,
    /// Somebody chose between accounts.
    Settled,
    /// A second account that it had come with is about another death.
    Detached,
}

impl How {
    /// As the history says it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Notified => "Notified",
            Self::Corrected => "Corrected or added",
            Self::Account => "Another account",
            Self::Undone => "Change undone",
            Self::Settled => "Accounts settled",
            Self::Detached => "Second account taken away",
        }
    }
}

/// One field, changed once.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The entry of the case that changed it.
    pub version: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub field: String,
    pub how: How,
    pub before: Reading,
    pub after: Reading,
    pub reason: String,
}

/// The facts as they stood after the entry `version`.
#[must_use]
pub fn facts_at(events: &[(Recorded, String)], version: i64) -> Facts {
    let upto = usize::try_from(version).unwrap_or(0).min(events.len());
    let mut fold = Fold::default();
    for (r, _) in &events[..upto] {
        fold.take(r);
    }
    fold.facts
}

/// The facts as events make them, and nothing else of a case.
#[derive(Default)]
struct Fold {
    facts: Facts,
    accounts: Accounts,
}

impl Fold {
    fn take(&mut self, r: &Recorded) {
        if let Event::NotificationReceived { facts, .. } = &r.event {
            self.facts = (**facts).clone();
        } else {
            facts_after(&mut self.facts, &mut self.accounts, r.at, &r.event);
        }
    }
}

/// In what way an event changes fields, and why; none if it changes none.
fn how(event: &Event) -> Option<(How, &str)> {
    match event {
        Event::NotificationReceived { .. } => Some((How::Notified, "")),
        Event::FactsAmended { how: Amendment::Correction, reason, .. } => {
            Some((How::Corrected, reason))
        }
        Event::FactsAmended { how: Amendment::FurtherAccount, reason, .. } => {
            Some((How::Account, reason))
        }
        Event::FactsSet { how: SetHow::Undo { .. }, reason, .. } => Some((How::Undone, reason)),
        Event::FactsSet { how: SetHow::Settled, reason, .. } => Some((How::Settled, reason)),
        Event::AccountDetached { reason, .. } => Some((How::Detached, reason)),
        _ => None,
    }
}

/// Every change of every field, oldest first.
#[must_use]
pub fn changes(events: &[(Recorded, String)]) -> Vec<Change> {
    let mut fold = Fold::default();
    let mut held = reading::readings(&fold.facts);
    let mut out = Vec::new();
    for ((r, actor), version) in events.iter().zip(1_i64..) {
        fold.take(r);
        let Some((how, reason)) = how(&r.event) else { continue };
        let next = reading::readings(&fold.facts);
        let names: BTreeSet<&String> = held.keys().chain(next.keys()).collect();
        for field in names {
            let of = |all: &reading::Readings| all.get(field).cloned().unwrap_or_default();
            let (before, after) = (of(&held), of(&next));
            if before != after {
                out.push(Change {
                    version,
                    at: r.at,
                    actor: actor.clone(),
                    field: field.clone(),
                    how,
                    before,
                    after,
                    reason: reason.to_owned(),
                });
            }
        }
        held = next;
    }
    out
}

/// Why a change cannot be taken back. What happened in the world stays happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotUndo {
    #[error("this entry of the case changed no field")]
    NoChange,
    #[error("it came or went with a second account; merge or part the two cases instead")]
    SecondAccount,
    #[error("this is the notification itself; correct a field, or withdraw the notification")]
    Notification,
    #[error("the same fields were changed again since; change them once more instead")]
    ChangedSince(Vec<String>),
    #[error(
        "this change alerted {}, and that cannot be unsent; correct the field, and stand the response down if none is due",
        .0.join(", ")
    )]
    Alerted(Vec<String>),
    #[error(
        "somebody has decided about the response since, on what was known then; correct the field instead and say why"
    )]
    Decided,
    #[error(
        "the panel has reviewed the case on what was known then; correct the field with a reason and tell the chair"
    )]
    Reviewed,
    #[error("the notification was withdrawn; call a response to open the case again first")]
    Withdrawn,
}

/// What would take the change of one entry back: each of its fields as it was before.
///
/// # Errors
/// What stands in the way, in words that say what to do instead.
pub fn undo(
    state: &CaseState,
    events: &[(Recorded, String)],
    version: i64,
) -> Result<Vec<Put>, CannotUndo> {
    undo_of(&changes(events), state, events, version)
}

/// The same, of changes already worked out.
///
/// # Errors
/// As [`undo`].
pub fn undo_of(
    changes: &[Change],
    state: &CaseState,
    events: &[(Recorded, String)],
    version: i64,
) -> Result<Vec<Put>, CannotUndo> {
    let own: Vec<&Change> = changes.iter().filter(|c| c.version == version).collect();
    let Some(first) = own.first() else { return Err(CannotUndo::NoChange) };
    if first.how == How::Notified {
        return Err(CannotUndo::Notification);
    }
    if first.how == How::Detached || is_second(events, version) {
        return Err(CannotUndo::SecondAccount);
    }
    if state.withdrawn.is_some() {
        return Err(CannotUndo::Withdrawn);
    }
    if matches!(stage(state), Stage::Reviewed | Stage::Closed) {
        return Err(CannotUndo::Reviewed);
    }
    let since: BTreeSet<&String> =
        changes.iter().filter(|c| c.version > version).map(|c| &c.field).collect();
    let again: Vec<String> =
        own.iter().map(|c| &c.field).filter(|f| since.contains(f)).cloned().collect();
    if !again.is_empty() {
        return Err(CannotUndo::ChangedSince(again));
    }
    let later = usize::try_from(version).map_or(&[][..], |n| events.get(n..).unwrap_or_default());
    let alerted = alerted_by(later);
    if !alerted.is_empty() {
        return Err(CannotUndo::Alerted(alerted));
    }
    let decides = |e: &Event| matches!(e, Event::JarStoodDown { .. } | Event::JarCalled { .. });
    if later.iter().any(|(r, _)| decides(&r.event)) {
        return Err(CannotUndo::Decided);
    }
    Ok(own
        .into_iter()
        .map(|c| Put { field: c.field.clone(), was: c.after.clone(), to: c.before.clone() })
        .collect())
}

/// Whether the facts of this entry came with a second account.
fn is_second(events: &[(Recorded, String)], version: i64) -> bool {
    let at = usize::try_from(version - 1).ok().and_then(|n| events.get(n));
    at.is_some_and(|(r, _)| matches!(r.event, Event::FactsAmended { account: Some(_), .. }))
}

/// Who was alerted by the change that these events follow: it was assessed at once, and the alerts
/// that were due stand right behind.
fn alerted_by(later: &[(Recorded, String)]) -> Vec<String> {
    let assessed = |e: &Event| matches!(e, Event::JarAssessed { .. });
    let mut rest = later.iter().map(|(r, _)| &r.event).skip_while(|e| !assessed(e)).skip(1);
    match rest.next() {
        Some(Event::AlertsPlanned { alerts }) => {
            alerts.iter().map(|a| a.agency_name.clone()).collect()
        }
        _ => Vec::new(),
    }
}
