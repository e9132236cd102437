//! Which obligations are due, which have no business being where they are, and who holds a number.

use super::engine::on;
use super::{Store, StoreError};
use crate::domain::case::CaseState;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder, Sqlite};
use uuid::Uuid;

/// An open obligation as the watcher sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OpenRow {
    pub id: Uuid,
    pub case_id: Uuid,
    pub agency: String,
    pub phase: String,
    pub step_at: Option<DateTime<Utc>>,
    pub steps: i64,
    pub planned_at: DateTime<Utc>,
    pub drill: bool,
    /// Messages of the last step that exist.
    pub messages: i64,
    /// Of those, messages that should have been tried and were not, while nobody has answered.
    pub untried: i64,
}

/// A number at which an open alert was tried.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OpenNumber {
    pub id: Uuid,
    pub phase: String,
    pub planned_at: DateTime<Utc>,
    pub address: String,
}

/// From the open alerts, which are few, to their cases; never the other way round.
macro_rules! open_cases {
    ($engine:ty, $areas:expr, $most:expr) => {{
        let mut q: QueryBuilder<$engine> = QueryBuilder::new("SELECT c.id FROM cases c WHERE c.id IN (SELECT case_id FROM alert WHERE phase IN ('climbing', 'ringing', 'acting')) AND c.area IN (");
        let mut all = q.separated(", ");
        for a in $areas {
            all.push_bind(a.clone());
        }
        q.push(") ORDER BY c.received_at DESC LIMIT ").push_bind::<i64>($most);
        q
    }};
}

impl Store {
    /// Cases with a step due at `now`, or one that need not be waited for.
    ///
    /// # Errors
    /// The database failed.
    pub async fn cases_due(&self, now: DateTime<Utc>, most: i64) -> Result<Vec<Uuid>, StoreError> {
        const SQL: &str = "SELECT case_id FROM (SELECT case_id, MIN(step_at) AS first FROM alert WHERE step_at IS NOT NULL AND step_at <= $1 GROUP BY case_id UNION SELECT case_id, MIN(planned_at) AS first FROM alert WHERE hurry GROUP BY case_id) AS d GROUP BY case_id ORDER BY MIN(first) LIMIT $2";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL)
            .bind(now)
            .bind(most)
            .fetch_all(p)
            .await?))
    }

    /// Alerts of a case whose last step came to nothing, and how many steps there were by then: the
    /// word is about that step and no later one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn hurried(
        &self,
        case: crate::domain::id::CaseId,
    ) -> Result<Vec<(Uuid, i64)>, StoreError> {
        const SQL: &str = "SELECT id, steps FROM alert WHERE case_id = $1 AND hurry";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(case.0).fetch_all(p).await?))
    }

    /// Makes a case's alert rows say what its journal says of their obligations.
    ///
    /// # Errors
    /// The database failed.
    pub async fn align(&self, state: &CaseState) -> Result<(), StoreError> {
        const ROWS: &str = "SELECT id, phase, step_at FROM alert WHERE case_id = $1";
        const HURRIED: &str =
            "SELECT COUNT(*) FROM alert WHERE case_id = $1 AND hurry AND phase <> 'climbing'";
        let rows: Vec<(Uuid, String, Option<DateTime<Utc>>)> = on!(pool self.pool(), |p| {
            sqlx::query_as(ROWS).bind(state.id.0).fetch_all(p).await?
        });
        let hurried: i64 = on!(pool self.pool(), |p| {
            sqlx::query_scalar(HURRIED).bind(state.id.0).fetch_one(p).await?
        });
        let mut wrong = Vec::new();
        for (id, a) in &state.alerts {
            let row = rows.iter().find(|r| r.0 == id.0);
            let (phase, at) = (a.progress.phase.word(), a.progress.next_at);
            if row.is_some_and(|r| r.1 != phase || r.2 != at) {
                wrong.push((id.0, phase, at, i64::from(a.steps)));
            }
        }
        if wrong.is_empty() && hurried == 0 {
            return Ok(());
        }
        let (case, version) = (state.id.0, state.version);
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                // Only while the journal has not moved on: its next entry carries newer rows.
                const SAME: &str = "SELECT version FROM stream WHERE id = $1";
                // Nor does it move on between this look and these changes.
                const STILL: &str = "SELECT version FROM stream WHERE id = $1 FOR UPDATE";
                let same = if conn.is_sqlite() { SAME } else { STILL };
                let held: i64 =
                    on!(conn conn, |c| sqlx::query_scalar(same).bind(case).fetch_one(c).await?);
                if held != version {
                    return Ok(());
                }
                for (id, phase, at, steps) in wrong {
                    const SQL: &str = "UPDATE alert SET phase = $2, step_at = $3, steps = $4 WHERE id = $1";
                    on!(conn conn, |c| sqlx::query(SQL).bind(id).bind(phase).bind(at).bind(steps).execute(c).await?.rows_affected());
                }
                // One that climbs keeps its word: it may have come after the look that found nothing.
                const CALM: &str = "UPDATE alert SET hurry = FALSE WHERE case_id = $1 AND hurry AND phase <> 'climbing'";
                on!(conn conn, |c| sqlx::query(CALM).bind(case).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Open obligations, a page at a time by id, with what exists of their last step.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_obligations(
        &self,
        after: Uuid,
        overdue_before: DateTime<Utc>,
        most: i64,
    ) -> Result<Vec<OpenRow>, StoreError> {
        const SQL: &str = "SELECT a.id, a.case_id, a.agency, a.phase, a.step_at, a.steps, a.planned_at, a.drill, (SELECT COUNT(*) FROM delivery d WHERE d.alert_id = a.id AND d.step = a.steps) AS messages, (SELECT COUNT(*) FROM delivery d WHERE (d.alert_id = a.id OR d.alert_id IN (SELECT b.id FROM bulletin b WHERE b.alert_id = a.id)) AND d.attempts = 0 AND d.created_at < $2 AND d.next_at < $2 AND d.state IN ('due', 'leased')) AS untried FROM alert a WHERE a.id > $1 AND a.phase IN ('climbing', 'ringing', 'acting') ORDER BY a.id LIMIT $3";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL)
            .bind(after)
            .bind(overdue_before)
            .bind(most)
            .fetch_all(p)
            .await?))
    }

    /// Open alerts with the numbers that a text or call of theirs went to, newest first. Numbers
    /// stand as the directory writes them, so it is the caller who compares.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_numbers(&self) -> Result<Vec<OpenNumber>, StoreError> {
        const SQL: &str = "SELECT DISTINCT a.id, a.phase, a.planned_at, d.address FROM alert a JOIN delivery d ON d.alert_id = a.id WHERE (a.phase IN ('climbing', 'ringing', 'acting') OR (a.phase = 'settled' AND a.kind = 'jar_provisional' AND EXISTS (SELECT 1 FROM alert b WHERE b.case_id = a.case_id AND b.agency = a.agency AND b.phase IN ('climbing', 'ringing', 'acting')))) AND d.channel IN ('sms', 'voice') ORDER BY a.planned_at DESC, a.id";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?))
    }

    /// Cases that hold an open obligation, newest first: for the board of all.
    ///
    /// # Errors
    /// The database failed.
    pub async fn cases_with_open(
        &self,
        areas: &[String],
        most: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        if areas.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match self.pool() {
            super::Pool::Sqlite(p) => {
                open_cases!(Sqlite, areas, most).build_query_scalar().fetch_all(p).await?
            }
            super::Pool::Pg(p) => {
                open_cases!(Postgres, areas, most).build_query_scalar().fetch_all(p).await?
            }
        })
    }
}
