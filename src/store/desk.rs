//! What people chose for their desks, and the views they saved.

use super::engine::on;
use super::{Store, StoreError};
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

/// One person's desk.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DeskRow {
    pub user_id: Uuid,
    pub seen_at: Option<DateTime<Utc>>,
    pub columns: String,
    pub keys_on: bool,
    pub default_view: Option<Uuid>,
}

/// A saved view; the name is veiled.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ViewRow {
    pub id: Uuid,
    pub owner: Uuid,
    pub area: String,
    pub shared: bool,
    pub name: String,
    pub query: String,
    pub created_at: DateTime<Utc>,
}

const VIEW: &str = "SELECT id, owner, area, shared, name, query, created_at FROM saved_view";

/// One statement in a transaction of its own; yields the rows it changed.
macro_rules! alone {
    ($store:expr, $sql:expr, |$q:ident| $bind:expr) => {{
        let (tx, rx) = oneshot::channel();
        $store
            .task(Box::new(move |conn| {
                Box::pin(async move {
                    let n = on!(conn conn, |c| {
                        let $q = sqlx::query($sql);
                        $bind.execute(c).await?.rows_affected()
                    });
                    let _ = tx.send(n);
                    Ok(())
                })
            }))
            .await?;
        rx.await.map_err(|_| StoreError::Corrupt("desk"))
    }};
}

impl Store {
    /// # Errors
    /// The database failed.
    pub async fn desk(&self, user: Uuid) -> Result<Option<DeskRow>, StoreError> {
        const SQL: &str =
            "SELECT user_id, seen_at, columns, keys_on, default_view FROM desk WHERE user_id = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(user).fetch_optional(p).await?))
    }

    /// Somebody has seen what was new until then.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn desk_seen(&self, user: Uuid, at: DateTime<Utc>) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO desk (user_id, seen_at) VALUES ($1, $2) ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at";
        alone!(self, SQL, |q| q.bind(user).bind(at)).map(drop)
    }

    /// # Errors
    /// The change was not committed.
    pub async fn choose_desk(
        &self,
        user: Uuid,
        columns: String,
        keys_on: bool,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO desk (user_id, columns, keys_on) VALUES ($1, $2, $3) ON CONFLICT (user_id) DO UPDATE SET columns = excluded.columns, keys_on = excluded.keys_on";
        alone!(self, SQL, |q| q.bind(user).bind(&columns).bind(keys_on)).map(drop)
    }

    /// # Errors
    /// The change was not committed.
    pub async fn choose_view(&self, user: Uuid, view: Option<Uuid>) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO desk (user_id, default_view) VALUES ($1, $2) ON CONFLICT (user_id) DO UPDATE SET default_view = excluded.default_view";
        alone!(self, SQL, |q| q.bind(user).bind(view)).map(drop)
    }

    /// Somebody's own views and all that are shared, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn views(&self, user: Uuid) -> Result<Vec<ViewRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{VIEW} WHERE owner = $1 OR shared ORDER BY created_at, id LIMIT 500"
        ));
        Ok(on!(pool self.pool(), |p| sqlx::query_as(sql).bind(user).fetch_all(p).await?))
    }

    /// # Errors
    /// The database failed.
    pub async fn view(&self, id: Uuid) -> Result<Option<ViewRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("{VIEW} WHERE id = $1"));
        Ok(on!(pool self.pool(), |p| sqlx::query_as(sql).bind(id).fetch_optional(p).await?))
    }

    /// # Errors
    /// The change was not committed.
    pub async fn add_view(&self, v: ViewRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO saved_view (id, owner, area, shared, name, query, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        alone!(self, SQL, |q| q
            .bind(v.id)
            .bind(v.owner)
            .bind(&v.area)
            .bind(v.shared)
            .bind(&v.name)
            .bind(&v.query)
            .bind(v.created_at))
        .map(drop)
    }

    /// Gives a view of `owner` another name, and shares it or not. Whether it is theirs.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn rename_view(
        &self,
        id: Uuid,
        owner: Uuid,
        name: String,
        shared: bool,
    ) -> Result<bool, StoreError> {
        const SQL: &str =
            "UPDATE saved_view SET name = $3, shared = $4 WHERE id = $1 AND owner = $2";
        let n = alone!(self, SQL, |q| q.bind(id).bind(owner).bind(&name).bind(shared))?;
        Ok(n == 1)
    }

    /// Deletes a view of `owner`. Whether it was theirs.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn delete_view(&self, id: Uuid, owner: Uuid) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM saved_view WHERE id = $1 AND owner = $2";
        Ok(alone!(self, SQL, |q| q.bind(id).bind(owner))? == 1)
    }
}
