//! The outbox: taking messages that are due, giving back those whose worker died, and the figures
//! that tell whether anything is stuck.

use super::engine::{Conn, on};
use super::{Store, StoreError};
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

/// A message in the hands of this process.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Job {
    pub id: Uuid,
    pub alert_id: Uuid,
    pub lane: String,
    pub channel: String,
    pub address: String,
    /// Attempts before this one.
    pub attempts: i64,
    pub created_at: DateTime<Utc>,
    /// JSON of the alert's (or bulletin's) notice.
    pub notice: String,
    /// Said instead of what the notice says.
    pub kind: Option<String>,
    /// The step of the ladder.
    pub step: i64,
    /// Proof of holding the lease.
    pub lease_token: i64,
    pub urgent: bool,
}

/// What became of a wish to send a message again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    Again,
    /// There is none that was given up.
    NotDead,
    /// It calls for what is over.
    Over,
}

/// What operators watch.
#[derive(Clone, Debug, Default)]
pub struct OutboxFigures {
    pub waiting: i64,
    pub dead: i64,
    pub open_alerts: i64,
    pub oldest_unacknowledged: Option<DateTime<Utc>>,
}

impl Store {
    /// Lanes with anything due at `now`. A loose index scan: its cost grows with the lanes, not
    /// with the backlog.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lanes_due(&self, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        const SQL: &str = "WITH RECURSIVE l (lane) AS (SELECT MIN(lane) FROM delivery WHERE state = 'due' UNION ALL SELECT (SELECT MIN(d.lane) FROM delivery d WHERE d.state = 'due' AND d.lane > l.lane) FROM l WHERE l.lane IS NOT NULL) SELECT lane FROM l WHERE lane IS NOT NULL AND EXISTS (SELECT 1 FROM delivery d WHERE d.state = 'due' AND d.lane = l.lane AND d.next_at <= $1)";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(now).fetch_all(p).await?))
    }

    /// Takes up to `most` due messages of one lane, urgent ones first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim(
        &self,
        lane: String,
        most: i64,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
        token: i64,
    ) -> Result<Vec<Job>, StoreError> {
        let (tx, rx) = oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                let jobs = take(conn, &lane, most, now, lease_until, token).await?;
                let _ = tx.send(jobs);
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("claim"))
    }

    /// Makes messages due again whose worker did not report in time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn reap(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        const EXPIRED: &str =
            "SELECT EXISTS (SELECT 1 FROM delivery WHERE state = 'leased' AND lease_until < $1)";
        let any: bool =
            on!(pool self.pool(), |p| sqlx::query_scalar(EXPIRED).bind(now).fetch_one(p).await?);
        if !any {
            return Ok(0);
        }
        const SQL: &str = "UPDATE delivery SET state = 'due', lease_until = NULL, lease_token = 0 WHERE state = 'leased' AND lease_until < $1";
        // A row that a frozen node still holds locked is left for later, not waited for.
        const SKIPPING: &str = "UPDATE delivery SET state = 'due', lease_until = NULL, lease_token = 0 WHERE id IN (SELECT id FROM delivery WHERE state = 'leased' AND lease_until < $1 FOR UPDATE SKIP LOCKED)";
        self.update(if self.is_sqlite() { SQL } else { SKIPPING }, now).await
    }

    /// On `SQLite` the one serving process owns every lease, so at its start none can be held.
    ///
    /// # Errors
    /// The database failed.
    pub async fn release_all(&self) -> Result<u64, StoreError> {
        const SQL: &str = "UPDATE delivery SET state = 'due', lease_until = NULL, lease_token = 0 WHERE state = 'leased' AND created_at <= $1";
        self.update(SQL, far_future()).await
    }

    /// The area of the case that a message is about.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delivery_area(&self, delivery: Uuid) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT c.area FROM delivery d JOIN alert a ON a.id = d.alert_id JOIN cases c ON c.id = a.case_id WHERE d.id = $1";
        Ok(
            on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(delivery).fetch_optional(p).await?),
        )
    }

    /// Whether a write would be stored right now: one is made and kept (the time it was asked).
    ///
    /// # Errors
    /// Why not.
    pub async fn can_write(&self) -> Result<(), super::CommitError> {
        const SQL: &str = "INSERT INTO counter (name, next) VALUES ('ready', 1) ON CONFLICT (name) DO UPDATE SET next = counter.next + 1";
        // Hardly ever the row of another node, which may be frozen with it in its hands.
        const OWN: &str = "INSERT INTO counter (name, next) VALUES ('ready/' || pg_backend_pid() % 64, 1) ON CONFLICT (name) DO UPDATE SET next = counter.next + 1";
        let sql = if self.is_sqlite() { SQL } else { OWN };
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(sql).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await
    }

    /// Whether a message is under this lease.
    ///
    /// # Errors
    /// The database failed.
    pub async fn is_leased(&self, delivery: Uuid, token: i64) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM delivery WHERE id = $1 AND state = 'leased' AND lease_token = $2)";
        Ok(
            on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(delivery).bind(token).fetch_one(p).await?),
        )
    }

    /// Puts a dead letter back into the queue, unless it is over: recalled, or answered and then
    /// stood down or withdrawn, which the agency was told.
    ///
    /// # Errors
    /// The database failed.
    pub async fn replay(&self, delivery: Uuid, now: DateTime<Utc>) -> Result<Replayed, StoreError> {
        // A recall that comes at the same moment goes first, or finds the message in the queue.
        const HOLD: &str = "SELECT s.version FROM stream s JOIN alert a ON a.case_id = s.id JOIN delivery d ON d.alert_id = a.id WHERE d.id = $1 FOR UPDATE OF s";
        const OVER: &str = "SELECT EXISTS (SELECT 1 FROM delivery d JOIN alert a ON a.id = d.alert_id WHERE d.id = $1 AND d.state = 'dead' AND (a.state = 'recalled' OR (a.kind NOT IN ('jar_stood_down', 'jar_recalled') AND EXISTS (SELECT 1 FROM alert w WHERE w.case_id = a.case_id AND w.agency = a.agency AND w.planned_at >= a.planned_at AND (w.kind = 'jar_recalled' OR (w.kind = 'jar_stood_down' AND a.kind IN ('jar_triggered', 'jar_provisional', 'jar_upgraded')))))))";
        const SQL: &str = "UPDATE delivery SET state = 'due', next_at = $2, attempts = 0, created_at = $2 WHERE id = $1 AND state = 'dead'";
        let (tx, rx) = oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                if !conn.is_sqlite() {
                    on!(conn conn, |c| sqlx::query(HOLD).bind(delivery).execute(c).await?.rows_affected());
                }
                let over: bool =
                    on!(conn conn, |c| sqlx::query_scalar(OVER).bind(delivery).fetch_one(c).await?);
                if over {
                    let _ = tx.send(Replayed::Over);
                    return Ok(());
                }
                let n = on!(conn conn, |c| sqlx::query(SQL).bind(delivery).bind(now).execute(c).await?.rows_affected());
                if n == 1 {
                    const OPEN: &str = "UPDATE alert SET state = 'sending', rank = 1 WHERE state = 'failed' AND id = (SELECT alert_id FROM delivery WHERE id = $1)";
                    on!(conn conn, |c| sqlx::query(OPEN).bind(delivery).execute(c).await?.rows_affected());
                }
                let _ = tx.send(if n == 1 { Replayed::Again } else { Replayed::NotDead });
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("replay"))
    }

    async fn update(&self, sql: &'static str, at: DateTime<Utc>) -> Result<u64, StoreError> {
        let (tx, rx) = oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                let n =
                    on!(conn conn, |c| sqlx::query(sql).bind(at).execute(c).await?.rows_affected());
                let _ = tx.send(n);
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("update"))
    }

    /// Marks alerts whose every message was given up. The attempt that gives up the last one does
    /// so itself; two that give up at the same moment may each miss the other, so this looks again.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mark_failed(&self) -> Result<(), StoreError> {
        const ANY: &str = "SELECT EXISTS (SELECT 1 FROM delivery d JOIN alert a ON a.id = d.alert_id WHERE d.state = 'dead' AND a.rank < 2)";
        let any: bool = on!(pool self.pool(), |p| sqlx::query_scalar(ANY).fetch_one(p).await?);
        if any {
            self.task(Box::new(|conn| {
                Box::pin(async move { conn.run(super::rebuild::FAILED).await.map(drop) })
            }))
            .await?;
        }
        Ok(())
    }

    /// The figures of the queue and of open alerts.
    ///
    /// # Errors
    /// The database failed.
    pub async fn outbox_figures(&self) -> Result<OutboxFigures, StoreError> {
        const WAITING: &str = "SELECT (SELECT COUNT(*) FROM delivery WHERE state = 'due') + (SELECT COUNT(*) FROM delivery WHERE state = 'leased')";
        const DEAD: &str = "SELECT COUNT(*) FROM delivery WHERE state = 'dead'";
        // The very predicate of the partial index.
        const OPEN: &str =
            "SELECT COUNT(*) FROM alert WHERE phase IN ('climbing', 'ringing') AND NOT drill";
        const OLDEST: &str = "SELECT MIN(planned_at) FROM alert WHERE phase IN ('climbing', 'ringing') AND NOT drill";
        Ok(on!(pool self.pool(), |p| OutboxFigures {
            waiting: sqlx::query_scalar(WAITING).fetch_one(p).await?,
            dead: sqlx::query_scalar(DEAD).fetch_one(p).await?,
            open_alerts: sqlx::query_scalar(OPEN).fetch_one(p).await?,
            oldest_unacknowledged: sqlx::query_scalar(OLDEST).fetch_one(p).await?,
        }))
    }
}

/// Later than any lease, and within what both engines store.
fn far_future() -> DateTime<Utc> {
    DateTime::from_timestamp(32_503_680_000, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

async fn take(
    conn: &mut Conn,
    lane: &str,
    most: i64,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
    token: i64,
) -> Result<Vec<Job>, sqlx::Error> {
    macro_rules! claim_sql {
        ($lock:literal) => {
            concat!(
                "UPDATE delivery SET state = 'leased', lease_until = $1, lease_token = $2 WHERE id IN (SELECT id FROM delivery WHERE state = 'due' AND lane = $3 AND next_at <= $4 ORDER BY urgent DESC, next_at LIMIT $5",
                $lock,
                ") RETURNING id, alert_id, lane, channel, address, attempts, created_at, lease_token, urgent, kind, step, COALESCE((SELECT notice FROM alert WHERE alert.id = delivery.alert_id), (SELECT notice FROM bulletin WHERE bulletin.id = delivery.alert_id), '') AS notice"
            )
        };
    }
    let sql = if conn.is_sqlite() { claim_sql!("") } else { claim_sql!(" FOR UPDATE SKIP LOCKED") };
    on!(conn conn, |c| sqlx::query_as(sql)
        .bind(lease_until)
        .bind(token)
        .bind(lane)
        .bind(now)
        .bind(most)
        .fetch_all(c)
        .await)
}
