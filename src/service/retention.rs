//! Which cases' time is over, and their destruction by two named people.

use super::Service;
use super::error::{ServiceError, invalid};
use crate::auth::policy::{Action, Caller, Object};
use crate::domain::case::Refusal;
use crate::domain::civil_time;
use crate::domain::id::{CaseId, Reference};
use crate::domain::retention::{self, Due, OVER};
use crate::platform::crypt::{CryptError, hex};
use crate::store::{CaseFilter, DestructionRow, Page, Sort, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// A case that is over, and when it may be destroyed.
#[derive(Clone, Debug, Serialize)]
pub struct DueLine {
    pub reference: String,
    pub area: String,
    pub stage: String,
    pub due: Due,
    pub is_due: bool,
    /// It is restricted and not open to whoever asks: what it ended as, and dates from which a
    /// birthday could be told, are not shown.
    pub hidden: bool,
    /// Who asked for it to be destroyed, if somebody has.
    pub asked_by: Option<String>,
}

/// What says that a case was destroyed.
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    pub reference: String,
    pub area: String,
    pub rule: String,
    pub received_at: DateTime<Utc>,
    pub asked_at: DateTime<Utc>,
    pub asked_by: String,
    pub confirmed_at: Option<DateTime<Utc>>,
    pub confirmed_by: Option<String>,
    pub entries: Option<i64>,
    /// Hash of the last entry of the journal that stays, unreadable.
    pub head: Option<String>,
}

impl Service {
    /// Cases of the caller's areas that are over, those due first. With `all`, those too whose time
    /// is not.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn retention_list(
        &self,
        caller: &Caller,
        all: bool,
    ) -> Result<Vec<DueLine>, ServiceError> {
        Self::allow(caller, Action::Retention, Object::default())?;
        let today = civil_time::date_of(self.now());
        let asked = self.store.destructions().await?;
        let opened = self.opened_to(caller).await?;
        let mut out = Vec::new();
        for stage in OVER {
            let mut after = None;
            loop {
                let filter = CaseFilter {
                    areas: self.areas_of(caller),
                    stage: Some(stage.word().to_owned()),
                    ..CaseFilter::default()
                };
                let rows = self.store.list(&filter, &Page::newest(after, 200)).await?;
                let Some(last) = rows.last() else { break };
                after = Some(last.mark(Sort::Received));
                for r in &rows {
                    let loaded = match self.store.load(CaseId(r.id)).await {
                        Ok(Some(l)) => l,
                        Ok(None) | Err(StoreError::Crypt(CryptError::Destroyed)) => continue,
                        Err(e) => return Err(e.into()),
                    };
                    let Some(due) = retention::due(&loaded.state, &self.retention) else {
                        continue;
                    };
                    let is_due = due.is_due(today);
                    let theirs = *caller == Caller::operator() || opened.contains(&r.id);
                    let hidden = r.restricted && !theirs;
                    if is_due || (all && !hidden) {
                        let by = asked.iter().find(|d| d.case_id == r.id);
                        out.push(DueLine {
                            reference: r.reference.clone(),
                            area: r.area.clone(),
                            stage: stage.label().to_owned(),
                            due,
                            is_due,
                            hidden,
                            asked_by: by.map(|d| d.asked_by.clone()),
                        });
                    }
                }
            }
        }
        out.sort_by(|a, b| a.due.on.cmp(&b.due.on).then_with(|| a.reference.cmp(&b.reference)));
        let names = self.names().await?;
        for l in &mut out {
            l.asked_by = l.asked_by.as_ref().map(|a| super::audit::name_of(&names, a));
        }
        Ok(out)
    }

    /// The first of two people asks for a case to be destroyed.
    ///
    /// # Errors
    /// Not allowed, not found, not a person, not due (a legal hold), or asked for before.
    pub async fn ask_destruction(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<(), ServiceError> {
        let (id, area, due) = self.to_destroy(caller, reference).await?;
        let state = self.store.load(id).await?.ok_or(ServiceError::NotFound)?.state;
        let row = DestructionRow {
            case_id: id.0,
            reference: reference.to_string(),
            area,
            rule: due.rule,
            received_at: state.received_at,
            asked_at: self.now(),
            asked_by: caller.actor(),
            confirmed_at: None,
            confirmed_by: None,
            version: None,
            head: None,
        };
        let look = self.audit_row(caller, "ask_destruction", id, "retention");
        self.store.audit_all(vec![look]).await?;
        match self.store.ask_destruction(row).await {
            Err(StoreError::Commit(crate::store::CommitError::Conflict)) => Err(invalid(
                "reference",
                "asked_before",
                "its destruction was asked for before; somebody else has to confirm it",
            )),
            other => Ok(other?),
        }
    }

    /// The second person confirms: the key is destroyed, and nothing of the case can be read again.
    ///
    /// # Errors
    /// Not allowed, not found, nobody has asked, the same person asked, or a hold was placed.
    pub async fn confirm_destruction(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<(), ServiceError> {
        let (id, ..) = self.to_destroy(caller, reference).await?;
        let asked = self.store.destruction(reference).await?;
        let asked = asked.ok_or_else(|| {
            invalid("reference", "not_asked", "nobody has asked for its destruction yet")
        })?;
        if asked.asked_by == caller.actor() {
            return Err(invalid(
                "reference",
                "same_person",
                "you asked for it: somebody else has to confirm",
            ));
        }
        let look = self.audit_row(caller, "destroy", id, "retention");
        self.store.audit_all(vec![look]).await?;
        if !self.store.destroy(id, caller.actor(), self.now()).await? {
            return Err(ServiceError::Busy);
        }
        self.news.tell();
        Ok(())
    }

    async fn to_destroy(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<(CaseId, String, Due), ServiceError> {
        Self::allow(caller, Action::Retention, Object::default())?;
        if caller.person().is_none() {
            return Err(ServiceError::Forbidden);
        }
        let found = self.store.find_case(reference).await?.ok_or(ServiceError::NotFound)?;
        let object = Object { area: Some(&found.area), ..Object::default() };
        Self::allow(caller, Action::Retention, object).map_err(|_| ServiceError::NotFound)?;
        let id = CaseId(found.id);
        let state = self.store.load(id).await?.ok_or(ServiceError::NotFound)?.state;
        let today = civil_time::date_of(self.now());
        let due = retention::due(&state, &self.retention);
        let due = due.filter(|d| d.is_due(today)).ok_or(Refusal::NotDue)?;
        Ok((id, found.area, due))
    }

    /// The certificate of a case, or the request for its destruction.
    ///
    /// # Errors
    /// Not allowed, or there is none.
    pub async fn certificate(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<Certificate, ServiceError> {
        Self::allow(caller, Action::Retention, Object::default())?;
        let d = self.store.destruction(reference).await?.ok_or(ServiceError::NotFound)?;
        let object = Object { area: Some(&d.area), ..Object::default() };
        Self::allow(caller, Action::Retention, object).map_err(|_| ServiceError::NotFound)?;
        let names = self.names().await?;
        let name = |a: &String| super::audit::name_of(&names, a);
        Ok(Certificate {
            reference: d.reference,
            area: d.area,
            rule: d.rule,
            received_at: d.received_at,
            asked_at: d.asked_at,
            asked_by: name(&d.asked_by),
            confirmed_at: d.confirmed_at,
            confirmed_by: d.confirmed_by.as_ref().map(name),
            entries: d.version,
            head: d.head.map(|h| hex(&h)),
        })
    }
}
