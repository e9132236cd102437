//! Panels: make one, put ready cases on its list, read the list without names.

use super::error::{ServiceError, invalid};
use super::{Answer, Idempotency, Service};
use crate::auth::policy::{Action, Caller, Object, Who, may};
use crate::domain::age::band_label;
use crate::domain::case::{self, Refusal};
use crate::domain::civil_time;
use crate::domain::id::{PanelId, Reference};
use crate::domain::ready::Blocker;
use crate::platform::crypt::Key;
use crate::platform::fresh;
use crate::store::CommitError;
use crate::store::changes::{AnswerRow, ChangeSet, PanelRow};
use chrono::NaiveDate;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A panel's list as members see it.
#[derive(Clone, Debug)]
pub struct PanelList {
    pub panel: PanelRow,
    pub lines: Vec<PanelListLine>,
}

/// One case on the list: nothing that names the child.
#[derive(Clone, Debug, Serialize)]
pub struct PanelListLine {
    pub anonymous_reference: String,
    pub age_band: String,
    pub category: Option<i64>,
    pub days_since_death: Option<i64>,
    pub blockers: Vec<Blocker>,
    /// For the coordinator's page only; never in the list itself. Empty where the case is restricted
    /// and not open to whoever looks.
    #[serde(skip)]
    pub reference: String,
}

impl Service {
    /// Sets up a panel; the same key and body again give the first answer.
    ///
    /// # Errors
    /// As [`Service::create_panel`], or a key used before with another body.
    pub async fn create_panel_once(
        &self,
        caller: &Caller,
        area: Option<&str>,
        name: &str,
        held_on: Option<NaiveDate>,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, ServiceError> {
        let digests = idempotency.map(|i| self.digests(caller, "panel", &i));
        if let Some((key, body)) = &digests
            && let Some(answer) = self.answered(key, body).await?
        {
            return Ok(answer);
        }
        let panel = self.new_panel(caller, area, name, held_on)?;
        let answer = panel_json(&panel).to_string();
        let mut set = ChangeSet { panels: vec![panel.clone()], ..ChangeSet::default() };
        set.answers.extend(AnswerRow::of(digests.as_ref(), None, 201, &answer, panel.created_at));
        match (self.store.commit(set).await, &digests) {
            (Ok(()), _) => Ok(Answer { status: 201, body: answer, repeated: false }),
            (Err(CommitError::Conflict), Some((key, body))) => {
                self.answered(key, body).await?.ok_or(ServiceError::Busy)
            }
            (Err(e), _) => Err(e.into()),
        }
    }

    /// # Errors
    /// Not allowed, a missing name, or not storable.
    pub async fn create_panel(
        &self,
        caller: &Caller,
        area: Option<&str>,
        name: &str,
        held_on: Option<NaiveDate>,
    ) -> Result<PanelRow, ServiceError> {
        let panel = self.new_panel(caller, area, name, held_on)?;
        let set = ChangeSet { panels: vec![panel.clone()], ..ChangeSet::default() };
        self.store.commit(set).await?;
        Ok(panel)
    }

    fn new_panel(
        &self,
        caller: &Caller,
        area: Option<&str>,
        name: &str,
        held_on: Option<NaiveDate>,
    ) -> Result<PanelRow, ServiceError> {
        let directory = self.directory();
        let own = if caller.area == "*" { directory.first() } else { &caller.area };
        let area = area.unwrap_or(own);
        Self::allow(caller, Action::ChangePanels, Object::default())?;
        let known = directory.area(area).filter(|a| caller.covers(&a.id));
        let area = known
            .ok_or_else(|| invalid("area", "not_in_list", "is not an area of yours"))?
            .id
            .clone();
        if name.trim().is_empty() {
            return Err(invalid("name", "required", "give the panel a name"));
        }
        let Some(held_on) = held_on else {
            return Err(invalid(
                "held_on",
                "required",
                "give the day of the meeting, like 2026-12-01",
            ));
        };
        Ok(PanelRow {
            id: fresh::id(),
            area,
            name: name.trim().to_owned(),
            held_on,
            created_at: self.now(),
        })
    }

    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn panels(&self, caller: &Caller) -> Result<Vec<PanelRow>, ServiceError> {
        Self::allow(caller, Action::ReadPanels, Object::default())?;
        let mut all = Vec::new();
        for area in self.areas_of(caller) {
            all.extend(self.store.panels(&area).await?);
        }
        Ok(all)
    }

    /// A panel with its list.
    ///
    /// # Errors
    /// Not found (also another area's), or the database is away.
    pub async fn panel(&self, caller: &Caller, id: PanelId) -> Result<PanelList, ServiceError> {
        let panel = self.panel_for(caller, id, Action::ReadPanels).await?;
        // References join the anonymous list to the children: only for those who list cases.
        let names = may(caller, Action::ListCases, Object::default());
        if names {
            self.note(caller, "read_panel", None).await?;
        }
        let open = self.opened_to(caller).await?;
        let sees_all = matches!(caller.who, Who::Operator);
        let today = civil_time::date_of(self.now());
        let line = |l: crate::store::PanelLine| PanelListLine {
            anonymous_reference: l.anonymous_reference,
            age_band: band_label(l.age_band.as_deref()).to_owned(),
            category: l.category,
            days_since_death: l.died_on.map(|d| (today - d).num_days()),
            blockers: serde_json::from_str(&l.blockers).unwrap_or_default(),
            // Whose line a restricted case's is, only those learn to whom it is open.
            reference: if names && (sees_all || !l.restricted || open.contains(&l.case_id)) {
                l.reference
            } else {
                String::new()
            },
        };
        let lines = self.store.panel_lines(id).await?.into_iter().map(line).collect();
        Ok(PanelList { panel, lines })
    }

    /// Puts a case on a panel's list; a case that is not ready only with a reason.
    ///
    /// # Errors
    /// Not found, not ready and no reason, on another list, or not storable.
    pub async fn list_for_panel(
        &self,
        caller: &Caller,
        panel: PanelId,
        reference: &Reference,
        despite: Option<String>,
    ) -> Result<(), ServiceError> {
        self.list_for_panel_at(caller, panel, reference, despite, None).await
    }

    /// The same, only if the case still stands at `version`.
    pub(super) async fn list_for_panel_at(
        &self,
        caller: &Caller,
        panel: PanelId,
        reference: &Reference,
        despite: Option<String>,
        version: Option<i64>,
    ) -> Result<(), ServiceError> {
        let row = self.panel_for(caller, panel, Action::ChangePanels).await?;
        let id = self.find(caller, reference, Action::ChangePanels).await?;
        let area_of_case = self.store.case_row(id).await?.ok_or(ServiceError::NotFound)?.area;
        if area_of_case != row.area {
            return Err(ServiceError::NotFound);
        }
        let anonymous = anonymous_reference()?;
        let despite = despite.map(|d| d.trim().to_owned()).filter(|d| !d.is_empty());
        let decide = |s: &case::CaseState, _: &mut case::Context<'_>| {
            if version.is_some_and(|v| s.changed_since(v)) {
                return Err(Refusal::ChangedSince);
            }
            case::list_for_panel(
                s,
                panel,
                row.name.clone(),
                row.held_on,
                anonymous.clone(),
                despite.clone(),
            )
        };
        self.decide(caller, id, None, &BTreeSet::new(), decide, |_| Value::Null).await?;
        Ok(())
    }

    /// Takes a case off a list again.
    ///
    /// # Errors
    /// Not found, not on the list, or not storable.
    pub async fn take_off_panel(
        &self,
        caller: &Caller,
        panel: PanelId,
        reference: &Reference,
        reason: &str,
    ) -> Result<(), ServiceError> {
        self.panel_for(caller, panel, Action::ChangePanels).await?;
        let id = self.find(caller, reference, Action::ChangePanels).await?;
        let decide = |s: &case::CaseState, _: &mut case::Context<'_>| -> Result<_, Refusal> {
            case::take_off_panel(s, panel, reason.to_owned())
        };
        self.decide(caller, id, None, &BTreeSet::new(), decide, |_| Value::Null).await?;
        Ok(())
    }

    /// Whether the caller may do `action` to a panel: asked before a request is read.
    ///
    /// # Errors
    /// Not theirs or not there (the same), or not allowed anywhere.
    pub async fn check_panel(
        &self,
        caller: &Caller,
        id: PanelId,
        action: Action,
    ) -> Result<(), ServiceError> {
        self.panel_for(caller, id, action).await.map(drop)
    }

    pub(super) async fn panel_for(
        &self,
        caller: &Caller,
        id: PanelId,
        action: Action,
    ) -> Result<PanelRow, ServiceError> {
        Self::allow(caller, action, Object::default())?;
        let panel = self.store.panel(id).await?.filter(|p| caller.covers(&p.area));
        panel.ok_or(ServiceError::NotFound)
    }
}

/// A panel as the API gives it.
#[must_use]
pub fn panel_json(p: &PanelRow) -> Value {
    json!({ "id": p.id, "area": p.area, "name": p.name, "held_on": p.held_on, "created_at": p.created_at })
}

/// Eight letters and digits that say nothing: drawn anew for each listing, so that a list cannot
/// be joined to another by them.
fn anonymous_reference() -> Result<String, ServiceError> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let random =
        Key::random().map_err(crate::store::StoreError::from).map_err(ServiceError::from)?;
    let bytes = random.mac(b"anonymous reference");
    let code: String =
        bytes.iter().take(8).map(|b| char::from(LETTERS[usize::from(b % 32)])).collect();
    Ok(format!("P-{code}"))
}
