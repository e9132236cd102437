//! Accounts, sessions and API tokens. Tokens and session ids are kept as digests only.

use super::engine::{Conn, on};
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
    /// `full`, or `enrol`: may only set up how it signs in.
    pub stage: String,
    /// By what it was opened: `password`, `password+code`, `passkey`, a provider's id.
    pub how: String,
    /// Browser and system in two words.
    pub device: String,
}

/// A session as its owner sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SessionLine {
    pub digest: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub seen_at: DateTime<Utc>,
    pub how: String,
    pub device: String,
}

/// An audit line about an account.
#[derive(Clone, Debug)]
pub struct Note {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub action: &'static str,
    pub about: Option<Uuid>,
}

/// Writes an audit line within whatever transaction is open.
pub(super) async fn note(conn: &mut Conn, n: &Note) -> Result<(), sqlx::Error> {
    const SQL: &str = "INSERT INTO audit (at, actor, action, about) VALUES ($1, $2, $3, $4)";
    let about = n.about.map(|id| format!("user:{id}"));
    on!(conn conn, |c| sqlx::query(SQL).bind(n.at).bind(&n.actor).bind(n.action).bind(about).execute(c).await?.rows_affected());
    Ok(())
}

/// Runs work in a write transaction and hands back what it found.
macro_rules! told {
    ($store:expr, |$conn:ident| $body:block) => {{
        let (tx, rx) = tokio::sync::oneshot::channel();
        $store
            .task(Box::new(move |$conn| {
                Box::pin(async move {
                    let found = $body;
                    let _ = tx.send(found);
                    Ok(())
                })
            }))
            .await?;
        rx.await.map_err(|_| StoreError::Corrupt("sign-in"))?
    }};
}
pub(super) use told;

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

    /// Opens a session; in place of `old`, if there is one: a sign-in and every change of what a
    /// session may do have a new id.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn add_session(
        &self,
        digest: Vec<u8>,
        s: SessionRow,
        old: Option<Vec<u8>>,
        line: Note,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO session (digest, user_id, csrf, created_at, seen_at, ends_at, stage, how, device) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        const OLD: &str = "DELETE FROM session WHERE ends_at < $1";
        const REPLACED: &str = "DELETE FROM session WHERE digest = $1";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(OLD).bind(s.created_at).execute(c).await?.rows_affected());
                if let Some(old) = old {
                    on!(conn conn, |c| sqlx::query(REPLACED).bind(old).execute(c).await?.rows_affected());
                }
                on!(conn conn, |c| sqlx::query(SQL).bind(&digest).bind(s.user_id).bind(&s.csrf).bind(s.created_at).bind(s.seen_at).bind(s.ends_at).bind(&s.stage).bind(&s.how).bind(&s.device).execute(c).await?.rows_affected());
                note(conn, &line).await
            })
        }))
        .await?;
        Ok(())
    }

    /// # Errors
    /// The database failed.
    pub async fn session(&self, digest: &[u8]) -> Result<Option<SessionRow>, StoreError> {
        const SQL: &str = "SELECT user_id, csrf, created_at, seen_at, ends_at, stage, how, device FROM session WHERE digest = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(digest).fetch_optional(p).await?))
    }

    /// The sessions of an account, the latest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sessions_of(
        &self,
        user: Uuid,
        now: DateTime<Utc>,
        idle_since: DateTime<Utc>,
    ) -> Result<Vec<SessionLine>, StoreError> {
        const SQL: &str = "SELECT digest, created_at, seen_at, how, device FROM session WHERE user_id = $1 AND ends_at > $2 AND seen_at > $3 ORDER BY seen_at DESC";
        Ok(
            on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(user).bind(now).bind(idle_since).fetch_all(p).await?),
        )
    }

    /// Ends one session of an account; false if it has no such session.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn end_session_of(
        &self,
        user: Uuid,
        digest: Vec<u8>,
        line: Note,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM session WHERE digest = $1 AND user_id = $2";
        Ok(told!(self, |conn| {
            let n = on!(conn conn, |c| sqlx::query(SQL).bind(&digest).bind(user).execute(c).await?.rows_affected());
            if n > 0 {
                note(conn, &line).await?;
            }
            n > 0
        }))
    }

    /// Ends every session of an account but one, and forgets its known browsers if told to.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn end_other_sessions(
        &self,
        user: Uuid,
        but: Option<Vec<u8>>,
        line: Note,
    ) -> Result<u64, StoreError> {
        let but = but.unwrap_or_default();
        Ok(told!(self, |conn| {
            let n = end_others(conn, user, &but).await?;
            note(conn, &line).await?;
            n
        }))
    }

    /// A new password: every other session ends.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn set_password(
        &self,
        user: Uuid,
        hash: String,
        but: Option<Vec<u8>>,
        line: Note,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE user_account SET password_hash = $2 WHERE id = $1";
        let but = but.unwrap_or_default();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(user).bind(&hash).execute(c).await?.rows_affected());
                end_others(conn, user, &but).await?;
                note(conn, &line).await
            })
        }))
        .await?;
        Ok(())
    }

    /// Writes an audit line by itself.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn note(&self, line: Note) -> Result<(), StoreError> {
        self.task(Box::new(move |conn| Box::pin(async move { note(conn, &line).await }))).await?;
        Ok(())
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

/// Ends the sessions of an account, but for one (an empty digest is none).
pub(super) async fn end_others(
    conn: &mut Conn,
    user: Uuid,
    but: &[u8],
) -> Result<u64, sqlx::Error> {
    const SQL: &str = "DELETE FROM session WHERE user_id = $1 AND digest <> $2";
    Ok(on!(conn conn, |c| sqlx::query(SQL).bind(user).bind(but).execute(c).await?.rows_affected()))
}
