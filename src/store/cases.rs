//! Reading cases, their alerts and the attempts behind them.

use super::changes::{AlertRow, AttemptRow, AuditRow, CaseRow, ChangeSet};
use super::engine::on;
use super::{CommitError, Store, StoreError};
use crate::domain::id::{AlertId, CaseId};
use chrono::{DateTime, Utc};
use uuid::Uuid;

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
    /// When the last message to whoever is named to ring was made that a provider has taken and not
    /// said to have failed.
    pub human_reached_at: Option<DateTime<Utc>>,
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

impl Store {
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
        const SQL: &str = "SELECT a.id, a.case_id, a.agency, a.agency_name, a.kind, a.acknowledge, a.state, a.planned_at, (SELECT MIN(d.next_at) FROM delivery d WHERE d.alert_id = a.id AND d.state = 'due') AS next_at, (SELECT COUNT(*) FROM attempt t WHERE t.alert_id = a.id AND t.n > 0) AS attempts, a.phase, a.step_at, a.drill, (SELECT MAX(b.at) FROM bulletin b JOIN delivery d ON d.alert_id = b.id WHERE b.alert_id IN (SELECT x.id FROM alert x WHERE x.case_id = a.case_id) AND ((b.kind = 'ring_them' AND b.alert_id = a.id) OR (b.kind = 'ring_all' AND b.at >= a.planned_at)) AND d.state = 'done' AND (d.receipt IS NULL OR d.receipt NOT LIKE '%failure')) AS human_reached_at FROM alert a WHERE a.case_id = $1 ORDER BY a.planned_at, a.agency, a.id";
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

    /// When the last message of an alert was made; none if none ever was.
    ///
    /// # Errors
    /// The database failed.
    pub async fn last_message_at(
        &self,
        alert: AlertId,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        const SQL: &str = "SELECT MAX(created_at) FROM delivery WHERE alert_id = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(alert.0).fetch_one(p).await?))
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
            "SELECT digest, body, case_id, status, answer, at FROM idempotency WHERE digest = $1";
        let row: Option<super::changes::AnswerRow> =
            on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(digest).fetch_optional(p).await?);
        Ok(row.map(|mut r| {
            r.answer = self.unveiled(r.answer);
            r
        }))
    }
}
