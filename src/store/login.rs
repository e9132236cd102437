//! Accounts, sessions and API tokens. Tokens and session ids are kept as digests only.

use super::engine::on;
use super::{Store, StoreError};
use chrono::{DateTime, Utc};
use uuid::Uuid;

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct UserRow {
    pub id: Uuid,
    pub email: String,
    pub name: String,
    pub role: String,
    pub area: String,
    pub agency: Option<String>,
    pub password_hash: String,
    pub created_at: DateTime<Utc>,
    pub disabled_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SessionRow {
    pub user_id: Uuid,
    pub csrf: String,
    pub created_at: DateTime<Utc>,
    pub seen_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct TokenRow {
    pub id: Uuid,
    pub name: String,
    pub scopes: String,
    pub area: String,
    pub agency: Option<String>,
}

impl Store {
    /// Adds an account; false if the address is taken.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn add_user(&self, u: UserRow) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO user_account (id, email, name, role, area, agency, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let done = self
            .task(Box::new(move |conn| {
                Box::pin(async move {
                    on!(conn conn, |c| sqlx::query(SQL).bind(u.id).bind(&u.email).bind(&u.name).bind(&u.role).bind(&u.area).bind(&u.agency).bind(&u.password_hash).bind(u.created_at).execute(c).await?.rows_affected());
                    Ok(())
                })
            }))
            .await;
        match done {
            Ok(()) => Ok(true),
            Err(super::CommitError::Conflict) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// # Errors
    /// The database failed.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRow>, StoreError> {
        const SQL: &str = "SELECT id, email, name, role, area, agency, password_hash, created_at, disabled_at FROM user_account WHERE email = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(email).fetch_optional(p).await?))
    }

    /// # Errors
    /// The database failed.
    pub async fn user(&self, id: Uuid) -> Result<Option<UserRow>, StoreError> {
        const SQL: &str = "SELECT id, email, name, role, area, agency, password_hash, created_at, disabled_at FROM user_account WHERE id = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(id).fetch_optional(p).await?))
    }

    /// # Errors
    /// The change was not committed.
    pub async fn add_session(&self, digest: Vec<u8>, s: SessionRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO session (digest, user_id, csrf, created_at, seen_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6)";
        const OLD: &str = "DELETE FROM session WHERE ends_at < $1";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(OLD).bind(s.created_at).execute(c).await?.rows_affected());
                on!(conn conn, |c| sqlx::query(SQL).bind(&digest).bind(s.user_id).bind(&s.csrf).bind(s.created_at).bind(s.seen_at).bind(s.ends_at).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// # Errors
    /// The database failed.
    pub async fn session(&self, digest: &[u8]) -> Result<Option<SessionRow>, StoreError> {
        const SQL: &str =
            "SELECT user_id, csrf, created_at, seen_at, ends_at FROM session WHERE digest = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(digest).fetch_optional(p).await?))
    }

    /// # Errors
    /// The change was not committed.
    pub async fn touch_session(
        &self,
        digest: Vec<u8>,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE session SET seen_at = $2 WHERE digest = $1";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(&digest).bind(at).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// # Errors
    /// The change was not committed.
    pub async fn end_session(&self, digest: Vec<u8>) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM session WHERE digest = $1";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(&digest).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// # Errors
    /// The change was not committed.
    pub async fn add_token(
        &self,
        digest: Vec<u8>,
        t: TokenRow,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO api_token (id, digest, name, scopes, area, agency, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(t.id).bind(&digest).bind(&t.name).bind(&t.scopes).bind(&t.area).bind(&t.agency).bind(at).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// A token that has not been revoked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn token(&self, digest: &[u8]) -> Result<Option<TokenRow>, StoreError> {
        const SQL: &str = "SELECT id, name, scopes, area, agency FROM api_token WHERE digest = $1 AND revoked_at IS NULL";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(digest).fetch_optional(p).await?))
    }

    /// Revokes the tokens of a name; how many there were.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn revoke_tokens(&self, name: String, at: DateTime<Utc>) -> Result<u64, StoreError> {
        const SQL: &str =
            "UPDATE api_token SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL";
        let (tx, rx) = tokio::sync::oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                let n = on!(conn conn, |c| sqlx::query(SQL).bind(&name).bind(at).execute(c).await?.rows_affected());
                let _ = tx.send(n);
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("revoke"))
    }
}
