//! An agency's part of a response, for whoever may enter it. It says nothing of the child, so it is
//! open to the agency also where the case itself is not: a response must not fail because the case
//! is secret.

use super::Service;
use super::error::ServiceError;
use crate::auth::policy::{Action, Caller};
use crate::domain::case::CaseState;
use crate::domain::id::Reference;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// One entry.
#[derive(Clone, Debug, Serialize)]
pub struct PlanLine {
    pub at: DateTime<Utc>,
    pub agency: String,
    pub who: String,
    pub entry: String,
}

/// What the page of an agency's part shows.
#[derive(Clone, Debug, Serialize)]
pub struct PlanPart {
    pub reference: String,
    pub area_name: String,
    pub call_back: String,
    /// Ids and names of the agencies whose part the caller may enter.
    pub agencies: Vec<(String, String)>,
    /// What these have entered.
    pub entries: Vec<PlanLine>,
    /// Stood down or withdrawn: nothing is waited for any more.
    pub over: bool,
}

impl Service {
    /// The part of a response that the caller may enter. The look is recorded first: what an agency
    /// has entered may speak of the child.
    ///
    /// # Errors
    /// Not found, not the caller's agency's, or the database is away.
    pub async fn plan_part(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<PlanPart, ServiceError> {
        let opened = self.open(caller, reference, Action::EnterPlan).await?;
        self.note(caller, "read_plan", Some(&opened)).await?;
        let s = self.store.load(opened.id).await?.ok_or(ServiceError::NotFound)?.state;
        let agencies = plan_agencies(caller, &s);
        let mine = |id: &str| agencies.iter().find(|a| a.0 == id).map(|a| a.1.clone());
        let entries = s.plan.iter().filter_map(|e| {
            let (at, who, entry) = (e.at, e.person.name.clone(), e.entry.clone());
            Some(PlanLine { at, agency: mine(&e.agency)?, who, entry })
        });
        let today = self.directory();
        let area = today.area(&s.area);
        Ok(PlanPart {
            reference: s.reference.to_string(),
            area_name: area.map(|a| a.name.clone()).unwrap_or_default(),
            call_back: area.map(|a| a.call_back.clone()).unwrap_or_default(),
            entries: entries.collect(),
            over: s.stood_down.is_some() || s.withdrawn.is_some(),
            agencies,
        })
    }
}

/// The agencies whose part somebody may enter: their own, or any that was asked.
#[must_use]
pub fn plan_agencies(caller: &Caller, s: &CaseState) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for a in s.alerts.values().filter(|a| a.kind.is_response()) {
        let own = caller.agency.as_ref().is_none_or(|c| *c == a.agency);
        if own && !out.iter().any(|o| o.0 == a.agency) {
            out.push((a.agency.clone(), a.agency_name.clone()));
        }
    }
    out
}
