//! Editing a case on pages: what it would do, shown before it is done; how each field came to be
//! what it is; taking a change back; settling two accounts.

use super::Service;
use super::audit::name_of;
use super::change::{facts_at, take_back};
use super::error::{ServiceError, invalid};
use crate::auth::policy::{Action, Caller};
use crate::domain::case::{self, CaseState, Context, Edit, Put, Refusal};
use crate::domain::event::{Event, Recorded, SetHow};
use crate::domain::facts::Facts;
use crate::domain::history::{self, CannotUndo, Change};
use crate::domain::id::{CaseId, Reference};
use crate::domain::intake::{self, Need, Warning};
use crate::domain::jar::Decision;
use crate::domain::reading::{self, Reading};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};

/// How often a change is tried when others change the same case.
const TRIES: usize = 10;

/// Something that changes what is known of a case.
#[derive(Clone, Debug)]
pub enum Revision {
    Edit {
        /// What stands instead, as a partial notification body.
        corrections: Value,
        /// Fields that are not known after all.
        not_known: Vec<String>,
        /// What somebody else says, likewise.
        accounts: Value,
        reason: String,
        /// The version of the case that was shown.
        seen: i64,
    },
    /// Takes the change of one entry back.
    Undo { version: i64, reason: String },
    /// Chooses one of several accounts of a field.
    Settle { field: String, choice: usize, reason: String, seen: i64 },
}

/// What a revision would do.
#[derive(Clone, Debug)]
pub struct Effect {
    /// Every field it changes.
    pub changes: Vec<Put>,
    pub standing: (Decision, Decision),
    /// What the rules said and would say.
    pub rules: (Decision, Decision),
    pub reason: String,
    /// Who would be alerted at once.
    pub alerted: Vec<String>,
    /// What should be looked at and was not there before.
    pub warnings: Vec<Warning>,
    /// It changes nothing.
    pub nothing: bool,
}

/// What a revision has done.
#[derive(Clone, Copy, Debug)]
pub struct Revised {
    /// The entry of the case that an undo would name; none if nothing changed.
    pub entry: Option<i64>,
}

/// A case in front of somebody who edits it.
pub struct Desk {
    pub state: CaseState,
    /// The facts at the version that was shown.
    pub shown: Facts,
    pub events: Vec<(Recorded, String)>,
}

/// One change of one field, with who made it.
pub struct FieldChange {
    pub change: Change,
    pub who: String,
    /// Whether it can be taken back, and if not, why.
    pub undo: Result<(), CannotUndo>,
}

/// How the facts came to be what they are.
pub struct History {
    pub state: CaseState,
    /// The latest first.
    pub changes: Vec<FieldChange>,
}

/// A revision read, checked and tied to what its writer saw.
enum Prepared {
    Edit(Box<Edit>),
    Put { puts: Vec<Put>, how: SetHow, reason: String },
}

impl Prepared {
    fn events(
        &self,
        s: &CaseState,
        now: DateTime<Utc>,
        ctx: &mut Context<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        match self {
            Self::Edit(edit) => case::edit(s, edit, now, ctx),
            Self::Put { puts, how, reason } => case::put(s, puts, *how, reason, now, ctx),
        }
    }
}

impl Service {
    /// A case to be edited, as it stands and as it stood at the version that was shown. The look
    /// is recorded first.
    ///
    /// # Errors
    /// Not found, not allowed, no such version, or the database is away.
    pub async fn edit_desk(
        &self,
        caller: &Caller,
        reference: &Reference,
        shown: Option<i64>,
    ) -> Result<Desk, ServiceError> {
        let opened = self.open(caller, reference, Action::ChangeCase).await?;
        self.note(caller, "edit_case", Some(&opened)).await?;
        let (state, events) = self.with_history(opened.id).await?;
        let shown = match shown {
            Some(version) => facts_at(&events, version)?,
            None => state.facts.clone(),
        };
        Ok(Desk { state, shown, events })
    }

    /// Every change of every field, the latest first. The look is recorded first.
    ///
    /// # Errors
    /// Not found, or the database is away.
    pub async fn field_history(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<History, ServiceError> {
        let opened = self.open(caller, reference, Action::ReadCase).await?;
        self.note(caller, "read_history", Some(&opened)).await?;
        let (state, events) = self.with_history(opened.id).await?;
        let all = history::changes(&events);
        let names = self.hands_of(&all).await?;
        let mut undo = HashMap::new();
        for c in &all {
            undo.entry(c.version)
                .or_insert_with(|| history::undo_of(&all, &state, &events, c.version).map(drop));
        }
        let line = |change: Change| FieldChange {
            who: names.get(&change.actor).cloned().unwrap_or_default(),
            undo: undo.get(&change.version).cloned().unwrap_or(Err(CannotUndo::NoChange)),
            change,
        };
        let changes = all.into_iter().rev().map(line).collect();
        Ok(History { state, changes })
    }

    /// Who made the latest change of each field, by field.
    ///
    /// # Errors
    /// The database is away.
    pub async fn last_hands(
        &self,
        events: &[(Recorded, String)],
    ) -> Result<HashMap<String, (String, DateTime<Utc>)>, ServiceError> {
        let all = history::changes(events);
        let names = self.hands_of(&all).await?;
        let name = |a: &str| names.get(a).cloned().unwrap_or_default();
        Ok(all.iter().map(|c| (c.field.clone(), (name(&c.actor), c.at))).collect())
    }

    /// What a revision would do. Nothing is stored.
    ///
    /// # Errors
    /// As [`Service::revise`].
    pub async fn preview(
        &self,
        caller: &Caller,
        reference: &Reference,
        revision: &Revision,
    ) -> Result<Effect, ServiceError> {
        let id = self.find(caller, reference, Action::ChangeCase).await?;
        let (state, events) = self.with_history(id).await?;
        let prepared = self.prepare(&state, &events, revision)?;
        let now = self.now().max(state.changed_at);
        let none = BTreeSet::new();
        let new = self
            .with_context(&state.area, now, &none, |ctx| prepared.events(&state, now, ctx))
            .map_err(ServiceError::from)?;
        let next = new.iter().cloned().try_fold(state.clone(), |s, event| {
            case::apply(id, Some(s), Recorded { at: now, event })
        });
        let next = next.ok_or(ServiceError::NotFound)?;
        let alerted = new.iter().filter_map(|e| match e {
            Event::AlertsPlanned { alerts } => Some(alerts.iter().map(|a| a.agency_name.clone())),
            _ => None,
        });
        let had = intake::review(&state.facts, now).unwrap_or_default();
        let mut warnings = intake::review(&next.facts, now).unwrap_or_default();
        warnings.retain(|w| !had.contains(w));
        Ok(Effect {
            changes: differences(&state.facts, &next.facts),
            standing: (state.standing, next.standing),
            rules: (state.assessment.decision, next.assessment.decision),
            reason: next.assessment.reason.clone(),
            alerted: alerted.flatten().collect(),
            warnings,
            nothing: new.is_empty(),
        })
    }

    /// Carries a revision out.
    ///
    /// # Errors
    /// Not found, not allowed; a field that cannot be used; a field that somebody else has changed
    /// since (nothing is overwritten); a change that cannot be taken back.
    pub async fn revise(
        &self,
        caller: &Caller,
        reference: &Reference,
        revision: &Revision,
    ) -> Result<Revised, ServiceError> {
        let id = self.find(caller, reference, Action::ChangeCase).await?;
        let mut last = ServiceError::Busy;
        for _ in 0..TRIES {
            let (state, events) = self.with_history(id).await?;
            let prepared = self.prepare(&state, &events, revision)?;
            let now = self.now();
            let new = AtomicI64::new(0);
            let decide = |s: &CaseState, ctx: &mut Context<'_>| {
                let events = prepared.events(s, now.max(s.changed_at), ctx)?;
                new.store(i64::try_from(events.len()).unwrap_or(0), Ordering::Relaxed);
                Ok(events)
            };
            let none = BTreeSet::new();
            match self.decide(caller, id, None, &none, decide, |_| Value::Null).await {
                Ok((d, _)) => {
                    let first = d.state.version + 1 - new.load(Ordering::Relaxed);
                    return Ok(Revised { entry: (!d.unchanged).then_some(first) });
                }
                // The field moved between our look and our word: look again, so that the answer
                // is about what stands now.
                Err(e @ ServiceError::Refused(Refusal::ChangedMeanwhile(_)))
                    if matches!(revision, Revision::Undo { .. }) =>
                {
                    last = e;
                }
                Err(e) => return Err(e),
            }
        }
        Err(last)
    }

    fn prepare(
        &self,
        state: &CaseState,
        events: &[(Recorded, String)],
        revision: &Revision,
    ) -> Result<Prepared, ServiceError> {
        match revision {
            Revision::Edit { corrections, not_known, accounts, reason, seen } => {
                let read = |body: &Value| {
                    intake::read(body.clone(), Need::Nothing, self.now())
                        .map(|a| a.facts)
                        .map_err(ServiceError::Invalid)
                };
                let mut edit = Edit {
                    base: Some(facts_at(events, *seen)?),
                    corrections: read(corrections)?,
                    accounts: read(accounts)?,
                    reason: reason.clone(),
                };
                take_back(&mut edit.corrections, not_known)?;
                Ok(Prepared::Edit(Box::new(edit)))
            }
            Revision::Undo { version, reason } => {
                let puts = history::undo(state, events, *version)
                    .map_err(|why| ServiceError::Refused(Refusal::CannotUndo(why)))?;
                let how = SetHow::Undo { version: *version };
                Ok(Prepared::Put { puts, how, reason: reason.clone() })
            }
            Revision::Settle { field, choice, reason, seen } => {
                let was = reading::reading(&facts_at(events, *seen)?, field);
                let all: Vec<&Value> = was.value.iter().chain(&was.others).collect();
                let Some(chosen) = all.get(*choice) else {
                    return Err(invalid("choice", "required", "choose which account holds"));
                };
                let to = Reading { value: Some((*chosen).clone()), ..Reading::default() };
                let put = Put { field: field.clone(), was, to };
                let reason = reason.clone();
                Ok(Prepared::Put { puts: vec![put], how: SetHow::Settled, reason })
            }
        }
    }

    /// A case and its events, as of one moment.
    async fn with_history(
        &self,
        id: CaseId,
    ) -> Result<(CaseState, Vec<(Recorded, String)>), ServiceError> {
        let events = self.store.history(id).await?;
        let state = case::replay(id, events.iter().map(|(r, _)| r.clone()));
        Ok((state.ok_or(ServiceError::NotFound)?, events))
    }

    /// Whoever made some changes, by actor.
    ///
    /// # Errors
    /// The database is away.
    pub async fn hands_of(&self, all: &[Change]) -> Result<HashMap<String, String>, ServiceError> {
        let names = self.names().await?;
        Ok(all.iter().map(|c| (c.actor.clone(), name_of(&names, &c.actor))).collect())
    }
}

/// Fields that stand differently.
fn differences(was: &Facts, is: &Facts) -> Vec<Put> {
    let (was, is) = (reading::readings(was), reading::readings(is));
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let of = |all: &reading::Readings, f: &String| all.get(f).cloned().unwrap_or_default();
    names
        .into_iter()
        .map(|f| Put { field: f.clone(), was: of(&was, f), to: of(&is, f) })
        .filter(|p| p.was != p.to)
        .collect()
}
