//! Panels and what is on their lists; settings and exports beside them.

use super::changes::PanelRow;
use super::engine::on;
use super::{Store, StoreError};
use crate::domain::facts::Facts;
use crate::domain::id::PanelId;
use crate::platform::crypt::CryptError;
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// One line of a panel's list.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct PanelLine {
    pub case_id: Uuid,
    pub restricted: bool,
    pub anonymous_reference: String,
    pub reference: String,
    pub age_band: Option<String>,
    pub category: Option<i64>,
    pub died_on: Option<NaiveDate>,
    pub stage: String,
    pub blockers: String,
}

impl Store {
    /// Panels of the areas, the latest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn panels(&self, area: &str) -> Result<Vec<PanelRow>, StoreError> {
        const SQL: &str = "SELECT id, area, name, held_on, created_at FROM panel WHERE area = $1 ORDER BY held_on DESC, id LIMIT 500";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(area).fetch_all(p).await?))
    }

    /// # Errors
    /// The database failed.
    pub async fn panel(&self, id: PanelId) -> Result<Option<PanelRow>, StoreError> {
        const SQL: &str = "SELECT id, area, name, held_on, created_at FROM panel WHERE id = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(id.0).fetch_optional(p).await?))
    }

    /// A panel's list, in the order of its anonymous references.
    ///
    /// # Errors
    /// The database failed.
    pub async fn panel_lines(&self, id: PanelId) -> Result<Vec<PanelLine>, StoreError> {
        const SQL: &str = "SELECT l.case_id, c.restricted, l.anonymous_reference, c.reference, c.age_band, c.category, c.died_on, c.stage, c.blockers FROM panel_case l JOIN cases c ON c.id = l.case_id WHERE l.panel_id = $1 ORDER BY l.anonymous_reference";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(id.0).fetch_all(p).await?))
    }

    /// A setting kept in the database.
    ///
    /// # Errors
    /// The database failed.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT value FROM setting WHERE name = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(name).fetch_optional(p).await?))
    }

    /// # Errors
    /// The change was not committed.
    pub async fn set_setting(
        &self,
        name: &'static str,
        value: &'static str,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(name).bind(value).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Records an export and returns the one of the same kind and period that it replaces.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_export(&self, e: ExportRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO export (id, at, actor, area, from_day, to_day, format, cases, sha256) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(e.id).bind(e.at).bind(&e.actor).bind(&e.area).bind(e.from_day).bind(e.to_day).bind(&e.format).bind(e.cases).bind(&e.sha256).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// The latest export of this area, period and format.
    ///
    /// # Errors
    /// The database failed.
    pub async fn last_export(
        &self,
        area: &str,
        from: NaiveDate,
        to: NaiveDate,
        format: &str,
    ) -> Result<Option<Uuid>, StoreError> {
        const SQL: &str = "SELECT id FROM export WHERE area = $1 AND from_day = $2 AND to_day = $3 AND format = $4 ORDER BY at DESC LIMIT 1";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL)
            .bind(area)
            .bind(from)
            .bind(to)
            .bind(format)
            .fetch_optional(p)
            .await?))
    }
}

/// One export as remembered.
#[derive(Clone, Debug)]
pub struct ExportRow {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub area: String,
    pub from_day: NaiveDate,
    pub to_day: NaiveDate,
    pub format: String,
    pub cases: i64,
    pub sha256: String,
}

/// A case as an export reads it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ExportCase {
    pub id: Uuid,
    pub reference: String,
    pub jar: String,
    pub version: i64,
    pub received_at: DateTime<Utc>,
    pub sealed_facts: Vec<u8>,
    pub key_name: Option<String>,
    pub wrapped_key: Option<Vec<u8>>,
    pub restricted: bool,
}

impl Store {
    /// Cases of an area whose day of death (else of notification) lies in the period, by id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn export_page(
        &self,
        area: &str,
        from: NaiveDate,
        to: NaiveDate,
        after: Uuid,
        size: usize,
    ) -> Result<Vec<ExportCase>, StoreError> {
        const SQL: &str = "SELECT c.id, c.reference, c.jar, c.version, c.received_at, c.sealed_facts, s.key_name, s.wrapped_key, c.restricted FROM cases c JOIN stream s ON s.id = c.id WHERE c.id > $1 AND c.area = $2 AND c.stage NOT IN ('drill', 'withdrawn', 'second_account') AND ((c.died_on >= $3 AND c.died_on <= $4) OR (c.died_on IS NULL AND c.received_at >= $5 AND c.received_at < $6)) ORDER BY c.id LIMIT $7";
        let start = crate::domain::civil_time::start_of(from);
        let end = crate::domain::civil_time::start_of(to.succ_opt().unwrap_or(to));
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL)
            .bind(after)
            .bind(area)
            .bind(from)
            .bind(to)
            .bind(start)
            .bind(end)
            .bind(size)
            .fetch_all(p)
            .await?))
    }

    /// Opens the facts of an exported case; none if its key was destroyed.
    ///
    /// # Errors
    /// The master key is not the right one, or the value was changed.
    pub fn facts_of(&self, c: &ExportCase) -> Result<Option<Facts>, StoreError> {
        let key = self.unwrap_case_key(c.id, c.key_name.as_deref(), c.wrapped_key.as_deref());
        let key = match key {
            Err(CryptError::Destroyed) => return Ok(None),
            other => other?,
        };
        let plain = key.open(&super::journal::facts_aad(c.id), &c.sealed_facts)?;
        serde_json::from_slice(&plain).map(Some).map_err(|_| StoreError::Corrupt("facts"))
    }
}
