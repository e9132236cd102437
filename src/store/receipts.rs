//! What carriers say of messages afterwards: finding the message, and keeping what fits none.

use super::engine::on;
use super::{CommitError, Store, StoreError};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A message as a receipt finds it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SentRow {
    pub id: Uuid,
    pub alert_id: Uuid,
    pub lane: String,
    pub channel: String,
    pub address: String,
    pub state: String,
    pub provider: Option<String>,
    pub provider_id: Option<String>,
    pub receipt: Option<String>,
    pub created_at: DateTime<Utc>,
    pub step: i64,
}

macro_rules! sent {
    ($rest:literal) => {
        concat!(
            "SELECT id, alert_id, lane, channel, address, state, provider, provider_id, receipt, created_at, step FROM delivery ",
            $rest
        )
    };
}

impl Store {
    /// A message by its own id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sent(&self, id: Uuid) -> Result<Option<SentRow>, StoreError> {
        const SQL: &str = sent!("WHERE id = $1");
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(id).fetch_optional(p).await?))
    }

    /// A message by its carrier's id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sent_by(
        &self,
        provider: &str,
        provider_id: &str,
    ) -> Result<Option<SentRow>, StoreError> {
        const SQL: &str = sent!("WHERE provider = $1 AND provider_id = $2");
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL)
            .bind(provider)
            .bind(provider_id)
            .fetch_optional(p)
            .await?))
    }

    /// Messages whose carrier has not said what became of them, and is to be asked now.
    ///
    /// # Errors
    /// The database failed.
    pub async fn to_ask(&self, now: DateTime<Utc>, most: i64) -> Result<Vec<SentRow>, StoreError> {
        const SQL: &str =
            sent!("WHERE ask_at IS NOT NULL AND ask_at <= $1 ORDER BY ask_at LIMIT $2");
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(now).bind(most).fetch_all(p).await?))
    }

    /// Keeps, without its content, that a call-back came which fits nothing.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn keep_stray(
        &self,
        at: DateTime<Utc>,
        provider: &'static str,
        what: &'static str,
    ) -> Result<(), CommitError> {
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                const SQL: &str = "INSERT INTO stray (at, provider, what) VALUES ($1, $2, $3)";
                on!(conn conn, |c| sqlx::query(SQL).bind(at).bind(provider).bind(what).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await
    }

    /// Puts the next question off: by as much as the message is old, at most six hours, and never
    /// again after three days.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn ask_later(&self, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
        let Some(sent) = self.sent(id).await? else { return Ok(()) };
        let age = now - sent.created_at;
        let wait = age.clamp(chrono::Duration::minutes(1), chrono::Duration::hours(6));
        let next = (age < chrono::Duration::days(3)).then(|| now + wait);
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                const SQL: &str = "UPDATE delivery SET ask_at = $2 WHERE id = $1 AND ask_at IS NOT NULL";
                on!(conn conn, |c| sqlx::query(SQL).bind(id).bind(next).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Whether a call-back was carried out before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn hook_was_seen(&self, digest: &[u8]) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM hook_seen WHERE digest = $1)";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(digest).fetch_one(p).await?))
    }

    /// Whether a call-back comes for the first time.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn first_hook(&self, hook: super::changes::HookRow) -> Result<bool, StoreError> {
        let (tx, rx) = tokio::sync::oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                const SQL: &str = "INSERT INTO hook_seen (digest, at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                let n = on!(conn conn, |c| sqlx::query(SQL).bind(&hook.digest).bind(hook.at).execute(c).await?.rows_affected());
                let _ = tx.send(n == 1);
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("first_hook"))
    }
}
