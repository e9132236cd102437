//! Drills: the whole path with nobody dead. A drill is a stream of its own with alerts like any
//! other, marked in every message, and left out of lists, exports and figures.

use super::error::ServiceError;
use super::notify::spoken;
use super::{Answer, Idempotency, Service};
use crate::auth::policy::{Action, Caller, Object};
use crate::domain::alert::AlertKind;
use crate::domain::case;
use crate::domain::civil_time;
use crate::domain::id::{CaseId, Reference};
use crate::store::changes::AnswerRow;
use crate::store::{AttemptView, CaseFilter, CommitError, Listed, Page};
use chrono::{DateTime, Datelike, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How one agency did.
#[derive(Clone, Debug, Serialize)]
pub struct DrillLine {
    pub agency: String,
    pub agency_name: String,
    pub acknowledge: bool,
    /// Minutes and seconds after the start, as text; none if it never happened.
    pub accepted: Option<String>,
    pub delivered: Option<String>,
    pub opened: Option<String>,
    pub acknowledged: Option<String>,
    pub by: Option<String>,
    pub means: Option<&'static str>,
    /// Steps of the ladder that were needed.
    pub steps: u32,
    /// A human had to be told to ring.
    pub human_needed: bool,
    pub verdict: String,
}

/// The result of a drill, on one page.
#[derive(Clone, Debug, Serialize)]
pub struct DrillResult {
    pub reference: String,
    pub area: String,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub reached: usize,
    pub asked: usize,
    pub lines: Vec<DrillLine>,
}

impl Service {
    /// Starts a drill in an area: a Joint Agency Response, as far as the partners are concerned.
    /// The same key and body again start no second one and give the first answer.
    ///
    /// # Errors
    /// Not allowed, no such area, nobody to be told, not storable, or a key used before with
    /// another body.
    pub async fn start_drill(
        &self,
        caller: &Caller,
        area: &str,
        idempotency: Option<Idempotency>,
    ) -> Result<(Reference, Answer), ServiceError> {
        Self::allow(
            caller,
            Action::Drill,
            Object { area: Some(area), agencies: &[], ..Object::default() },
        )?;
        if self.directory().area(area).is_none() {
            return Err(ServiceError::NotFound);
        }
        let digests = idempotency.map(|i| self.digests(caller, "drill", &i));
        if let Some((key, body)) = &digests
            && let Some(answer) = self.answered(key, body).await?
        {
            return begun(answer);
        }
        let now = self.now();
        let new = self.store.new_case()?;
        let reference = self.store.next_reference(civil_time::date_of(now).year()).await?;
        let events = self.with_context(area, now, &BTreeSet::new(), |ctx| {
            case::drill(reference.clone(), area.to_owned(), AlertKind::JarTriggered, ctx)
        });
        let planned = spoken(&events);
        if planned.is_empty() {
            return Err(super::invalid(
                "area",
                "nobody",
                "nobody is told of a response in this area; see the directory",
            ));
        }
        let (mut set, state) = self.store.begin_case(new, events, &caller.actor(), now)?;
        let handover = self.plan_messages(&mut set, &state, &planned, now);
        let answer = json!(result_of(&state, &[])).to_string();
        set.answers.extend(AnswerRow::of(digests.as_ref(), Some(state.id.0), 201, &answer, now));
        match (self.commit(set, handover).await, &digests) {
            (Ok(()), _) => Ok((reference, Answer { status: 201, body: answer, repeated: false })),
            // The same key was being stored at the same time: that one's answer is ours too.
            (Err(CommitError::Conflict), Some((key, body))) => {
                begun(self.answered(key, body).await?.ok_or(ServiceError::Busy)?)
            }
            (Err(e), _) => Err(e.into()),
        }
    }

    /// Ends a drill: everybody who was told of it is told so, ladders stop.
    ///
    /// # Errors
    /// Not allowed, no such drill, or not storable.
    pub async fn end_drill(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<(), ServiceError> {
        Self::allow(caller, Action::Drill, Object::default())?;
        self.drill_case(caller, reference).await?;
        let wish = super::Wish::Withdraw { reason: "The drill is over.".to_owned() };
        match self.change(caller, reference, wish, None).await {
            // Ended before: the same.
            Ok(_) | Err(ServiceError::Refused(case::Refusal::AlreadyWithdrawn)) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// How a drill went, so far or in the end.
    ///
    /// # Errors
    /// Not allowed, or no such drill.
    pub async fn drill_result(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<DrillResult, ServiceError> {
        // Who may start one may see how it went, also a token that only writes.
        Self::allow(caller, Action::ReadDirectory, Object::default())
            .or_else(|_| Self::allow(caller, Action::Drill, Object::default()))?;
        let id = self.drill_case(caller, reference).await?;
        let state = self.store.load(id).await?.ok_or(ServiceError::NotFound)?.state;
        let attempts = self.store.attempts(id).await?;
        Ok(result_of(&state, &attempts))
    }

    /// Drills of the caller's areas, newest first.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn drills(&self, caller: &Caller) -> Result<Vec<Listed>, ServiceError> {
        Self::allow(caller, Action::ReadDirectory, Object::default())?;
        let filter = CaseFilter {
            areas: self.areas_of(caller),
            stage: Some("drill".to_owned()),
            ..CaseFilter::default()
        };
        Ok(self.store.list(&filter, &Page::newest(None, 50)).await?)
    }

    async fn drill_case(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<CaseId, ServiceError> {
        let (id, area) = self.store.find(reference).await?.ok_or(ServiceError::NotFound)?;
        let row = self.store.case_row(id).await?.ok_or(ServiceError::NotFound)?;
        if row.stage == "drill" && caller.covers(&area) {
            Ok(id)
        } else {
            Err(ServiceError::NotFound)
        }
    }

    /// What the watcher holds against the service, in the caller's areas.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn findings(
        &self,
        caller: &Caller,
    ) -> Result<Vec<crate::store::FindingRow>, ServiceError> {
        Self::allow(caller, Action::ListCases, Object::default())?;
        let mut all = self.store.findings().await?;
        all.extend(self.glass_findings().await?);
        all.retain(|f| caller.covers(&f.area));
        Ok(all)
    }

    /// An agency's name as the directory has it today.
    #[must_use]
    pub fn agency_name(&self, area: &str, agency: &str) -> String {
        let today = self.directory();
        today.agency(area, agency).map_or_else(|| agency.replace('_', " "), |a| a.name.clone())
    }

    /// Whether the caller may enter any agency's part of a case's response.
    #[must_use]
    pub fn may_plan(&self, caller: &Caller, s: &case::CaseState) -> bool {
        let agencies: Vec<&str> = s.alerts.values().map(|a| a.agency.as_str()).collect();
        let object = Object { area: Some(&s.area), agencies: &agencies, ..Object::default() };
        crate::auth::policy::may(caller, Action::EnterPlan, object)
    }
}

/// The drill of an answer that was given before.
fn begun(answer: Answer) -> Result<(Reference, Answer), ServiceError> {
    let first: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let reference = first["reference"].as_str().and_then(Reference::parse);
    Ok((reference.ok_or(ServiceError::NotFound)?, answer))
}

/// How a drill went so far, by its alerts and what was tried.
fn result_of(state: &case::CaseState, attempts: &[AttemptView]) -> DrillResult {
    let mut lines: Vec<DrillLine> = state
        .alerts
        .iter()
        .filter(|(_, a)| a.kind.is_response())
        .map(|(id, a)| line(id.0, a, attempts))
        .collect();
    lines.sort_by(|a, b| a.agency_name.cmp(&b.agency_name));
    let asked: Vec<&DrillLine> = lines.iter().filter(|l| l.acknowledge).collect();
    DrillResult {
        reference: state.reference.to_string(),
        area: state.area.clone(),
        started_at: state.received_at,
        ended_at: state.withdrawn.as_ref().map(|w| w.at),
        reached: asked.iter().filter(|l| l.acknowledged.is_some()).count(),
        asked: asked.len(),
        lines,
    }
}

fn line(id: uuid::Uuid, a: &case::Alert, attempts: &[AttemptView]) -> DrillLine {
    let since = |at: DateTime<Utc>| {
        let s = (at - a.planned_at).num_seconds().max(0);
        format!("{} min {:02} s", s / 60, s % 60)
    };
    let first = |outcome: &str| {
        let found = attempts.iter().find(|t| t.alert_id == id && t.outcome == outcome);
        found.map(|t| since(t.at))
    };
    let ack = a.acknowledged.as_ref();
    let verdict = match (a.acknowledge, ack) {
        (false, _) if first("accepted").is_some() => "told; need not acknowledge".to_owned(),
        (false, _) => "NOT TOLD: nothing was accepted".to_owned(),
        (true, Some(k)) if a.steps == 0 => {
            format!("reached in {}, by the first message", since(k.at))
        }
        (true, Some(k)) => format!("reached in {}, after {} more steps", since(k.at), a.steps),
        (true, None) => "NOT REACHED".to_owned(),
    };
    DrillLine {
        agency: a.agency.clone(),
        agency_name: a.agency_name.clone(),
        acknowledge: a.acknowledge,
        accepted: first("accepted"),
        delivered: first("delivered"),
        opened: first("opened"),
        acknowledged: ack.map(|k| since(k.at)),
        by: ack.map(|k| k.person.name.clone()),
        means: ack.map(|k| k.means.label()),
        steps: a.steps,
        human_needed: a.human_told.is_some(),
        verdict,
    }
}
