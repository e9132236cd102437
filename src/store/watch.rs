//! What the watcher and the calendar keep: findings, work that was done, retries that lie too far
//! ahead.

use super::engine::on;
use super::{Store, StoreError};
use chrono::{DateTime, Duration, Utc};
use tokio::sync::oneshot;

/// A finding as it stands.
#[derive(Clone, Debug, sqlx::FromRow, serde::Serialize)]
pub struct FindingRow {
    pub what: String,
    pub area: String,
    pub words: String,
    pub since: DateTime<Utc>,
    pub raised_at: Option<DateTime<Utc>>,
}

/// How long after it was told a finding that stands is told again.
pub(super) const AGAIN: Duration = Duration::hours(1);

impl Store {
    /// Keeps what was found in this round, forgets what was not, and says which are to be told to
    /// people: new ones, and those last told an hour ago. They count as told with the commit that
    /// tells them ([`RaisedRow`](super::changes::RaisedRow)).
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn keep_findings(
        &self,
        seen: Vec<(String, String, String)>,
        now: DateTime<Utc>,
    ) -> Result<Vec<String>, StoreError> {
        let (tx, rx) = oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                const KEEP: &str = "INSERT INTO finding (what, area, words, since, seen_at) VALUES ($1, $2, $3, $4, $4) ON CONFLICT (what) DO UPDATE SET words = excluded.words, seen_at = excluded.seen_at";
                const DUE: &str = "SELECT EXISTS (SELECT 1 FROM finding WHERE what = $1 AND (raised_at IS NULL OR raised_at <= $2))";
                const GONE: &str = "DELETE FROM finding WHERE seen_at < $1";
                let mut raise = Vec::new();
                for (what, area, words) in &seen {
                    on!(conn conn, |c| sqlx::query(KEEP).bind(what).bind(area).bind(words).bind(now).execute(c).await?.rows_affected());
                    let due: bool = on!(conn conn, |c| sqlx::query_scalar(DUE).bind(what).bind(now - AGAIN).fetch_one(c).await?);
                    if due {
                        raise.push(what.clone());
                    }
                }
                on!(conn conn, |c| sqlx::query(GONE).bind(now).execute(c).await?.rows_affected());
                let _ = tx.send(raise);
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("keep_findings"))
    }

    /// What the watcher holds against the service now.
    ///
    /// # Errors
    /// The database failed.
    pub async fn findings(&self) -> Result<Vec<FindingRow>, StoreError> {
        const SQL: &str = "SELECT what, area, words, since, raised_at FROM finding ORDER BY since";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?))
    }

    /// Messages of open alerts that were given up, the word to the human who is to ring among them,
    /// by area.
    ///
    /// # Errors
    /// The database failed.
    pub async fn dead_by_area(&self) -> Result<Vec<(String, i64)>, StoreError> {
        const SQL: &str = "SELECT c.area, COUNT(*) FROM delivery d JOIN alert a ON a.id = d.alert_id OR a.id = (SELECT b.alert_id FROM bulletin b WHERE b.id = d.alert_id) JOIN cases c ON c.id = a.case_id WHERE d.state = 'dead' AND a.phase IN ('climbing', 'ringing') GROUP BY c.area";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?))
    }

    /// Alerts that ask for no answer, and the service's own words (about partners who have not
    /// answered, gaps and tonight's cover), made since `since`, of which every message was given up
    /// and which nobody has been told by telephone since; by area.
    ///
    /// # Errors
    /// The database failed.
    pub async fn untold_by_area(
        &self,
        since: DateTime<Utc>,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        const SQL: &str = "SELECT COALESCE(c.area, b.area) AS area, COUNT(*) FROM (SELECT DISTINCT d.alert_id AS id FROM delivery d WHERE d.state = 'dead' AND d.created_at > $1 AND NOT EXISTS (SELECT 1 FROM delivery o WHERE o.alert_id = d.alert_id AND o.state IN ('due', 'leased', 'done'))) u LEFT JOIN alert a ON a.id = u.id AND a.phase = 'untracked' AND a.state <> 'acknowledged' LEFT JOIN cases c ON c.id = a.case_id LEFT JOIN bulletin b ON b.id = u.id AND b.alert_id IS NULL AND b.kind IN ('coverage_gap', 'covered_tonight', 'tonight', 'watcher', 'break_glass') WHERE COALESCE(c.area, b.area) IS NOT NULL GROUP BY 1 ORDER BY 1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(since).fetch_all(p).await?))
    }

    /// Messages that should have left before `before` and have not, whatever they are of; how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn overdue_messages(&self, before: DateTime<Utc>) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT (SELECT COUNT(*) FROM delivery WHERE state = 'due' AND next_at < $1) + (SELECT COUNT(*) FROM delivery WHERE state = 'leased' AND lease_until < $1)";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(before).fetch_one(p).await?))
    }

    /// Replies since `since` that answered nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn replies_not_understood(&self, since: DateTime<Utc>) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) FROM stray WHERE at > $1 AND what LIKE 'a reply%'";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(since).fetch_one(p).await?))
    }

    /// Whether daily or weekly work was done.
    ///
    /// # Errors
    /// The database failed.
    pub async fn is_done(&self, what: &str, day: &str) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM done WHERE what = $1 AND day = $2)";
        Ok(
            on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(what).bind(day).fetch_one(p).await?),
        )
    }

    /// Areas whose daily copy failed within the last day and has not been made since, with when it
    /// failed first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn copies_missing(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Vec<(String, DateTime<Utc>)>, StoreError> {
        const SQL: &str = "SELECT substr(f.what, 13), MIN(f.at) FROM done f WHERE f.what LIKE 'copy-failed/%' AND f.at > $1 AND NOT EXISTS (SELECT 1 FROM done d WHERE d.what = 'copy/' || substr(f.what, 13) AND d.at >= f.at) GROUP BY 1 ORDER BY 1";
        let since = now - Duration::days(1);
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(since).fetch_all(p).await?))
    }

    /// Brings retries that lie further ahead than any schedule allows (a clock was wrong) back to
    /// now, and takes back leases that do: the clock that set them may be long gone with its
    /// worker, and nobody else takes a message under lease. How many.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn clamp_retries(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        const ANY: &str = "SELECT EXISTS (SELECT 1 FROM delivery WHERE (state = 'due' AND next_at > $1) OR (state = 'leased' AND lease_until > $2))";
        let limit = now + Duration::minutes(40);
        // Twice the longest lease that the configuration allows.
        let leased = now + Duration::minutes(10);
        let any: bool = on!(pool self.pool(), |p| sqlx::query_scalar(ANY)
            .bind(limit)
            .bind(leased)
            .fetch_one(p)
            .await?);
        if !any {
            return Ok(0);
        }
        const SQL: &str = "UPDATE delivery SET state = 'due', next_at = $2, lease_until = NULL, lease_token = 0 WHERE (state = 'due' AND next_at > $1) OR (state = 'leased' AND lease_until > $3)";
        // A row that another node holds right now is left for the next look: waited for in no order,
        // two nodes could wait for each other, and the watcher would not have looked.
        const SKIPPING: &str = "UPDATE delivery SET state = 'due', next_at = $2, lease_until = NULL, lease_token = 0 WHERE id IN (SELECT id FROM delivery WHERE (state = 'due' AND next_at > $1) OR (state = 'leased' AND lease_until > $3) FOR UPDATE SKIP LOCKED)";
        let sql = if self.is_sqlite() { SQL } else { SKIPPING };
        let (tx, rx) = oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                let n = on!(conn conn, |c| sqlx::query(sql).bind(limit).bind(now).bind(leased).execute(c).await?.rows_affected());
                let _ = tx.send(n);
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("clamp_retries"))
    }
}
