//! Who looked at what: writing several lines at once, reading them back for the auditor.

use super::changes::{AuditRow, ChangeSet};
use super::engine::on;
use super::{CommitError, Store, StoreError};
use crate::domain::id::CaseId;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder, Sqlite};
use uuid::Uuid;

/// One look.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AuditLine {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub action: String,
    pub role: String,
    pub purpose: String,
    pub reference: Option<String>,
}

/// Which looks.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    pub case: Option<CaseId>,
    /// `user:…`, `token:…`, as the audit keeps it.
    pub actor: Option<String>,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    /// Lines about cases of these areas, and lines about no case.
    pub areas: Vec<String>,
    pub most: i64,
}

/// An account or a token by name.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Somebody {
    pub id: Uuid,
    pub name: String,
    /// The role of a person; empty for a token.
    pub role: String,
    pub area: String,
}

macro_rules! asked {
    ($engine:ty, $query:expr) => {{
        let a: &AuditQuery = $query;
        let mut q: QueryBuilder<$engine> = QueryBuilder::new("SELECT a.at, a.actor, a.action, a.role, a.purpose, c.reference FROM audit a LEFT JOIN cases c ON c.id = a.case_id WHERE (a.case_id IS NULL OR c.area IN (");
        let mut areas = q.separated(", ");
        for area in &a.areas {
            areas.push_bind(area.clone());
        }
        q.push("))");
        if let Some(c) = a.case {
            q.push(" AND a.case_id = ").push_bind(c.0);
        }
        if let Some(actor) = &a.actor {
            q.push(" AND a.actor = ").push_bind(actor.clone());
        }
        if let Some(from) = a.from {
            q.push(" AND a.at >= ").push_bind(from);
        }
        if let Some(to) = a.to {
            q.push(" AND a.at < ").push_bind(to);
        }
        q.push(" ORDER BY a.at DESC, a.id DESC LIMIT ").push_bind(a.most);
        q
    }};
}

impl Store {
    /// Looks that fit, the latest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn looks(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, StoreError> {
        if query.areas.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match self.pool() {
            super::Pool::Sqlite(p) => asked!(Sqlite, query).build_query_as().fetch_all(p).await?,
            super::Pool::Pg(p) => asked!(Postgres, query).build_query_as().fetch_all(p).await?,
        })
    }

    /// Records several looks in one commit.
    ///
    /// # Errors
    /// They were not committed; then nothing of it may be shown.
    pub async fn audit_all(&self, audit: Vec<AuditRow>) -> Result<(), CommitError> {
        if audit.is_empty() {
            return Ok(());
        }
        self.commit(ChangeSet { audit, ..ChangeSet::default() }).await
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn everybody(&self) -> Result<Vec<Somebody>, StoreError> {
        const SQL: &str = "SELECT id, name, role, area FROM user_account ORDER BY name, id";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?))
    }

    /// Everybody with an account that is open and bound to no agency, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn people_at_work(&self) -> Result<Vec<Somebody>, StoreError> {
        const SQL: &str = "SELECT id, name, role, area FROM user_account WHERE disabled_at IS NULL AND agency IS NULL ORDER BY name, id";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?))
    }

    /// Every token, revoked ones too.
    ///
    /// # Errors
    /// The database failed.
    pub async fn machines(&self) -> Result<Vec<Somebody>, StoreError> {
        const SQL: &str = "SELECT id, name, '' AS role, area FROM api_token ORDER BY name, id";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?))
    }
}
