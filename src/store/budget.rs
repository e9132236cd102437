//! Limits that hold on every node, and sign-ins half way through. Rows that have run out are swept
//! by whoever adds the next.

use super::engine::on;
use super::login::told;
use super::{Store, StoreError};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A budget of attempts: so many at once, then one more each `refill`.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub at_once: i64,
    pub refill_ms: i64,
}

impl Store {
    /// Spends one attempt of each budget; false, and nothing spent, if any has none left. One
    /// statement per budget within one transaction, so that guesses made side by side do not slip
    /// through.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn spend(
        &self,
        budgets: Vec<(Vec<u8>, Budget)>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        const SWEEP: &str = "DELETE FROM throttle WHERE spent_to < $1";
        const SQL: &str = "INSERT INTO throttle (key, spent_to) VALUES ($1, $2 + $3) ON CONFLICT (key) DO UPDATE SET spent_to = (CASE WHEN throttle.spent_to > $2 THEN throttle.spent_to ELSE $2 END) + $3 WHERE throttle.spent_to <= $2 + $4";
        const BACK: &str = "UPDATE throttle SET spent_to = spent_to - $2 WHERE key = $1";
        let now = now.timestamp_millis();
        Ok(told!(self, |conn| {
            on!(conn conn, |c| sqlx::query(SWEEP).bind(now).execute(c).await?.rows_affected());
            let mut spent = 0;
            for (key, b) in &budgets {
                let room = b.refill_ms * (b.at_once - 1);
                let n = on!(conn conn, |c| sqlx::query(SQL).bind(key).bind(now).bind(b.refill_ms).bind(room).execute(c).await?.rows_affected());
                if n == 0 {
                    break;
                }
                spent += 1;
            }
            let all = spent == budgets.len();
            if !all {
                for (key, b) in budgets.iter().take(spent) {
                    on!(conn conn, |c| sqlx::query(BACK).bind(key).bind(b.refill_ms).execute(c).await?.rows_affected());
                }
            }
            all
        }))
    }

    /// Gives one attempt of each budget back: it was a good one.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn give_back(&self, budgets: Vec<(Vec<u8>, Budget)>) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE throttle SET spent_to = spent_to - $2 WHERE key = $1";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                for (key, b) in &budgets {
                    on!(conn conn, |c| sqlx::query(SQL).bind(key).bind(b.refill_ms).execute(c).await?.rows_affected());
                }
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Keeps what a sign-in half way through needs.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn add_step(
        &self,
        digest: Vec<u8>,
        kind: &'static str,
        sealed: Vec<u8>,
        now: DateTime<Utc>,
        ends_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const SWEEP: &str = "DELETE FROM sign_in_step WHERE ends_at < $1";
        const SQL: &str =
            "INSERT INTO sign_in_step (digest, kind, sealed, ends_at) VALUES ($1, $2, $3, $4)";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SWEEP).bind(now).execute(c).await?.rows_affected());
                on!(conn conn, |c| sqlx::query(SQL).bind(&digest).bind(kind).bind(&sealed).bind(ends_at).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Looks at a step and leaves it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn step(
        &self,
        digest: &[u8],
        kind: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        const SQL: &str =
            "SELECT sealed FROM sign_in_step WHERE digest = $1 AND kind = $2 AND ends_at > $3";
        Ok(
            on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(digest).bind(kind).bind(now).fetch_optional(p).await?),
        )
    }

    /// Takes a step: it works once.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn take_step(
        &self,
        digest: Vec<u8>,
        kind: &'static str,
        now: DateTime<Utc>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        const SQL: &str = "DELETE FROM sign_in_step WHERE digest = $1 AND kind = $2 AND ends_at > $3 RETURNING sealed";
        Ok(told!(self, |conn| {
            on!(conn conn, |c| sqlx::query_scalar(SQL).bind(&digest).bind(kind).bind(now).fetch_optional(c).await?)
        }))
    }

    /// Whether a browser has signed in to this account before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn knows_device(&self, digest: &[u8], user: Uuid) -> Result<bool, StoreError> {
        const SQL: &str =
            "SELECT EXISTS (SELECT 1 FROM known_device WHERE digest = $1 AND user_id = $2)";
        Ok(
            on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(digest).bind(user).fetch_one(p).await?),
        )
    }

    /// Remembers a browser; the ten latest of an account are kept.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn remember_device(
        &self,
        digest: Vec<u8>,
        user: Uuid,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO known_device (digest, user_id, seen_at) VALUES ($1, $2, $3) ON CONFLICT (digest, user_id) DO UPDATE SET seen_at = excluded.seen_at";
        const OLD: &str = "DELETE FROM known_device WHERE user_id = $1 AND digest NOT IN (SELECT digest FROM known_device WHERE user_id = $1 ORDER BY seen_at DESC LIMIT 10)";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(&digest).bind(user).bind(at).execute(c).await?.rows_affected());
                on!(conn conn, |c| sqlx::query(OLD).bind(user).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }
}
