//! Views that people saved, and what they chose for their desks.

use super::Service;
use super::error::{ServiceError, invalid};
use crate::auth::policy::{Action, Caller, Object};
use crate::platform::fresh;
use crate::store::ViewRow;
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// A view as its owner, or a colleague it is shared with, finds it.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    pub id: Uuid,
    pub name: String,
    pub query: String,
    pub shared: bool,
    pub own: bool,
    pub is_default: bool,
}

#[derive(Clone, Debug, Default)]
pub struct NewView {
    pub name: String,
    pub query: String,
    pub shared: bool,
}

/// What somebody chose.
#[derive(Clone, Debug)]
pub struct DeskChoice {
    /// Until when they have seen what was new.
    pub seen_at: Option<DateTime<Utc>>,
    /// Columns by name; empty for the usual ones.
    pub columns: Vec<String>,
    pub keys_on: bool,
    pub default_view: Option<Uuid>,
}

impl Service {
    /// # Errors
    /// The database is away.
    pub async fn desk_choice(&self, caller: &Caller) -> Result<DeskChoice, ServiceError> {
        let row = match caller.person() {
            Some(me) => self.store.desk(me).await?,
            None => None,
        };
        let list = |t: &str| t.split(',').filter(|c| !c.is_empty()).map(str::to_owned).collect();
        Ok(row.map_or(
            DeskChoice { seen_at: None, columns: Vec::new(), keys_on: true, default_view: None },
            |r| DeskChoice {
                seen_at: r.seen_at,
                columns: list(&r.columns),
                keys_on: r.keys_on,
                default_view: r.default_view,
            },
        ))
    }

    /// # Errors
    /// Not allowed, or not storable.
    pub async fn choose_desk(
        &self,
        caller: &Caller,
        columns: &[&str],
        keys_on: bool,
    ) -> Result<(), ServiceError> {
        let me = self.sits(caller)?;
        Ok(self.store.choose_desk(me, columns.join(","), keys_on).await?)
    }

    /// The caller has seen what was new until `at`.
    ///
    /// # Errors
    /// Not allowed, or not storable.
    pub async fn seen_until(&self, caller: &Caller, at: DateTime<Utc>) -> Result<(), ServiceError> {
        let me = self.sits(caller)?;
        Ok(self.store.desk_seen(me, at.min(self.now())).await?)
    }

    /// The caller's own views and those shared in their area.
    ///
    /// # Errors
    /// The database is away.
    pub async fn views(&self, caller: &Caller) -> Result<Vec<View>, ServiceError> {
        let me = self.sits(caller)?;
        let chosen = self.desk_choice(caller).await?.default_view;
        let all = self.store.views(me).await?.into_iter();
        Ok(all.filter(|v| is_open(caller, v)).map(|v| self.shown(v, me, chosen)).collect())
    }

    /// One view; another person's own, or another area's, is not found.
    ///
    /// # Errors
    /// Not found, or the database is away.
    pub async fn view(&self, caller: &Caller, id: Uuid) -> Result<View, ServiceError> {
        let me = self.sits(caller)?;
        let found = self.store.view(id).await?.filter(|v| is_open(caller, v));
        found.map(|v| self.shown(v, me, None)).ok_or(ServiceError::NotFound)
    }

    /// # Errors
    /// A name that is missing or too long, or not storable.
    pub async fn save_view(&self, caller: &Caller, new: &NewView) -> Result<Uuid, ServiceError> {
        let me = self.sits(caller)?;
        let row = ViewRow {
            id: fresh::id(),
            owner: me,
            area: caller.area.clone(),
            shared: new.shared,
            name: self.store.veiled(&named(&new.name)?)?,
            query: new.query.clone(),
            created_at: self.now(),
        };
        let id = row.id;
        self.store.add_view(row).await?;
        Ok(id)
    }

    /// # Errors
    /// Not the caller's, no name, or not storable.
    pub async fn rename_view(
        &self,
        caller: &Caller,
        id: Uuid,
        name: &str,
        shared: bool,
    ) -> Result<(), ServiceError> {
        let me = self.sits(caller)?;
        let name = self.store.veiled(&named(name)?)?;
        let done = self.store.rename_view(id, me, name, shared).await?;
        done.then_some(()).ok_or(ServiceError::NotFound)
    }

    /// # Errors
    /// Not the caller's, or not storable.
    pub async fn delete_view(&self, caller: &Caller, id: Uuid) -> Result<(), ServiceError> {
        let me = self.sits(caller)?;
        let done = self.store.delete_view(id, me).await?;
        done.then_some(()).ok_or(ServiceError::NotFound)
    }

    /// The view that the list opens with; none for the plain list.
    ///
    /// # Errors
    /// Not found, or not storable.
    pub async fn choose_view(&self, caller: &Caller, id: Option<Uuid>) -> Result<(), ServiceError> {
        let me = self.sits(caller)?;
        if let Some(id) = id {
            self.view(caller, id).await?;
        }
        Ok(self.store.choose_view(me, id).await?)
    }

    /// Who sits at the desk: a person who lists cases.
    #[allow(clippy::unused_self)] // reads like its neighbours
    fn sits(&self, caller: &Caller) -> Result<Uuid, ServiceError> {
        Self::allow(caller, Action::ListCases, Object::default())?;
        caller.person().ok_or(ServiceError::Forbidden)
    }

    fn shown(&self, v: ViewRow, me: Uuid, chosen: Option<Uuid>) -> View {
        View {
            id: v.id,
            name: self.store.unveiled(v.name),
            query: v.query,
            shared: v.shared,
            own: v.owner == me,
            is_default: chosen == Some(v.id),
        }
    }
}

fn is_open(caller: &Caller, v: &ViewRow) -> bool {
    caller.person() == Some(v.owner) || (v.shared && caller.covers(&v.area))
}

fn named(name: &str) -> Result<String, ServiceError> {
    let name = name.trim();
    if name.is_empty() {
        return Err(invalid("name", "required", "give the view a name"));
    }
    super::answer::short("name", name, 80)?;
    Ok(name.to_owned())
}
