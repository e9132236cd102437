//! A death is notified.

use super::Service;
use super::error::ServiceError;
use crate::auth::policy::{Action, Caller, Object};
use crate::domain::case::{self, CaseState};
use crate::domain::civil_time;
use crate::domain::event::{Event, Route};
use crate::domain::id::Reference;
use crate::domain::intake::{self, Need, Warning};
use crate::domain::jar::{self, Assessment};
use crate::domain::scope::{self, Scope};
use crate::platform::failpoint::{Point, reach};
use crate::store::changes::{AnswerRow, ChangeSet, SentDraft};
use crate::store::{CommitError, ServiceKey};
use chrono::{DateTime, Datelike, Utc};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// How often a second report is tried to be attached while its first case changes.
const JOINS: usize = 5;

/// What the caller repeats so that a repeat is not a second notification.
#[derive(Clone, Debug)]
pub struct Idempotency {
    pub key: String,
    /// The exact bytes of the request.
    pub body: Vec<u8>,
}

/// An answer as it was first given, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub repeated: bool,
}

impl Service {
    /// Accepts a notification: facts, decision, journal, alerts and messages in one commit.
    ///
    /// # Errors
    /// Only what makes it unusable (`Invalid`), a reused key, or a database that cannot store.
    pub async fn notify(
        &self,
        caller: &Caller,
        area: Option<&str>,
        body: Value,
        route: Route,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, ServiceError> {
        self.take_in(caller, area, body, route, idempotency, Need::CallBack, None).await
    }

    /// The same for every way in; a draft that it was made of becomes a sent one in the same commit.
    #[allow(clippy::too_many_arguments)] // a notification, where it came from, and what it was
    pub(super) async fn take_in(
        &self,
        caller: &Caller,
        area: Option<&str>,
        body: Value,
        route: Route,
        idempotency: Option<Idempotency>,
        need: Need,
        draft: Option<SentDraft>,
    ) -> Result<Answer, ServiceError> {
        let area = self.area_for(caller, area)?;
        Self::allow(
            caller,
            Action::Notify,
            Object { area: Some(&area), agencies: &[], ..Object::default() },
        )?;
        let what = format!("notify/{area}");
        let digests = idempotency.map(|i| self.digests(caller, &what, &i));
        if let Some((key, body)) = &digests
            && let Some(answer) = self.answered(key, body).await?
        {
            return Ok(answer);
        }
        let now = self.now();
        let accepted = intake::read(body, need, now).map_err(ServiceError::Invalid)?;
        let warnings = accepted.warnings.clone();
        let actor = caller.actor();

        let reference = self.store.next_reference(civil_time::date_of(now).year()).await?;
        // Made-up cases are not second reports of each other.
        let is_compared = route != Route::Seed;
        let alike = if is_compared { self.same_number(&accepted.facts).await } else { Vec::new() };
        let mut alone = false;
        for n in 0..=JOINS {
            let new = self.store.new_case()?;
            let case_id = new.id();
            let (reference, taken) = (reference.clone(), accepted.clone());
            let mut events = self.with_context(&area, now, &BTreeSet::new(), |ctx| {
                case::notify(reference.clone(), area.clone(), route, taken, ctx)
            });
            // If its first case changes again and again, it is a case of its own.
            let joined = match self.certain(&area, &alike).filter(|_| n < JOINS && !alone) {
                Some(first) => self.join(first, (case_id, &reference), &events, &actor).await,
                None => None,
            };
            let mut others = alike.clone();
            if let Some(j) = &joined {
                events = case::begin_account(events, &j.first, j.reason.clone());
                others.retain(|a| a.case != j.first.id);
            }
            events.extend(Self::found(case_id, &others));
            let planned = spoken(&events);
            let (mut set, state) = self.store.begin_case(new, events, &actor, now)?;
            let of_draft = draft.clone().map(|d| SentDraft { case_id: case_id.0, at: now, ..d });
            set.sent_drafts.extend(of_draft);
            let handover = self.plan_messages(&mut set, &state, &planned, now);
            let duplicate_of = match &joined {
                // In doubt nobody is told, and the notification goes on.
                Some(j) if self.may_read(caller, j.first.id).await.unwrap_or(false) => {
                    Some(&j.first.reference)
                }
                _ => None,
            };
            let answer = receipt(&state, &warnings, &set, duplicate_of).to_string();
            set.answers.extend(AnswerRow::of(digests.as_ref(), Some(case_id.0), 201, &answer, now));
            let mut handovers = vec![handover];
            let is_joined = joined.is_some();
            if let Some(j) = joined {
                set.absorb(j.set);
                handovers.push(j.handover);
            }
            match (self.commit_all(set, handovers).await, &digests) {
                (Ok(()), _) => {
                    if is_compared {
                        self.has_arrived(case_id);
                    }
                    return Ok(self.taken(answer));
                }
                (Err(CommitError::Conflict), digests) => {
                    // The same key was being stored at the same time: that one's answer is ours too.
                    if let Some((key, body)) = digests
                        && let Some(answer) = self.answered(key, body).await?
                    {
                        return Ok(answer);
                    }
                    match digests {
                        // The first case has moved on meanwhile.
                        _ if is_joined => {}
                        Some(_) => return Err(ServiceError::Busy),
                        None => return Err(CommitError::Conflict.into()),
                    }
                }
                // Whatever the database has against the two together, the report alone is sound.
                (Err(CommitError::Refused(why)), _) if is_joined => {
                    tracing::error!(error = %why, "a second report could not be stored with its first case; it stands for itself");
                    alone = true;
                }
                (Err(e), _) => return Err(e.into()),
            }
        }
        Err(ServiceError::Busy)
    }

    fn taken(&self, body: String) -> Answer {
        self.metrics.notifications.inc();
        reach(Point::BeforeReply);
        Answer { status: 201, body, repeated: false }
    }

    /// The decision for a body, storing nothing.
    ///
    /// # Errors
    /// Fields that cannot be used.
    pub fn assess(
        &self,
        caller: &Caller,
        area: Option<&str>,
        body: Value,
    ) -> Result<Value, ServiceError> {
        let area = self.area_for(caller, area)?;
        Self::allow(
            caller,
            Action::Assess,
            Object { area: Some(&area), agencies: &[], ..Object::default() },
        )?;
        let accepted =
            intake::read(body, Need::Nothing, self.now()).map_err(ServiceError::Invalid)?;
        let directory = self.directory();
        let extra = directory.area(&area).map_or(&[][..], |a| &a.extra_triggers);
        let scope = scope::judge(&accepted.facts);
        let assessment = jar::assess(&accepted.facts, extra);
        Ok(json!({
            "in_scope": scope.in_scope,
            "scope_reason": scope.reason,
            "warnings": all_warnings(&accepted.warnings, &assessment),
            "jar": jar_json(&assessment),
        }))
    }

    /// The area of a request: named, the caller's own, or the first configured.
    pub(super) fn area_for(
        &self,
        caller: &Caller,
        named: Option<&str>,
    ) -> Result<String, ServiceError> {
        let directory = self.directory();
        let area = match named {
            Some(a) => a,
            None if caller.area != "*" => &caller.area,
            None => directory.first(),
        };
        let known = directory.area(area).map(|a| a.id.clone());
        known.filter(|a| caller.covers(a)).ok_or_else(|| {
            super::invalid(
                "area",
                "not_in_list",
                "is not an area served here; leave it out to use the first one",
            )
        })
    }

    /// Keyed digests of a key (bound to its sender and use) and of a body: neither is stored.
    pub(super) fn digests(
        &self,
        caller: &Caller,
        what: &str,
        i: &Idempotency,
    ) -> (Vec<u8>, Vec<u8>) {
        let key = self.store.service_key(ServiceKey::Idempotency);
        let named = format!("{}\0{what}\0{}", caller.actor(), i.key);
        (key.mac(named.as_bytes()).to_vec(), key.mac(&i.body).to_vec())
    }

    pub(super) async fn answered(
        &self,
        key: &[u8],
        body: &[u8],
    ) -> Result<Option<Answer>, ServiceError> {
        let Some(row) = self.store.answered(key).await? else { return Ok(None) };
        if row.body != body {
            return Err(ServiceError::KeyReused);
        }
        let status = u16::try_from(row.status).unwrap_or(201);
        Ok(Some(Answer { status, body: row.answer, repeated: true }))
    }
}

/// The events that messages are made of, copied: the journal takes the originals.
pub(super) fn spoken(events: &[Event]) -> Vec<Event> {
    let speaks = |e: &&Event| {
        matches!(
            e,
            Event::AlertsPlanned { .. }
                | Event::AlertStepped { .. }
                | Event::AlertHandedOn { .. }
                | Event::AlertAcknowledged { .. }
                | Event::BecameAccount { .. }
                | Event::GlassBroken { .. }
                | Event::JarStoodDown { .. }
                | Event::NotificationWithdrawn { .. }
        )
    };
    events.iter().filter(speaks).cloned().collect()
}

/// What the notifier gets back. Nothing in it is about the child.
///
/// A second account is answered as a first report is: with whom it calls for. Only who may read the
/// first case is told of it.
fn receipt(
    state: &CaseState,
    warnings: &[Warning],
    set: &ChangeSet,
    duplicate_of: Option<&Reference>,
) -> Value {
    let Scope { in_scope, reason, .. } = &state.scope;
    let line = |id: Uuid, agency: &str, kind: &str, state: &str, acknowledge: bool| json!({ "id": id, "agency": agency, "kind": kind, "state": state, "acknowledge": acknowledge });
    let alerts: Vec<Value> = match &state.accounts.of {
        Some(of) => of
            .told
            .iter()
            .map(|t| line(t.id.0, &t.agency, t.kind.word(), t.state().word(), t.acknowledge))
            .collect(),
        None => set
            .alerts
            .iter()
            .map(|a| line(a.id, &a.agency, &a.kind, &a.state, a.acknowledge))
            .collect(),
    };
    json!({
        "reference": state.reference,
        "case_id": state.id,
        "duplicate_of": duplicate_of,
        "received_at": timestamp(state.received_at),
        "area": state.area,
        "in_scope": in_scope,
        "scope_reason": reason,
        "warnings": all_warnings(warnings, &state.assessment),
        "jar": jar_json(&state.assessment),
        "alerts": alerts,
    })
}

/// The decision as the API gives it.
#[must_use]
pub(super) fn jar_json(a: &Assessment) -> Value {
    serde_json::to_value(a).unwrap_or_default()
}

/// Intake's warnings and, as warnings too, the contradictions that the decision met.
pub(super) fn all_warnings(warnings: &[Warning], a: &Assessment) -> Vec<Warning> {
    let conflicts = a.conflicts.iter().map(|c| Warning {
        field: c.fields.join(", "),
        code: "contradiction".to_owned(),
        message: c.message.clone(),
    });
    warnings.iter().cloned().chain(conflicts).collect()
}

/// An instant as the API writes it.
#[must_use]
pub(super) fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
