//! Editing what is known, by people who do not see each other: nobody's change is overwritten
//! unseen, and what was put right can be put back.

use super::decide::{At, reassessed};
use super::{CaseState, Context, Refusal};
use crate::domain::event::{Event, SetHow};
use crate::domain::facts::{Amendment, Facts};
use crate::domain::reading::{self, Reading, Readings};
use chrono::{DateTime, Utc};

/// What somebody changed on a form, or through the API.
#[derive(Clone, Default)]
pub struct Edit {
    /// What they had before their eyes. None: they did not say, so nothing can clash.
    pub base: Option<Facts>,
    /// The earlier value was wrong.
    pub corrections: Facts,
    /// Somebody else says otherwise.
    pub accounts: Facts,
    pub reason: String,
}

/// One field put as it was, or as somebody chose.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    pub field: String,
    /// How it stood when this was decided.
    pub was: Reading,
    pub to: Reading,
}

/// An edit; no events if nothing was new.
///
/// # Errors
/// Somebody else changed one of the same fields since; or the facts put together are impossible.
pub fn edit(
    state: &CaseState,
    edit: &Edit,
    now: DateTime<Utc>,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    if let Some(base) = &edit.base {
        let clashes = reading::clashes(base, &state.facts, &edit.corrections);
        if !clashes.is_empty() {
            return Err(Refusal::ChangedMeanwhile(clashes));
        }
    }
    let mut facts = state.facts.clone();
    let mut events = Vec::new();
    let both =
        [(&edit.corrections, Amendment::Correction), (&edit.accounts, Amendment::FurtherAccount)];
    for (patch, how) in both {
        let (next, changed) = facts.amended(patch, how);
        if next != facts {
            let (patch, reason) = (Box::new(patch.clone()), edit.reason.clone());
            events.push(Event::FactsAmended { patch, how, changed, reason, account: None });
            facts = next;
        }
    }
    if events.is_empty() && state.withdrawn.is_none() {
        return Ok(Vec::new());
    }
    reassessed(state, events, &facts, &At::own(now), ctx)
}

/// Puts fields exactly so; no events if they stand so already.
///
/// # Errors
/// One of them does not stand any more as it did when this was decided; or the facts put together
/// are impossible.
pub fn put(
    state: &CaseState,
    puts: &[Put],
    how: SetHow,
    reason: &str,
    now: DateTime<Utc>,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    let is = reading::readings(&state.facts);
    let nothing = Reading::default();
    let of = |p: &Put| is.get(&p.field).unwrap_or(&nothing);
    let moved: Vec<String> =
        puts.iter().filter(|p| *of(p) != p.was).map(|p| p.field.clone()).collect();
    if !moved.is_empty() {
        return Err(Refusal::ChangedMeanwhile(moved));
    }
    let fields: Readings = puts.iter().map(|p| (p.field.clone(), p.to.clone())).collect();
    let facts = reading::with(&state.facts, &fields);
    if facts == state.facts {
        return Ok(Vec::new());
    }
    let said = Event::FactsSet { fields, how, reason: reason.to_owned() };
    reassessed(state, vec![said], &facts, &At::own(now), ctx)
}
