//! Accounts as administrators see them, and invitations.

use super::engine::on;
use super::login::{Note, end_others, note, told};
use super::{Store, StoreError, UserRow};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// An account in the list.
#[derive(Clone, Debug, sqlx::FromRow, serde::Serialize)]
pub struct PersonLine {
    pub id: Uuid,
    pub email: String,
    pub name: String,
    pub role: String,
    pub area: String,
    pub agency: Option<String>,
    pub created_at: DateTime<Utc>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub has_password: bool,
    pub apps: i64,
    pub passkeys: i64,
    pub outside: i64,
    /// An invitation that is still open.
    pub invited_until: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct InvitationRow {
    pub id: Uuid,
    pub user_id: Uuid,
    pub invited_by: String,
    pub invited_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Every account, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn people(&self, now: DateTime<Utc>) -> Result<Vec<PersonLine>, StoreError> {
        const SQL: &str = "SELECT u.id, u.email, u.name, u.role, u.area, u.agency, u.created_at, u.disabled_at, u.password_hash <> '' AS has_password, (SELECT COUNT(*) FROM totp t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL) AS apps, (SELECT COUNT(*) FROM passkey k WHERE k.user_id = u.id) AS passkeys, (SELECT COUNT(*) FROM outside_account o WHERE o.user_id = u.id) AS outside, (SELECT MAX(i.ends_at) FROM invitation i WHERE i.user_id = u.id AND i.used_at IS NULL AND i.ends_at > $1) AS invited_until FROM user_account u ORDER BY u.name, u.email";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(now).fetch_all(p).await?))
    }

    /// Opens an invitation, in place of any before it; with a new account, if there is one.
    /// False if the address is taken.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn invite(
        &self,
        new: Option<UserRow>,
        i: InvitationRow,
        line: Note,
    ) -> Result<bool, StoreError> {
        const USER: &str = "INSERT INTO user_account (id, email, name, role, area, agency, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
        const OLD: &str = "DELETE FROM invitation WHERE user_id = $1 AND used_at IS NULL";
        const SQL: &str = "INSERT INTO invitation (id, user_id, invited_by, invited_at, ends_at) VALUES ($1, $2, $3, $4, $5)";
        Ok(told!(self, |conn| {
            let mut free = true;
            if let Some(u) = &new {
                free = on!(conn conn, |c| sqlx::query(USER).bind(u.id).bind(&u.email).bind(&u.name).bind(&u.role).bind(&u.area).bind(&u.agency).bind(&u.password_hash).bind(u.created_at).execute(c).await?.rows_affected())
                    == 1;
            }
            if free {
                on!(conn conn, |c| sqlx::query(OLD).bind(i.user_id).execute(c).await?.rows_affected());
                on!(conn conn, |c| sqlx::query(SQL).bind(i.id).bind(i.user_id).bind(&i.invited_by).bind(i.invited_at).bind(i.ends_at).execute(c).await?.rows_affected());
                note(conn, &line).await?;
            }
            free
        }))
    }

    /// # Errors
    /// The database failed.
    pub async fn invitation(&self, id: Uuid) -> Result<Option<InvitationRow>, StoreError> {
        const SQL: &str = "SELECT id, user_id, invited_by, invited_at, ends_at, used_at FROM invitation WHERE id = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(id).fetch_optional(p).await?))
    }

    /// Whoever was invited has set up a way to sign in: the link works no more.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn use_invitations(&self, user: Uuid, at: DateTime<Utc>) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE invitation SET used_at = $2 WHERE user_id = $1 AND used_at IS NULL";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(user).bind(at).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Shuts an account (its sessions end) or opens it again.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn set_disabled(
        &self,
        user: Uuid,
        at: Option<DateTime<Utc>>,
        line: Note,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE user_account SET disabled_at = $2 WHERE id = $1";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(user).bind(at).execute(c).await?.rows_affected());
                if at.is_some() {
                    end_others(conn, user, &[]).await?;
                }
                note(conn, &line).await
            })
        }))
        .await?;
        Ok(())
    }
}
