//! Who may open a restricted case: the named list and broken glass, as read tables.

use super::changes::AccessChange;
use super::engine::{Conn, on};
use super::{Store, StoreError};
use crate::domain::id::{CaseId, Reference};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What a decision about a caller needs to know of a case.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Found {
    pub id: Uuid,
    pub area: String,
    pub stage: String,
    pub restricted: bool,
    /// The case that this one is an account of.
    pub account_of: Option<Uuid>,
}

type MaybeFound = (Option<Uuid>, Option<String>, Option<String>, Option<bool>, Option<Uuid>);

/// A break-glass, without its reason.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct GlassRow {
    pub case_id: Uuid,
    pub reference: String,
    pub area: String,
    pub user_id: Uuid,
    pub at: DateTime<Utc>,
    pub until_at: DateTime<Utc>,
    pub role: String,
    pub reviewed_at: Option<DateTime<Utc>>,
}

pub(super) async fn change(conn: &mut Conn, a: &AccessChange) -> Result<(), sqlx::Error> {
    match a {
        AccessChange::People { case_id, people } => {
            const GONE: &str = "DELETE FROM case_person WHERE case_id = $1";
            const ONE: &str = "INSERT INTO case_person (case_id, user_id) VALUES ($1, $2)";
            on!(conn &mut *conn, |c| sqlx::query(GONE).bind(case_id).execute(c).await?.rows_affected());
            for p in people {
                on!(conn &mut *conn, |c| sqlx::query(ONE).bind(case_id).bind(p).execute(c).await?.rows_affected());
            }
        }
        AccessChange::Glass { case_id, user_id, at, until, role } => {
            const SQL: &str = "INSERT INTO glass (case_id, user_id, at, until_at, role) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
            on!(conn &mut *conn, |c| sqlx::query(SQL).bind(case_id).bind(user_id).bind(at).bind(until).bind(role).execute(c).await?.rows_affected());
        }
        AccessChange::Reviewed { case_id, user_id, broken_at, at } => {
            const SQL: &str =
                "UPDATE glass SET reviewed_at = $4 WHERE case_id = $1 AND user_id = $2 AND at = $3";
            on!(conn &mut *conn, |c| sqlx::query(SQL).bind(case_id).bind(user_id).bind(broken_at).bind(at).execute(c).await?.rows_affected());
        }
    }
    Ok(())
}

impl Store {
    /// A case by its reference, with what decides who may open it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_case(&self, reference: &Reference) -> Result<Option<Found>, StoreError> {
        // A row comes back whether there is such a case or not: one row more to hand over is time
        // that somebody could measure.
        const SQL: &str = "SELECT c.id, c.area, c.stage, c.restricted, c.account_of FROM (SELECT 1) AS one LEFT JOIN cases c ON c.reference = $1";
        let row: MaybeFound = on!(pool self.pool(), |p| sqlx::query_as(SQL)
            .bind(reference.as_str())
            .fetch_one(p)
            .await?);
        let (Some(id), Some(area), Some(stage), Some(restricted), account_of) = row else {
            return Ok(None);
        };
        Ok(Some(Found { id, area, stage, restricted, account_of }))
    }

    /// The same by its id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn found(&self, id: CaseId) -> Result<Option<Found>, StoreError> {
        const SQL: &str = "SELECT id, area, stage, restricted, account_of FROM cases WHERE id = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(id.0).fetch_optional(p).await?))
    }

    /// Whether somebody is on the list of a restricted case.
    ///
    /// # Errors
    /// The database failed.
    pub async fn is_named(&self, case: CaseId, user: Uuid) -> Result<bool, StoreError> {
        const SQL: &str =
            "SELECT EXISTS (SELECT 1 FROM case_person WHERE case_id = $1 AND user_id = $2)";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL)
            .bind(case.0)
            .bind(user)
            .fetch_one(p)
            .await?))
    }

    /// Whether somebody has broken the glass and it has not closed again.
    ///
    /// # Errors
    /// The database failed.
    pub async fn has_broken_glass(
        &self,
        case: CaseId,
        user: Uuid,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM glass WHERE case_id = $1 AND user_id = $2 AND until_at > $3)";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL)
            .bind(case.0)
            .bind(user)
            .bind(now)
            .fetch_one(p)
            .await?))
    }

    /// Restricted cases that are open to somebody now.
    ///
    /// # Errors
    /// The database failed.
    pub async fn opened_to(&self, user: Uuid, now: DateTime<Utc>) -> Result<Vec<Uuid>, StoreError> {
        const SQL: &str = "SELECT case_id FROM case_person WHERE user_id = $1 UNION SELECT case_id FROM glass WHERE user_id = $1 AND until_at > $2";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL)
            .bind(user)
            .bind(now)
            .fetch_all(p)
            .await?))
    }

    /// Every break-glass that the guardian has not looked into, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn glass_to_review(&self) -> Result<Vec<GlassRow>, StoreError> {
        const SQL: &str = "SELECT g.case_id, c.reference, c.area, g.user_id, g.at, g.until_at, g.role, g.reviewed_at FROM glass g JOIN cases c ON c.id = g.case_id WHERE g.reviewed_at IS NULL ORDER BY g.at LIMIT 500";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?))
    }
}
