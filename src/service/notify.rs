//! A death is notified.

use super::Service;
use super::error::ServiceError;
use crate::auth::policy::{Action, Caller, Object};
use crate::domain::case::{self, CaseState};
use crate::domain::civil_time;
use crate::domain::event::{Event, Route};
use crate::domain::intake::{self, Need, Warning};
use crate::domain::jar::{self, Assessment};
use crate::domain::scope::{self, Scope};
use crate::platform::failpoint::{Point, reach};
use crate::store::changes::{AnswerRow, ChangeSet, SentDraft};
use crate::store::{CommitError, ServiceKey};
use chrono::{DateTime, Datelike, Utc};
use serde_json::{Value, json};
use std::collections::BTreeSet;

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

        let new = self.store.new_case()?;
        let reference = self.store.next_reference(civil_time::date_of(now).year()).await?;
        let events = self.with_context(&area, now, &BTreeSet::new(), |ctx| {
            case::notify(reference, area.clone(), route, accepted, ctx)
        });
        let planned = spoken(&events);
        let case_id = new.id().0;
        let (mut set, state) = self.store.begin_case(new, events, &actor, now)?;
        set.sent_drafts.extend(draft.map(|d| SentDraft { case_id, at: now, ..d }));
        let handover = self.plan_messages(&mut set, &state, &planned, now);
        let answer = receipt(&state, &warnings, &set).to_string();
        if let Some((key, body)) = &digests {
            set.answers.push(AnswerRow {
                digest: key.clone(),
                body: body.clone(),
                status: 201,
                answer: answer.clone(),
                at: now,
            });
        }
        match (self.commit(set, handover).await, &digests) {
            (Ok(()), _) => {}
            // The same key was being stored at the same time: that one's answer is ours too.
            (Err(CommitError::Conflict), Some((key, body))) => {
                return self.answered(key, body).await?.ok_or(ServiceError::Busy);
            }
            (Err(e), _) => return Err(e.into()),
        }
        self.metrics.notifications.inc();
        reach(Point::BeforeReply);
        Ok(Answer { status: 201, body: answer, repeated: false })
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
                | Event::GlassBroken { .. }
                | Event::JarStoodDown { .. }
                | Event::NotificationWithdrawn { .. }
        )
    };
    events.iter().filter(speaks).cloned().collect()
}

/// What the notifier gets back. Nothing in it is about the child.
fn receipt(state: &CaseState, warnings: &[Warning], set: &ChangeSet) -> Value {
    let Scope { in_scope, reason, .. } = &state.scope;
    let alerts: Vec<Value> = set
        .alerts
        .iter()
        .map(|a| {
            json!({ "id": a.id, "agency": a.agency, "kind": a.kind, "state": a.state, "acknowledge": a.acknowledge })
        })
        .collect();
    json!({
        "reference": state.reference,
        "case_id": state.id,
        "duplicate_of": null,
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
