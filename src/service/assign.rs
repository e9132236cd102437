//! Whose case it is: assigning, handing over, taking what was handed over.

use super::Service;
use super::change::signed_in;
use super::error::{ServiceError, invalid};
use super::lists::{CaseQuery, Handed};
use crate::auth::policy::{Action, Caller, Object, Role, Who, may};
use crate::domain::case::{self, Assign, CaseState, Context, Refusal};
use crate::domain::event::{Event, Named};
use crate::domain::id::{CaseId, Reference};
use crate::store::Somebody;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A wish to assign: to nobody without `to`.
#[derive(Clone, Debug, Default)]
pub struct AssignWish {
    pub to: Option<Uuid>,
    pub note: String,
    pub until: Option<NaiveDate>,
}

/// A case that was handed over and not taken yet.
#[derive(Clone, Debug, Serialize)]
pub struct HandedOver {
    pub reference: String,
    pub at: DateTime<Utc>,
    pub by: String,
    pub note: String,
    pub until: Option<NaiveDate>,
}

/// As the timeline says it.
pub(super) fn sentence(event: &Event) -> String {
    match event {
        Event::CaseAssigned { to, by, note, until, undo, .. } => {
            let to = to.as_ref().map_or("nobody", |p| p.name.as_str());
            let until =
                until.map(|d| format!(", until {}", d.format("%-d %B %Y"))).unwrap_or_default();
            let note = if note.is_empty() { String::new() } else { format!(" Note: {note}") };
            let did = if *undo { "Assignment taken back: with" } else { "Assigned to" };
            format!("{did} {to}{until} by {}.{note}", by.name)
        }
        Event::HandOverTaken { .. } => "The hand-over was taken.".to_owned(),
        other => other.name().replace('_', " "),
    }
}

impl Service {
    /// Who a case of these areas could be assigned to: people of the office, not of one agency.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn assignees(&self, caller: &Caller) -> Result<Vec<Somebody>, ServiceError> {
        Self::allow(caller, Action::ListCases, Object::default())?;
        let could = |p: &Somebody| {
            Role::parse(&p.role).is_some_and(|role| {
                let who = Who::Person { id: p.id, name: String::new(), role };
                let person = Caller { who, area: p.area.clone(), agency: None };
                [Action::ListCases, Action::ChangeCase]
                    .into_iter()
                    .all(|a| may(&person, a, Object::default()))
            })
        };
        let near = |p: &Somebody| p.area == "*" || caller.covers(&p.area);
        let everybody = self.store.people_at_work().await?;
        Ok(everybody.into_iter().filter(|p| near(p) && could(p)).collect())
    }

    /// Whom a wish names, if they can have cases of this area.
    pub(super) async fn assignee(
        &self,
        caller: &Caller,
        to: Option<Uuid>,
    ) -> Result<Option<Somebody>, ServiceError> {
        let Some(id) = to else { return Ok(None) };
        let all = self.assignees(caller).await?;
        let found = all.into_iter().find(|p| p.id == id);
        found.map(Some).ok_or_else(|| invalid("to", "not_in_list", "choose a colleague"))
    }

    /// Assigns a case, or hands it over with a note.
    ///
    /// # Errors
    /// Not found, nobody of that name, refused by the rules, changed by somebody since `version`,
    /// or not storable.
    pub async fn assign(
        &self,
        caller: &Caller,
        reference: &Reference,
        wish: &AssignWish,
        version: Option<i64>,
    ) -> Result<bool, ServiceError> {
        super::answer::short("note", &wish.note, 2000)?;
        let id = self.find(caller, reference, Action::ChangeCase).await?;
        let to = self.assignee(caller, wish.to).await?;
        let decide = |s: &CaseState| assignment(caller, s, to.as_ref(), wish, version);
        self.decide_assignment(caller, id, decide).await
    }

    /// Takes an assignment back that the caller made: the case goes to whoever had it before.
    ///
    /// # Errors
    /// Not found, assigned again since, or not storable.
    pub async fn undo_assign(
        &self,
        caller: &Caller,
        reference: &Reference,
        to: Option<Uuid>,
    ) -> Result<bool, ServiceError> {
        let id = self.find(caller, reference, Action::ChangeCase).await?;
        let me = caller.person().ok_or(ServiceError::Forbidden)?;
        let by = signed_in(caller);
        self.decide_assignment(caller, id, |s| case::undo_assign(s, to, by.clone(), me)).await
    }

    /// Whoever a case was handed to says that they have it.
    ///
    /// # Errors
    /// Not found, not theirs, or not storable.
    pub async fn take_over(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<bool, ServiceError> {
        let id = self.find(caller, reference, Action::ReadCase).await?;
        let me = caller.person().ok_or(ServiceError::Forbidden)?;
        self.decide_assignment(caller, id, |s| case::take(s, me)).await
    }

    async fn decide_assignment(
        &self,
        caller: &Caller,
        id: CaseId,
        decide: impl Fn(&CaseState) -> Result<Vec<Event>, Refusal>,
    ) -> Result<bool, ServiceError> {
        let decide = |s: &CaseState, _: &mut Context<'_>| decide(s);
        let (d, _) =
            self.decide(caller, id, None, &BTreeSet::new(), decide, |_| Value::Null).await?;
        Ok(!d.unchanged)
    }

    /// What was handed to the caller and not taken: each with its note, so each is an audit line.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn handed_over(&self, caller: &Caller) -> Result<Vec<HandedOver>, ServiceError> {
        let query = CaseQuery { handed: Some(Handed::ToMe), size: 200, ..CaseQuery::default() };
        let rows = self.list_cases(caller, query).await?.rows;
        let (mut looks, mut mine) = (Vec::new(), BTreeSet::new());
        for r in &rows {
            let reference = Reference::parse(&r.reference).ok_or(ServiceError::NotFound)?;
            // One that is not theirs any more must not hide the others.
            match self.open(caller, &reference, Action::ReadCase).await {
                Ok(opened) => {
                    looks.push(self.audit_row(caller, "read_handover", opened.id, opened.purpose));
                    mine.insert(r.id);
                }
                Err(ServiceError::NotFound | ServiceError::Destroyed) => {}
                Err(e) => return Err(e),
            }
        }
        self.store.audit_all(looks).await?;
        let mut out = Vec::new();
        for r in rows.into_iter().filter(|r| mine.contains(&r.id)) {
            let Some(loaded) = self.store.load(CaseId(r.id)).await? else { continue };
            let a = loaded.state.assigned;
            out.push(HandedOver {
                reference: r.reference,
                at: a.at,
                by: a.by.name,
                note: a.note,
                until: a.until,
            });
        }
        Ok(out)
    }
}

/// What an assignment of this case comes to.
pub(super) fn assignment(
    caller: &Caller,
    s: &CaseState,
    to: Option<&Somebody>,
    wish: &AssignWish,
    version: Option<i64>,
) -> Result<Vec<Event>, Refusal> {
    if version.is_some_and(|v| s.changed_since(v)) {
        return Err(Refusal::ChangedSince);
    }
    if to.is_some_and(|p| p.area != "*" && p.area != s.area) {
        return Err(Refusal::OtherArea);
    }
    let wish = Assign {
        to: to.map(|p| Named { id: p.id, name: p.name.clone() }),
        by: signed_in(caller),
        by_id: caller.person(),
        note: wish.note.trim().to_owned(),
        until: wish.until,
    };
    case::assign(s, wish)
}
