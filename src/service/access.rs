//! Who may open which case: finding it for a caller, the named list of a restricted one,
//! break-glass, legal holds. What is not the caller's is answered like what does not exist.

use super::Service;
use super::change::signed_in;
use super::error::{ServiceError, invalid};
use crate::auth::policy::{Access, Action, Caller, Object, Role, Who};
use crate::domain::alert::{AlertKind, ContactPoint, Notice};
use crate::domain::case::{self, CaseState, Context};
use crate::domain::event::{Event, Named};
use crate::domain::id::{CaseId, Reference};
use crate::domain::ready::Stage;
use crate::store::changes::AuditRow;
use crate::store::{FindingRow, Found, Listed, Somebody};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use uuid::Uuid;

/// A case that a caller may do something to.
pub(super) struct Opened {
    pub id: CaseId,
    /// Why it was open to them, where that is known.
    pub purpose: &'static str,
}

/// Who may open a case, for its page.
#[derive(Clone, Debug, Serialize)]
pub struct AccessView {
    pub restricted: bool,
    pub reason: String,
    pub by: String,
    pub at: Option<DateTime<Utc>>,
    pub people: Vec<String>,
    /// Everybody who could be on the list: id, name, role, whether they are.
    pub choices: Vec<(Uuid, String, String, bool)>,
    /// The boxes of those who are, as the form names them.
    pub ticked: BTreeMap<String, String>,
    pub glass: Vec<GlassView>,
    pub hold: Option<(DateTime<Utc>, String, String)>,
    pub may_restrict: bool,
    pub may_hold: bool,
}

/// A break-glass as people read it.
#[derive(Clone, Debug, Serialize)]
pub struct GlassView {
    pub who: Uuid,
    pub name: String,
    pub role: String,
    pub at: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub reason: String,
    pub reviewed_at: Option<DateTime<Utc>>,
    pub reviewed_by: String,
    pub note: String,
}

/// The accounts that could open a case of an area.
#[must_use]
pub fn accounts_of(people: Vec<Somebody>, area: &str) -> Vec<Somebody> {
    let could = |role: &str| {
        Role::parse(role).is_some_and(|r| {
            let caller = Caller {
                who: Who::Person { id: Uuid::nil(), name: String::new(), role: r },
                area: "*".to_owned(),
                agency: None,
            };
            crate::auth::policy::may(&caller, Action::ReadCase, Object::default())
        })
    };
    people.into_iter().filter(|p| (p.area == "*" || p.area == area) && could(&p.role)).collect()
}

impl Service {
    /// The id of a case the caller may do `action` to; anything else is not found.
    pub(super) async fn find(
        &self,
        caller: &Caller,
        reference: &Reference,
        action: Action,
    ) -> Result<CaseId, ServiceError> {
        self.open(caller, reference, action).await.map(|o| o.id)
    }

    /// Whether the caller may do `action` to a case: asked before a request is even read.
    ///
    /// # Errors
    /// Not theirs or not there (the same), not allowed anywhere, destroyed, or the database is away.
    pub async fn check(
        &self,
        caller: &Caller,
        reference: &Reference,
        action: Action,
    ) -> Result<(), ServiceError> {
        self.open(caller, reference, action).await.map(drop)
    }

    pub(super) async fn open(
        &self,
        caller: &Caller,
        reference: &Reference,
        action: Action,
    ) -> Result<Opened, ServiceError> {
        let found = self.resolved(reference).await?;
        self.allowed(caller, found, action).await
    }

    /// As [`Self::open`], but the reference of a second account means the account itself.
    pub(super) async fn open_itself(
        &self,
        caller: &Caller,
        reference: &Reference,
        action: Action,
    ) -> Result<Opened, ServiceError> {
        let itself = self.store.find_case(reference).await?;
        let first = self.first_of(itself.clone()).await?;
        let opened = self.allowed(caller, first, action).await?;
        let itself = itself.ok_or(ServiceError::NotFound)?;
        Ok(Opened { id: CaseId(itself.id), ..opened })
    }

    /// A case by its reference; by that of a second account, the case that it is an account of.
    async fn resolved(&self, reference: &Reference) -> Result<Option<Found>, ServiceError> {
        let found = self.store.find_case(reference).await?;
        self.first_of(found).await
    }

    async fn first_of(&self, found: Option<Found>) -> Result<Option<Found>, ServiceError> {
        match found.as_ref().and_then(|f| f.account_of) {
            Some(first) => Ok(self.store.found(CaseId(first)).await?),
            None => Ok(found),
        }
    }

    /// Whether the caller may read a case.
    pub(super) async fn may_read(&self, caller: &Caller, id: CaseId) -> Result<bool, ServiceError> {
        let found = self.store.found(id).await?;
        Ok(self.allowed(caller, found, Action::ReadCase).await.is_ok())
    }

    async fn allowed(
        &self,
        caller: &Caller,
        found: Option<Found>,
        action: Action,
    ) -> Result<Opened, ServiceError> {
        // First whether they may do this anywhere, so that a missing right is not a missing case.
        let own: Vec<&str> = caller.agency.as_deref().into_iter().collect();
        Self::allow(caller, action, Object { agencies: &own, ..Object::default() })?;
        let found = found.ok_or(ServiceError::NotFound)?;
        let access = self.access_of(caller, &found).await?;
        let alerted = if caller.agency.is_some() {
            self.store.alerted_agencies(CaseId(found.id)).await?
        } else {
            Vec::new()
        };
        let agencies: Vec<&str> = alerted.iter().map(String::as_str).collect();
        let object = Object {
            area: Some(&found.area),
            agencies: &agencies,
            stage: Stage::parse(&found.stage),
            access,
        };
        Self::allow(caller, action, object).map_err(|_| ServiceError::NotFound)?;
        if found.stage == "destroyed" {
            return Err(ServiceError::Destroyed);
        }
        Ok(Opened { id: CaseId(found.id), purpose: access.purpose() })
    }

    /// How a case stands open to a caller.
    pub(super) async fn access_of(
        &self,
        caller: &Caller,
        found: &Found,
    ) -> Result<Access, ServiceError> {
        if !found.restricted {
            return Ok(Access::Open);
        }
        let Some(user) = caller.person() else { return Ok(Access::Shut) };
        let id = CaseId(found.id);
        if self.store.is_named(id, user).await? {
            return Ok(Access::Named);
        }
        let broken = self.store.has_broken_glass(id, user, self.now()).await?;
        Ok(if broken { Access::Broken } else { Access::Shut })
    }

    /// Restricted cases that are open to the caller now.
    pub(super) async fn opened_to(&self, caller: &Caller) -> Result<HashSet<Uuid>, ServiceError> {
        let Some(user) = caller.person() else { return Ok(HashSet::new()) };
        Ok(self.store.opened_to(user, self.now()).await?.into_iter().collect())
    }

    /// Leaves only the reference of restricted cases that are not open to the caller.
    pub(super) async fn hide_restricted(
        &self,
        caller: &Caller,
        rows: &mut [Listed],
    ) -> Result<(), ServiceError> {
        if matches!(caller.who, Who::Operator) || !rows.iter().any(|r| r.restricted) {
            return Ok(());
        }
        let open = self.opened_to(caller).await?;
        for r in rows.iter_mut().filter(|r| r.restricted && !open.contains(&r.id)) {
            r.hidden = true;
            r.stage.clear();
            r.jar.clear();
            r.ready = false;
            (r.event, r.age_band, r.category, r.died_on) = (None, None, None, None);
            "[]".clone_into(&mut r.blockers);
            r.waiting = 0;
            (r.next_due, r.next_due_kind, r.age_rank, r.stage_rank) = (None, None, None, 0);
            (r.assigned_to, r.handed_at, r.handed_by) = (None, None, None);
        }
        Ok(())
    }

    /// A line for the audit.
    pub(super) fn audit_row(
        &self,
        caller: &Caller,
        action: &'static str,
        case: CaseId,
        purpose: &'static str,
    ) -> AuditRow {
        AuditRow {
            at: self.now(),
            actor: caller.actor(),
            action,
            case_id: Some(case.0),
            role: caller.role(),
            purpose,
        }
    }

    /// Records a look before anything is shown.
    pub(super) async fn note(
        &self,
        caller: &Caller,
        action: &'static str,
        opened: Option<&Opened>,
    ) -> Result<(), ServiceError> {
        let row = AuditRow {
            at: self.now(),
            actor: caller.actor(),
            action,
            case_id: opened.map(|o| o.id.0),
            role: caller.role(),
            purpose: opened.map_or("", |o| o.purpose),
        };
        Ok(self.store.audit_all(vec![row]).await?)
    }

    /// Restricts a case to named people, or changes the list.
    ///
    /// # Errors
    /// Not found, not allowed, no reason, nobody named or somebody who could not open it anyway.
    pub async fn restrict(
        &self,
        caller: &Caller,
        reference: &Reference,
        reason: &str,
        people: &[Uuid],
    ) -> Result<(), ServiceError> {
        let id = self.find(caller, reference, Action::Restrict).await?;
        let reason = reasoned(reason)?;
        let area = self.store.found(id).await?.ok_or(ServiceError::NotFound)?.area;
        let all = accounts_of(self.store.everybody().await?, &area);
        let named: Vec<Named> = all
            .into_iter()
            .filter(|p| people.contains(&p.id))
            .map(|p| Named { id: p.id, name: p.name })
            .collect();
        if named.is_empty() {
            return Err(invalid(
                "people",
                "required",
                "name at least one person who may open the case",
            ));
        }
        let distinct: HashSet<&Uuid> = people.iter().collect();
        if named.len() != distinct.len() {
            return Err(invalid(
                "people",
                "not_in_list",
                "somebody named has no account that could open the case",
            ));
        }
        let by = signed_in(caller);
        self.keep(caller, id, |s| case::restrict(s, reason.clone(), named.clone(), by.clone()))
            .await
    }

    /// Lifts a restriction. A machine may set one and not lift it.
    ///
    /// # Errors
    /// Not found, not allowed, no reason, or not restricted.
    pub async fn unrestrict(
        &self,
        caller: &Caller,
        reference: &Reference,
        reason: &str,
    ) -> Result<(), ServiceError> {
        let id = self.find(caller, reference, Action::Restrict).await?;
        if caller.person().is_none() {
            return Err(ServiceError::Forbidden);
        }
        let reason = reasoned(reason)?;
        let by = signed_in(caller);
        self.keep(caller, id, |s| case::unrestrict(s, reason.clone(), by.clone())).await
    }

    /// Places or lifts a legal hold.
    ///
    /// # Errors
    /// Not found, not allowed, no reason, or nothing to lift.
    pub async fn hold(
        &self,
        caller: &Caller,
        reference: &Reference,
        reason: &str,
        lift: bool,
    ) -> Result<(), ServiceError> {
        let id = self.find(caller, reference, Action::Hold).await?;
        let reason = reasoned(reason)?;
        let by = signed_in(caller);
        self.keep(caller, id, |s| {
            if lift {
                case::lift_hold(s, reason.clone(), by.clone())
            } else {
                Ok(case::place_hold(reason.clone(), by.clone()))
            }
        })
        .await
    }

    /// Opens a restricted case to somebody who is not on its list, for three hours. The guardian is
    /// told in the same commit.
    ///
    /// # Errors
    /// Not allowed, no reason, or no restricted case of theirs has this reference.
    pub async fn break_glass(
        &self,
        caller: &Caller,
        reference: &Reference,
        reason: &str,
    ) -> Result<(), ServiceError> {
        Self::allow(caller, Action::BreakGlass, Object::default())?;
        let Who::Person { id: user, name, role } = &caller.who else {
            return Err(ServiceError::Forbidden);
        };
        let reason = reasoned(reason)?;
        let found = self.resolved(reference).await?.ok_or(ServiceError::NotFound)?;
        let object = Object {
            area: Some(&found.area),
            stage: Stage::parse(&found.stage),
            ..Object::default()
        };
        Self::allow(caller, Action::BreakGlass, object).map_err(|_| ServiceError::NotFound)?;
        match self.access_of(caller, &found).await? {
            Access::Open => return Err(ServiceError::NotFound),
            Access::Named | Access::Broken => return Ok(()),
            Access::Shut => {}
        }
        let who = Named { id: *user, name: name.clone() };
        let now = self.now();
        self.keep(caller, CaseId(found.id), |s| {
            case::break_glass(s, who.clone(), role.word().to_owned(), reason.clone(), now)
        })
        .await
    }

    /// The guardian says that a person's break-glass on a case was looked into.
    ///
    /// # Errors
    /// Not found, not allowed, nothing said, or nothing to review.
    pub async fn review_glass(
        &self,
        caller: &Caller,
        reference: &Reference,
        who: Uuid,
        note: &str,
    ) -> Result<(), ServiceError> {
        let id = self.find(caller, reference, Action::ReviewGlass).await?;
        if note.trim().is_empty() {
            return Err(invalid("note", "required", "say what you found"));
        }
        let by = signed_in(caller);
        let note = note.trim().to_owned();
        self.keep(caller, id, |s| case::review_glass(s, who, &by, &note)).await
    }

    async fn keep(
        &self,
        caller: &Caller,
        id: CaseId,
        decide: impl Fn(&CaseState) -> Result<Vec<Event>, case::Refusal>,
    ) -> Result<(), ServiceError> {
        let decide = |s: &CaseState, _: &mut Context<'_>| decide(s);
        self.decide(caller, id, None, &BTreeSet::new(), decide, |_| Value::Null).await?;
        Ok(())
    }

    /// Who may open a case, for those who read its page.
    ///
    /// # Errors
    /// The database is away.
    pub async fn access_view(
        &self,
        caller: &Caller,
        s: &CaseState,
    ) -> Result<AccessView, ServiceError> {
        let r = s.keeping.restricted.as_ref();
        let listed = |id: &Uuid| r.is_some_and(|r| r.people.iter().any(|p| p.id == *id));
        let access = match r {
            None => Access::Open,
            Some(_) if caller.person().is_none_or(|id| listed(&id)) => Access::Named,
            Some(_) => Access::Broken,
        };
        let may = |a| {
            let object = Object { area: Some(&s.area), access, ..Object::default() };
            crate::auth::policy::may(caller, a, object)
        };
        let may_restrict = may(Action::Restrict) && !s.drill;
        let choices = if may_restrict {
            accounts_of(self.store.everybody().await?, &s.area)
                .into_iter()
                .map(|p| {
                    let on = listed(&p.id);
                    (p.id, p.name, p.role, on)
                })
                .collect()
        } else {
            Vec::new()
        };
        let ticked = r.map(|r| {
            let boxes = r.people.iter().map(|p| (format!("person.{}", p.id), "on".to_owned()));
            boxes.collect()
        });
        Ok(AccessView {
            ticked: ticked.unwrap_or_default(),
            restricted: r.is_some(),
            reason: r.map(|r| r.reason.clone()).unwrap_or_default(),
            by: r.map(|r| r.by.name.clone()).unwrap_or_default(),
            at: r.map(|r| r.at),
            people: r
                .map(|r| r.people.iter().map(|p| p.name.clone()).collect())
                .unwrap_or_default(),
            choices,
            glass: glass_views(s),
            hold: s.keeping.hold.as_ref().map(|h| (h.at, h.reason.clone(), h.by.name.clone())),
            may_restrict,
            may_hold: may(Action::Hold) && !s.drill,
        })
    }

    /// Who may open a case, for those who keep its list and need not be on it.
    ///
    /// # Errors
    /// Not found, not allowed, destroyed, or the database is away.
    pub async fn keeping(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<AccessView, ServiceError> {
        let id = self.find(caller, reference, Action::Restrict).await?;
        let state = self.store.load(id).await?.ok_or(ServiceError::NotFound)?.state;
        self.access_view(caller, &state).await
    }

    /// What the guardian is told, and where: an agency named `guardian` in the directory, else the
    /// office.
    pub(super) fn to_guardian(&self, area: &str) -> (Notice, Vec<ContactPoint>) {
        let today = self.directory();
        let notice = self.plain_notice(area, "guardian", AlertKind::BreakGlass);
        let Some(area) = today.area(area) else { return (notice, Vec::new()) };
        let guardian = area.agencies.iter().find(|a| a.id == "guardian");
        let points: Vec<ContactPoint> = guardian
            .map(|g| {
                g.points()
                    .flat_map(|(c, p)| crate::domain::directory::lanes(area, &g.id, c, p))
                    .collect()
            })
            .unwrap_or_default();
        let points = if points.is_empty() { self.office_points(area) } else { points };
        (notice, points)
    }

    /// Break-glasses of the caller's areas that nobody has looked into.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn glass_waiting(&self, caller: &Caller) -> Result<Vec<Value>, ServiceError> {
        Self::allow(caller, Action::ReadAudit, Object::default())?;
        let mut out = Vec::new();
        for g in self.store.glass_to_review().await?.iter().filter(|g| caller.covers(&g.area)) {
            let name = self.store.user(g.user_id).await?.map(|u| u.name).unwrap_or_default();
            out.push(serde_json::json!({
                "reference": g.reference, "name": name, "role": g.role, "at": g.at,
            }));
        }
        Ok(out)
    }

    /// Break-glasses that nobody has looked into, as the board shows them.
    pub(super) async fn glass_findings(&self) -> Result<Vec<FindingRow>, ServiceError> {
        let mut out = Vec::new();
        for g in self.store.glass_to_review().await? {
            let name = self.store.user(g.user_id).await?.map(|u| u.name).unwrap_or_default();
            out.push(FindingRow {
                what: format!("break_glass/{}/{}", g.case_id, g.at.timestamp_micros()),
                area: g.area,
                words: format!(
                    "The restricted case {} was opened by break-glass by {name} ({}). It waits for the guardian's review.",
                    g.reference,
                    g.role.replace('_', " ")
                ),
                since: g.at,
                raised_at: Some(g.at),
            });
        }
        Ok(out)
    }
}

/// Every break-glass of a case, the latest first.
#[must_use]
pub(super) fn glass_views(s: &CaseState) -> Vec<GlassView> {
    let view = |g: &case::Glass| GlassView {
        who: g.who.id,
        name: g.who.name.clone(),
        role: g.role.clone(),
        at: g.at,
        until: g.until,
        reason: g.reason.clone(),
        reviewed_at: g.reviewed.as_ref().map(|r| r.at),
        reviewed_by: g.reviewed.as_ref().map(|r| r.by.name.clone()).unwrap_or_default(),
        note: g.reviewed.as_ref().map(|r| r.note.clone()).unwrap_or_default(),
    };
    s.keeping.glass.iter().rev().map(view).collect()
}

fn reasoned(reason: &str) -> Result<String, ServiceError> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(invalid("reason", "required", "say why"));
    }
    Ok(reason.to_owned())
}
