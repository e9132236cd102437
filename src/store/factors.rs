//! Second factors, passkeys and accounts elsewhere.

use super::engine::on;
use super::login::{Note, end_others, note, told};
use super::{CommitError, Store, StoreError};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What an account has besides a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow, serde::Serialize)]
pub struct Factors {
    /// Authenticator apps that are confirmed: none or one.
    pub apps: i64,
    pub passkeys: i64,
    pub outside: i64,
    /// Recovery codes not yet used.
    pub codes: i64,
}

impl Factors {
    /// Something to ask for after a password.
    #[must_use]
    pub fn has_second(&self) -> bool {
        self.apps + self.passkeys > 0
    }
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct TotpRow {
    pub sealed: Vec<u8>,
    pub confirmed_at: Option<DateTime<Utc>>,
    pub last_step: i64,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct PasskeyRow {
    pub id: Uuid,
    pub user_id: Uuid,
    pub credential: Vec<u8>,
    pub name: String,
    pub data: String,
    pub created_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OutsideRow {
    pub issuer: String,
    pub subject: String,
    pub user_id: Uuid,
    pub provider: String,
    pub linked_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
}

impl Store {
    /// # Errors
    /// The database failed.
    pub async fn factors(&self, user: Uuid) -> Result<Factors, StoreError> {
        const SQL: &str = "SELECT (SELECT COUNT(*) FROM totp WHERE user_id = $1 AND confirmed_at IS NOT NULL) AS apps, (SELECT COUNT(*) FROM passkey WHERE user_id = $1) AS passkeys, (SELECT COUNT(*) FROM outside_account WHERE user_id = $1) AS outside, (SELECT COUNT(*) FROM recovery_code WHERE user_id = $1 AND used_at IS NULL) AS codes";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(user).fetch_one(p).await?))
    }

    /// # Errors
    /// The database failed.
    pub async fn totp(&self, user: Uuid) -> Result<Option<TotpRow>, StoreError> {
        const SQL: &str = "SELECT sealed, confirmed_at, last_step FROM totp WHERE user_id = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(user).fetch_optional(p).await?))
    }

    /// Keeps a secret until it is confirmed; one that is confirmed stays.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn propose_totp(&self, user: Uuid, sealed: Vec<u8>) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO totp (user_id, sealed) VALUES ($1, $2) ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed WHERE totp.confirmed_at IS NULL";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(user).bind(&sealed).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// The proposed secret is in use from now on, with new recovery codes; false if it was already.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn confirm_totp(
        &self,
        user: Uuid,
        step: i64,
        codes: Vec<Vec<u8>>,
        line: Note,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE totp SET confirmed_at = $2, last_step = $3 WHERE user_id = $1 AND confirmed_at IS NULL";
        Ok(told!(self, |conn| {
            let n = on!(conn conn, |c| sqlx::query(SQL).bind(user).bind(line.at).bind(step).execute(c).await?.rows_affected());
            if n == 1 {
                new_codes(conn, user, &codes).await?;
                note(conn, &line).await?;
            }
            n == 1
        }))
    }

    /// Takes a time step: false if it, or a later one, was taken before.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn take_totp_step(&self, user: Uuid, step: i64) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE totp SET last_step = $2 WHERE user_id = $1 AND last_step < $2 AND confirmed_at IS NOT NULL";
        Ok(told!(self, |conn| {
            on!(conn conn, |c| sqlx::query(SQL).bind(user).bind(step).execute(c).await?.rows_affected())
                == 1
        }))
    }

    /// # Errors
    /// The change was not committed.
    pub async fn remove_totp(&self, user: Uuid, line: Note) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM totp WHERE user_id = $1";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(user).execute(c).await?.rows_affected());
                note(conn, &line).await
            })
        }))
        .await?;
        Ok(())
    }

    /// New recovery codes; the old ones are void.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn set_codes(
        &self,
        user: Uuid,
        codes: Vec<Vec<u8>>,
        line: Note,
    ) -> Result<(), StoreError> {
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                new_codes(conn, user, &codes).await?;
                note(conn, &line).await
            })
        }))
        .await?;
        Ok(())
    }

    /// Takes a recovery code; false if there is no such one, or it was used.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn take_code_of(
        &self,
        user: Uuid,
        digest: Vec<u8>,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE recovery_code SET used_at = $3 WHERE user_id = $1 AND digest = $2 AND used_at IS NULL";
        Ok(told!(self, |conn| {
            on!(conn conn, |c| sqlx::query(SQL).bind(user).bind(&digest).bind(at).execute(c).await?.rows_affected())
                == 1
        }))
    }

    /// # Errors
    /// The database failed.
    pub async fn passkeys_of(&self, user: Uuid) -> Result<Vec<PasskeyRow>, StoreError> {
        const SQL: &str = "SELECT id, user_id, credential, name, data, created_at, used_at FROM passkey WHERE user_id = $1 ORDER BY created_at";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(user).fetch_all(p).await?))
    }

    /// # Errors
    /// The database failed.
    pub async fn passkey(&self, credential: &[u8]) -> Result<Option<PasskeyRow>, StoreError> {
        const SQL: &str = "SELECT id, user_id, credential, name, data, created_at, used_at FROM passkey WHERE credential = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(credential).fetch_optional(p).await?))
    }

    /// Adds a passkey; false if some account has it already.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn add_passkey(&self, k: PasskeyRow, line: Note) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO passkey (id, user_id, credential, name, data, created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
        Ok(told!(self, |conn| {
            let n = on!(conn conn, |c| sqlx::query(SQL).bind(k.id).bind(k.user_id).bind(&k.credential).bind(&k.name).bind(&k.data).bind(k.created_at).execute(c).await?.rows_affected());
            if n == 1 {
                note(conn, &line).await?;
            }
            n == 1
        }))
    }

    /// What changed of a passkey by its use.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn used_passkey(
        &self,
        id: Uuid,
        data: String,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE passkey SET data = $2, used_at = $3 WHERE id = $1";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(id).bind(&data).bind(at).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// # Errors
    /// The change was not committed.
    pub async fn remove_passkey(
        &self,
        user: Uuid,
        id: Uuid,
        line: Note,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM passkey WHERE id = $1 AND user_id = $2";
        Ok(told!(self, |conn| {
            let n = on!(conn conn, |c| sqlx::query(SQL).bind(id).bind(user).execute(c).await?.rows_affected());
            if n == 1 {
                note(conn, &line).await?;
            }
            n == 1
        }))
    }

    /// The account that is linked to one elsewhere.
    ///
    /// # Errors
    /// The database failed.
    pub async fn outside(&self, issuer: &str, subject: &str) -> Result<Option<Uuid>, StoreError> {
        const SQL: &str = "SELECT user_id FROM outside_account WHERE issuer = $1 AND subject = $2";
        Ok(
            on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(issuer).bind(subject).fetch_optional(p).await?),
        )
    }

    /// # Errors
    /// The database failed.
    pub async fn outsides_of(&self, user: Uuid) -> Result<Vec<OutsideRow>, StoreError> {
        const SQL: &str = "SELECT issuer, subject, user_id, provider, linked_at, used_at FROM outside_account WHERE user_id = $1 ORDER BY linked_at";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(user).fetch_all(p).await?))
    }

    /// Links an account elsewhere; false if it is linked to somebody already.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn add_outside(&self, o: OutsideRow, line: Note) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO outside_account (issuer, subject, user_id, provider, linked_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        Ok(told!(self, |conn| {
            let n = on!(conn conn, |c| sqlx::query(SQL).bind(&o.issuer).bind(&o.subject).bind(o.user_id).bind(&o.provider).bind(o.linked_at).execute(c).await?.rows_affected());
            if n == 1 {
                note(conn, &line).await?;
            }
            n == 1
        }))
    }

    /// # Errors
    /// The change was not committed.
    pub async fn used_outside(
        &self,
        issuer: String,
        subject: String,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE outside_account SET used_at = $3 WHERE issuer = $1 AND subject = $2";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(&issuer).bind(&subject).bind(at).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Takes the links to one provider off an account.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn remove_outside(
        &self,
        user: Uuid,
        provider: String,
        line: Note,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM outside_account WHERE user_id = $1 AND provider = $2";
        Ok(told!(self, |conn| {
            let n = on!(conn conn, |c| sqlx::query(SQL).bind(user).bind(&provider).execute(c).await?.rows_affected());
            if n > 0 {
                note(conn, &line).await?;
            }
            n > 0
        }))
    }

    /// Takes every way to sign in off an account and ends its sessions: a new invitation follows.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn strip(&self, user: Uuid, line: Note) -> Result<(), CommitError> {
        const ALL: [&str; 7] = [
            "DELETE FROM totp WHERE user_id = $1",
            "DELETE FROM recovery_code WHERE user_id = $1",
            "DELETE FROM passkey WHERE user_id = $1",
            "DELETE FROM outside_account WHERE user_id = $1",
            "DELETE FROM known_device WHERE user_id = $1",
            "DELETE FROM invitation WHERE user_id = $1",
            "UPDATE user_account SET password_hash = '' WHERE id = $1",
        ];
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                for sql in ALL {
                    on!(conn conn, |c| sqlx::query(sql).bind(user).execute(c).await?.rows_affected());
                }
                end_others(conn, user, &[]).await?;
                note(conn, &line).await
            })
        }))
        .await
    }
}

async fn new_codes(
    conn: &mut super::engine::Conn,
    user: Uuid,
    codes: &[Vec<u8>],
) -> Result<(), sqlx::Error> {
    const OLD: &str = "DELETE FROM recovery_code WHERE user_id = $1";
    const SQL: &str = "INSERT INTO recovery_code (user_id, digest) VALUES ($1, $2)";
    on!(conn conn, |c| sqlx::query(OLD).bind(user).execute(c).await?.rows_affected());
    for digest in codes {
        on!(conn conn, |c| sqlx::query(SQL).bind(user).bind(digest).execute(c).await?.rows_affected());
    }
    Ok(())
}
