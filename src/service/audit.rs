//! Who looked at a case, when, in which role, why, and what they did: for the auditor, who is
//! audited too.

use super::Service;
use super::access::{GlassView, Opened, glass_views};
use super::error::ServiceError;
use crate::auth::policy::{Action, Caller, Object};
use crate::domain::civil_time;
use crate::domain::id::{CaseId, Reference};
use crate::platform::crypt::CryptError;
use crate::store::{AuditQuery, StoreError};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use std::collections::HashMap;
use uuid::Uuid;

/// Lines at most on one page or in one file.
const MOST: i64 = 5000;

/// Which looks are asked for.
#[derive(Clone, Debug, Default)]
pub struct TrailQuery {
    /// `user:…` or `token:…`.
    pub actor: Option<String>,
    /// Days, both included.
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
}

/// One thing somebody did.
#[derive(Clone, Debug, Serialize)]
pub struct TrailLine {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub name: String,
    pub role: String,
    pub what: String,
    pub why: String,
    pub reference: String,
}

/// Looks, with those who could have looked and what waits for review.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Looks {
    pub lines: Vec<TrailLine>,
    /// Actor and name.
    pub people: Vec<(String, String)>,
    pub glass: Vec<GlassView>,
    /// There are more than are shown.
    pub cut: bool,
}

/// An actor that an address may name; anything else is nobody.
#[must_use]
pub fn actor_named(text: &str) -> Option<String> {
    let (kind, id) = text.split_once(':')?;
    let id = Uuid::try_parse(id).ok()?;
    ["user", "token"].contains(&kind).then(|| format!("{kind}:{id}"))
}

impl Service {
    /// Who looked at one case. The look at the audit is recorded first.
    ///
    /// # Errors
    /// Not allowed, not found, or the database is away.
    pub async fn trail(
        &self,
        caller: &Caller,
        reference: &Reference,
        query: TrailQuery,
        exported: bool,
    ) -> Result<Looks, ServiceError> {
        Self::allow(caller, Action::ReadAudit, Object::default())?;
        let found = self.store.find_case(reference).await?.ok_or(ServiceError::NotFound)?;
        let object = Object { area: Some(&found.area), ..Object::default() };
        Self::allow(caller, Action::ReadAudit, object).map_err(|_| ServiceError::NotFound)?;
        let id = CaseId(found.id);
        let opened = Opened { id, purpose: "audit" };
        let action = if exported { "export_audit" } else { "read_audit" };
        self.note(caller, action, Some(&opened)).await?;
        let names = self.names().await?;
        let glass = match self.store.load(id).await {
            Ok(Some(l)) => glass_views(&l.state),
            // The reasons went with the key; that somebody looked stays.
            Ok(None) | Err(StoreError::Crypt(CryptError::Destroyed)) => Vec::new(),
            Err(e) => return Err(e.into()),
        };
        let mut looks = self.looks(&query, Some(id), caller, &names, &glass).await?;
        looks.lines.extend(self.deeds(id, &query, &names, reference).await?);
        looks.lines.sort_by_key(|l| std::cmp::Reverse(l.at));
        looks.glass = glass;
        looks.people = looks
            .lines
            .iter()
            .map(|l| (l.actor.clone(), l.name.clone()))
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        Ok(looks)
    }

    /// What one person or token looked at, in the auditor's areas; without one, everybody's names.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn looks_of(
        &self,
        caller: &Caller,
        query: TrailQuery,
    ) -> Result<Looks, ServiceError> {
        Self::allow(caller, Action::ReadAudit, Object::default())?;
        self.note(caller, "read_audit", None).await?;
        let names = self.names().await?;
        let mut looks = match query.actor {
            Some(_) => self.looks(&query, None, caller, &names, &[]).await?,
            None => Looks::default(),
        };
        let people = self.store.everybody().await?;
        let seen = |area: &str| area == "*" || caller.covers(area);
        looks.people = people
            .into_iter()
            .filter(|p| seen(&p.area))
            .map(|p| (format!("user:{}", p.id), p.name))
            .collect();
        let machines = self.store.machines().await?;
        looks.people.extend(
            machines
                .into_iter()
                .filter(|p| seen(&p.area))
                .map(|p| (format!("token:{}", p.id), format!("{} (token)", p.name))),
        );
        Ok(looks)
    }

    async fn looks(
        &self,
        query: &TrailQuery,
        case: Option<CaseId>,
        caller: &Caller,
        names: &HashMap<String, String>,
        glass: &[GlassView],
    ) -> Result<Looks, ServiceError> {
        let lines = self
            .store
            .looks(&AuditQuery {
                case,
                actor: query.actor.clone(),
                from: query.from.map(civil_time::start_of),
                to: query.to.and_then(|d| d.succ_opt()).map(civil_time::start_of),
                areas: self.areas_of(caller),
                most: MOST,
            })
            .await?;
        let cut = i64::try_from(lines.len()).unwrap_or(MOST) >= MOST;
        let lines = lines
            .into_iter()
            .map(|l| TrailLine {
                name: name_of(names, &l.actor),
                what: said(&l.action).to_owned(),
                why: why(&l.purpose, &l.actor, l.at, glass),
                role: l.role.replace('_', " "),
                reference: l.reference.unwrap_or_default(),
                at: l.at,
                actor: l.actor,
            })
            .collect();
        Ok(Looks { lines, cut, ..Looks::default() })
    }

    /// What people did to a case, from its journal.
    async fn deeds(
        &self,
        id: CaseId,
        query: &TrailQuery,
        names: &HashMap<String, String>,
        reference: &Reference,
    ) -> Result<Vec<TrailLine>, ServiceError> {
        let history = match self.store.history(id).await {
            Ok(h) => h,
            Err(StoreError::Crypt(CryptError::Destroyed)) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        };
        let within = |at: DateTime<Utc>, actor: &str| {
            query.actor.as_ref().is_none_or(|a| a == actor)
                && query.from.is_none_or(|d| at >= civil_time::start_of(d))
                && query.to.and_then(|d| d.succ_opt()).is_none_or(|d| at < civil_time::start_of(d))
        };
        let line = |(recorded, actor): (crate::domain::event::Recorded, String)| TrailLine {
            at: recorded.at,
            name: name_of(names, &actor),
            role: String::new(),
            what: format!("changed the case: {}", recorded.event.name().replace('_', " ")),
            why: String::new(),
            reference: reference.to_string(),
            actor,
        };
        Ok(history.into_iter().filter(|(r, a)| within(r.at, a)).map(line).collect())
    }

    pub(super) async fn names(&self) -> Result<HashMap<String, String>, ServiceError> {
        let people = self.store.everybody().await?;
        let machines = self.store.machines().await?;
        let mut names: HashMap<String, String> =
            people.into_iter().map(|p| (format!("user:{}", p.id), p.name)).collect();
        names.extend(
            machines
                .into_iter()
                .map(|m| (format!("token:{}", m.id), format!("{} (token)", m.name))),
        );
        Ok(names)
    }
}

pub(super) fn name_of(names: &HashMap<String, String>, actor: &str) -> String {
    match actor {
        "public" => "somebody without an account".to_owned(),
        "operator" => "a command on the server".to_owned(),
        "system" => "the service itself".to_owned(),
        other => names.get(other).cloned().unwrap_or_else(|| "an account that is gone".to_owned()),
    }
}

/// What an action means, for people.
fn said(action: &str) -> &str {
    match action {
        "read_case" => "opened the case",
        "read_timeline" => "read the timeline",
        "compare_cases" => "compared the case with another",
        "list_likenesses" => "listed cases that are alike",
        "read_history" => "read how the facts came to be",
        "read_document" => "downloaded a document",
        "edit_case" => "opened the case to edit it",
        "search" => "searched by name or number",
        "search_hit" => "found the case by name or number",
        "read_plan" => "read what their agency entered in the response plan",
        "read_handover" => "read the note of a hand-over",
        "list_drafts" => "listed notifications begun and not sent",
        "export_list" => "wrote a list of cases to a file",
        "export" => "started an export",
        "export_case" => "exported the case",
        "copy_case" => "copied the case into the daily copy",
        "read_panel" => "read a panel's list with references",
        "read_audit" => "read the audit",
        "export_audit" => "exported the audit",
        "break_glass" => "broke the glass",
        "subject_access" => "prepared a subject-access copy",
        "change_directory" => "changed the directory",
        "verify_contact" => "checked a contact point",
        "replay_delivery" => "sent a given-up message again",
        "ask_destruction" => "asked for the case to be destroyed",
        "destroy" => "destroyed the case's key",
        other => other,
    }
}

fn why(purpose: &str, actor: &str, at: DateTime<Utc>, glass: &[GlassView]) -> String {
    match purpose {
        "break_glass" => {
            let fits =
                |g: &&GlassView| format!("user:{}", g.who) == actor && g.at <= at && at < g.until;
            glass
                .iter()
                .find(fits)
                .map_or_else(|| "break-glass".to_owned(), |g| format!("break-glass: {}", g.reason))
        }
        "named_list" => "on the named list".to_owned(),
        other => other.replace('_', " "),
    }
}
