//! The same for many cases: what would happen is said first, then each case is its own command.

use super::Service;
use super::assign::{AssignWish, assignment};
use super::error::ServiceError;
use super::lists::CaseQuery;
use crate::auth::policy::{Action, Caller, Object};
use crate::domain::case::{self, CaseState, Refusal};
use crate::domain::event::Event;
use crate::domain::id::{PanelId, Reference};
use crate::store::Listed;
use crate::store::changes::PanelRow;
use serde::Serialize;
use uuid::Uuid;

/// Cases in one go at most.
pub const MOST: usize = 500;

/// What is done to many cases.
#[derive(Clone, Debug)]
pub enum Act {
    Assign(AssignWish),
    /// Put on a panel's list; those that are not ready are left out.
    Panel(PanelId),
}

impl Act {
    fn action(&self) -> Action {
        match self {
            Self::Assign(_) => Action::ChangeCase,
            Self::Panel(_) => Action::ChangePanels,
        }
    }
}

/// What would happen, or has happened, to one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub reference: String,
    /// The version it was looked at: a case that somebody changed since is left alone.
    pub version: i64,
    pub done: bool,
    pub words: String,
}

impl Service {
    /// What `act` would do to each case. Nothing is changed.
    ///
    /// # Errors
    /// Not allowed anywhere, no such colleague or panel, or the database is away.
    pub async fn bulk_plan(
        &self,
        caller: &Caller,
        references: &[Reference],
        act: &Act,
    ) -> Result<Vec<Line>, ServiceError> {
        Self::allow(caller, act.action(), Object::default())?;
        let (mut to, mut panel) = (None, None);
        match act {
            Act::Assign(wish) => {
                super::answer::short("note", &wish.note, 2000)?;
                to = self.assignee(caller, wish.to).await?;
            }
            Act::Panel(id) => {
                panel = Some(self.panel_for(caller, *id, Action::ChangePanels).await?);
            }
        }
        let would = |s: &CaseState| match act {
            Act::Assign(wish) => assignment(caller, s, to.as_ref(), wish, None),
            Act::Panel(id) => listing(s, *id, panel.as_ref()),
        };
        let mut out = Vec::new();
        for r in references.iter().take(MOST) {
            let (version, would) = match self.look_before(caller, r, act.action()).await {
                Ok(s) => (s.version, would(&s).map_err(ServiceError::from)),
                Err(e @ (ServiceError::NotFound | ServiceError::Destroyed)) => (0, Err(e)),
                Err(e) => return Err(e),
            };
            let (done, words) = match would {
                Ok(events) if events.is_empty() => (false, "It is so already.".to_owned()),
                Ok(_) => (true, String::new()),
                Err(e) => (false, why(&e)),
            };
            out.push(Line { reference: r.to_string(), version, done, words });
        }
        Ok(out)
    }

    async fn look_before(
        &self,
        caller: &Caller,
        reference: &Reference,
        action: Action,
    ) -> Result<CaseState, ServiceError> {
        let id = self.find(caller, reference, action).await?;
        Ok(self.store.load(id).await?.ok_or(ServiceError::NotFound)?.state)
    }

    /// Does it, each case by itself and only if nobody has changed it since it was looked at. One
    /// that cannot be done stops no other.
    pub async fn bulk_do(
        &self,
        caller: &Caller,
        picks: &[(Reference, i64)],
        act: &Act,
    ) -> Vec<Line> {
        let mut out = Vec::new();
        for (r, version) in picks.iter().take(MOST) {
            let done = match act {
                Act::Assign(wish) => self.assign(caller, r, wish, Some(*version)).await,
                Act::Panel(id) => self
                    .list_for_panel_at(caller, *id, r, None, Some(*version))
                    .await
                    .map(|()| true),
            };
            out.push(said(r, *version, done, "Done."));
        }
        out
    }

    /// Takes back what [`Service::bulk_do`] did, where nobody has changed it since.
    pub async fn bulk_undo(
        &self,
        caller: &Caller,
        references: &[Reference],
        act: &Act,
    ) -> Vec<Line> {
        let mut out = Vec::new();
        for r in references.iter().take(MOST) {
            let done = match act {
                Act::Assign(wish) => self.undo_assign(caller, r, wish.to).await,
                Act::Panel(id) => self
                    .take_off_panel(caller, *id, r, "listed by mistake and taken back")
                    .await
                    .map(|()| true),
            };
            out.push(said(r, 0, done, "Taken back."));
        }
        out
    }

    /// Cases by their references as the list has them, for a file. Those that are not the caller's
    /// to see are left out.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn export_list(
        &self,
        caller: &Caller,
        references: &[Reference],
    ) -> Result<Vec<Listed>, ServiceError> {
        Self::allow(caller, Action::Export, Object::default())?;
        let references = references.iter().take(MOST).map(ToString::to_string).collect();
        let size = i64::try_from(MOST).unwrap_or(i64::MAX);
        let query = CaseQuery { references, size, ..CaseQuery::default() };
        let rows = self.list_cases(caller, query).await?.rows;
        self.note(caller, "export_list", None).await?;
        Ok(rows)
    }

    /// The names of people by their ids, for the column of a list.
    ///
    /// # Errors
    /// The database is away.
    pub async fn account_names(
        &self,
    ) -> Result<std::collections::BTreeMap<Uuid, String>, ServiceError> {
        let all = self.store.everybody().await?;
        Ok(all.into_iter().map(|p| (p.id, p.name)).collect())
    }
}

fn listing(s: &CaseState, id: PanelId, panel: Option<&PanelRow>) -> Result<Vec<Event>, Refusal> {
    let Some(p) = panel.filter(|p| p.area == s.area) else { return Err(Refusal::OtherArea) };
    case::list_for_panel(s, id, p.name.clone(), p.held_on, String::new(), None)
}

fn said(r: &Reference, version: i64, done: Result<bool, ServiceError>, well: &str) -> Line {
    let (done, words) = match done {
        Ok(true) => (true, well.to_owned()),
        Ok(false) => (false, "It is so already.".to_owned()),
        Err(e) => (false, why(&e)),
    };
    Line { reference: r.to_string(), version, done, words }
}

/// Why not, as a sentence.
fn why(e: &ServiceError) -> String {
    let text = match e {
        ServiceError::NotFound => "not found, or not yours to change".to_owned(),
        ServiceError::Destroyed => "the case was destroyed".to_owned(),
        ServiceError::Refused(Refusal::NotReady(blocked)) => {
            let all: Vec<&str> = blocked.iter().map(|b| b.message.as_str()).collect();
            format!("not ready for panel: {}", all.join("; "))
        }
        ServiceError::Refused(r) => r.to_string(),
        ServiceError::Invalid(problems) => {
            let all: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
            all.join("; ")
        }
        ServiceError::Busy => "others were changing it; repeat".to_owned(),
        ServiceError::Forbidden => "your account does not allow this".to_owned(),
        _ => "it could not be stored; nothing of it was changed".to_owned(),
    };
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.map_or_else(String::new, |f| f.chain(letters).collect::<String>() + ".")
}
