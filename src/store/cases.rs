//! Reading cases, their alerts and the attempts behind them.

use super::changes::{AlertRow, AttemptRow, AuditRow, CaseRow, ChangeSet};
use super::engine::on;
use super::{CommitError, Store, StoreError};
use crate::domain::id::{AlertId, CaseId};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{Postgres, QueryBuilder, Sqlite};
use uuid::Uuid;

/// Which cases to list. Areas are always named: a caller sees only what it may.
#[derive(Clone, Debug, Default)]
pub struct CaseFilter {
    pub areas: Vec<String>,
    pub stage: Option<String>,
    pub jar: Option<String>,
    pub ready: Option<bool>,
    /// Part of a reference.
    pub reference: Option<String>,
    /// Keyed digests of a searched value; a case that has any of them is found.
    pub lookups: Vec<Vec<u8>>,
    /// For the queue: ready first and oldest death first, instead of newest notification first.
    pub queue: bool,
    /// Restricted cases that are not open to this person at this time are left out; with `None`
    /// they are listed.
    pub open_to: Option<(Uuid, DateTime<Utc>)>,
}

/// Where a page of a list starts and how long it is.
#[derive(Clone, Debug)]
pub struct Page {
    pub after: Option<(DateTime<Utc>, Uuid)>,
    pub size: i64,
}

/// One row of a case list; nothing personal in it.
#[allow(clippy::struct_excessive_bools)] // columns
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Listed {
    pub id: Uuid,
    pub reference: String,
    pub area: String,
    pub stage: String,
    pub jar: String,
    pub in_scope: bool,
    pub ready: bool,
    pub event: Option<String>,
    pub age_band: Option<String>,
    pub category: Option<i64>,
    pub received_at: DateTime<Utc>,
    pub died_on: Option<NaiveDate>,
    pub blockers: String,
    /// Alerts that wait for a person's acknowledgement.
    pub waiting: i64,
    /// Open to a named list of people only.
    pub restricted: bool,
    /// Restricted, and not open to whoever asked: only the reference counts.
    #[sqlx(default)]
    pub hidden: bool,
}

const COLUMNS: &str = "SELECT id, reference, area, stage, jar, in_scope, ready, event, age_band, category, received_at, died_on, blockers, (SELECT COUNT(*) FROM alert WHERE alert.case_id = cases.id AND alert.phase IN ('climbing', 'ringing')) AS waiting, (restricted OR EXISTS (SELECT 1 FROM cases f WHERE f.id = cases.account_of AND f.restricted)) AS restricted FROM cases WHERE ";

/// An alert with what its attempts show.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AlertView {
    pub id: Uuid,
    pub case_id: Uuid,
    pub agency: String,
    pub agency_name: String,
    pub kind: String,
    pub acknowledge: bool,
    pub state: String,
    pub planned_at: DateTime<Utc>,
    /// The next attempt, while one is due.
    pub next_at: Option<DateTime<Utc>>,
    pub attempts: i64,
    pub phase: String,
    pub step_at: Option<DateTime<Utc>>,
    pub drill: bool,
}

/// One attempt.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AttemptView {
    pub alert_id: Uuid,
    pub delivery_id: Uuid,
    pub channel: String,
    pub lane: String,
    pub n: i64,
    pub at: DateTime<Utc>,
    pub outcome: String,
    pub code: Option<i64>,
    pub took_ms: i64,
}

/// Adds the conditions of a filter; generic over the engine because the text is built row by row.
macro_rules! filtered {
    ($engine:ty, $filter:expr, $page:expr) => {{
        let f: &CaseFilter = $filter;
        let page: &Page = $page;
        let mut q: QueryBuilder<$engine> = QueryBuilder::new(COLUMNS);
        q.push("area IN (");
        let mut areas = q.separated(", ");
        for a in &f.areas {
            areas.push_bind(a.clone());
        }
        q.push(")");
        if let Some(s) = &f.stage {
            q.push(" AND stage = ").push_bind(s.clone());
        } else {
            // An exercise is no case; it is listed only when asked for.
            q.push(" AND stage <> 'drill'");
            if f.reference.is_none() {
                // Nor is a second account one; who has its reference finds it.
                q.push(" AND stage <> 'second_account'");
            }
        }
        if let Some(j) = &f.jar {
            q.push(" AND jar = ").push_bind(j.clone());
        }
        if let Some(r) = f.ready {
            q.push(" AND ready = ").push_bind(r);
        }
        if let Some(r) = &f.reference {
            q.push(" AND reference LIKE ").push_bind(format!("%{r}%"));
        }
        if !f.lookups.is_empty() {
            q.push(" AND id IN (SELECT case_id FROM case_lookup WHERE digest IN (");
            let mut digests = q.separated(", ");
            for d in &f.lookups {
                digests.push_bind(d.clone());
            }
            q.push("))");
        }
        if let Some((user, now)) = f.open_to {
            q.push(
                " AND (NOT (restricted OR EXISTS (SELECT 1 FROM cases f WHERE f.id = cases.account_of AND f.restricted)) OR id IN (SELECT case_id FROM case_person WHERE user_id = ",
            )
            .push_bind(user);
            q.push(") OR id IN (SELECT case_id FROM glass WHERE user_id = ").push_bind(user);
            q.push(" AND until_at > ").push_bind(now).push("))");
        }
        if let Some((at, id)) = page.after {
            q.push(" AND (received_at, id) < (").push_bind(at).push(", ").push_bind(id).push(")");
        }
        if f.queue {
            q.push(" ORDER BY ready DESC, died_on, id LIMIT ");
        } else {
            q.push(" ORDER BY received_at DESC, id DESC LIMIT ");
        }
        q.push_bind(page.size);
        q
    }};
}

impl Store {
    /// A page of cases, newest notification first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, filter: &CaseFilter, page: &Page) -> Result<Vec<Listed>, StoreError> {
        if filter.areas.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match self.pool() {
            super::Pool::Sqlite(p) => {
                filtered!(Sqlite, filter, page).build_query_as().fetch_all(p).await?
            }
            super::Pool::Pg(p) => {
                filtered!(Postgres, filter, page).build_query_as().fetch_all(p).await?
            }
        })
    }

    /// The read row of a case.
    ///
    /// # Errors
    /// The database failed.
    pub async fn case_row(&self, id: CaseId) -> Result<Option<CaseRow>, StoreError> {
        const SQL: &str = "SELECT id, reference, area, stage, jar, in_scope, ready, event, age_band, category, received_at, died_on, blockers, version, changed_at, sealed_facts, restricted, held, account_of FROM cases WHERE id = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(id.0).fetch_optional(p).await?))
    }

    /// The alerts of a case, in the order they were planned.
    ///
    /// # Errors
    /// The database failed.
    pub async fn alerts(&self, case: CaseId) -> Result<Vec<AlertView>, StoreError> {
        const SQL: &str = "SELECT a.id, a.case_id, a.agency, a.agency_name, a.kind, a.acknowledge, a.state, a.planned_at, (SELECT MIN(d.next_at) FROM delivery d WHERE d.alert_id = a.id AND d.state = 'due') AS next_at, (SELECT COUNT(*) FROM attempt t WHERE t.alert_id = a.id AND t.n > 0) AS attempts, a.phase, a.step_at, a.drill FROM alert a WHERE a.case_id = $1 ORDER BY a.planned_at, a.agency, a.id";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(case.0).fetch_all(p).await?))
    }

    /// One alert's row.
    ///
    /// # Errors
    /// The database failed.
    pub async fn alert(&self, id: AlertId) -> Result<Option<AlertRow>, StoreError> {
        const SQL: &str = "SELECT id, case_id, agency, agency_name, kind, acknowledge, state, rank, planned_at, notice, phase, step_at, steps, drill FROM alert WHERE id = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(id.0).fetch_optional(p).await?))
    }

    /// Every attempt for the alerts of a case, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn attempts(&self, case: CaseId) -> Result<Vec<AttemptView>, StoreError> {
        const SQL: &str = "SELECT t.alert_id, t.delivery_id, d.channel, d.lane, t.n, t.at, t.outcome, t.code, t.took_ms FROM alert a JOIN attempt t ON t.alert_id = a.id JOIN delivery d ON d.id = t.delivery_id WHERE a.case_id = $1 ORDER BY t.at, t.id";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(case.0).fetch_all(p).await?))
    }

    /// The first delivery of an alert: where a look at its link is recorded.
    ///
    /// # Errors
    /// The database failed.
    pub async fn first_delivery(&self, alert: AlertId) -> Result<Option<Uuid>, StoreError> {
        const SQL: &str =
            "SELECT id FROM delivery WHERE alert_id = $1 ORDER BY channel, lane LIMIT 1";
        Ok(
            on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(alert.0).fetch_optional(p).await?),
        )
    }

    /// Records that somebody opened what an alert leads to.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn record_opened(
        &self,
        alert: AlertId,
        delivery: Uuid,
        at: DateTime<Utc>,
    ) -> Result<(), CommitError> {
        let state = crate::domain::alert::AlertState::Opened;
        self.commit(ChangeSet {
            attempts: vec![AttemptRow {
                delivery_id: delivery,
                alert_id: alert.0,
                n: 0,
                at,
                outcome: "opened".to_owned(),
                code: None,
                took_ms: 0,
                state: state.word().to_owned(),
            }],
            alert_changes: vec![super::project::change(alert.0, state)],
            ..ChangeSet::default()
        })
        .await
    }

    /// Records who looked at what.
    ///
    /// # Errors
    /// The line was not committed; then the caller must not show what it asked for.
    pub async fn audit(
        &self,
        at: DateTime<Utc>,
        actor: &str,
        action: &'static str,
        case: Option<CaseId>,
    ) -> Result<(), CommitError> {
        let case_id = case.map(|c| c.0);
        let row = AuditRow { at, actor: actor.to_owned(), action, case_id, ..AuditRow::default() };
        self.commit(ChangeSet { audit: vec![row], ..ChangeSet::default() }).await
    }

    /// The answer given before to an idempotency key, with the digest of its body.
    ///
    /// # Errors
    /// The database failed.
    pub async fn answered(
        &self,
        digest: &[u8],
    ) -> Result<Option<super::changes::AnswerRow>, StoreError> {
        const SQL: &str =
            "SELECT digest, body, status, answer, at FROM idempotency WHERE digest = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(digest).fetch_optional(p).await?))
    }
}
