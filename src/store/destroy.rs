//! Destruction of a case: its key goes, so that nothing anybody has a copy of can be read again.
//! The journal stays, unreadable, and still verifies.

use super::engine::{Conn, on};
use super::{Store, StoreError};
use crate::domain::id::{CaseId, Reference};
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What remains of a case's read row once its key is gone; also how a rebuild puts it back.
pub(super) const STONES: &str = "INSERT INTO cases (id, reference, area, stage, jar, in_scope, ready, received_at, blockers, version, changed_at, sealed_facts) SELECT case_id, reference, area, 'destroyed', '', FALSE, FALSE, received_at, '[]', version, confirmed_at, head FROM destruction WHERE confirmed_at IS NOT NULL";

const STONE: &str = "INSERT INTO cases (id, reference, area, stage, jar, in_scope, ready, received_at, blockers, version, changed_at, sealed_facts) SELECT case_id, reference, area, 'destroyed', '', FALSE, FALSE, received_at, '[]', version, confirmed_at, head FROM destruction WHERE case_id = $1";

/// A destruction asked for or done: the certificate.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DestructionRow {
    pub case_id: Uuid,
    pub reference: String,
    pub area: String,
    pub rule: String,
    pub received_at: DateTime<Utc>,
    pub asked_at: DateTime<Utc>,
    /// `user:…` of whoever asked.
    pub asked_by: String,
    pub confirmed_at: Option<DateTime<Utc>>,
    pub confirmed_by: Option<String>,
    /// Number of journal entries that stay.
    pub version: Option<i64>,
    /// The hash of the last of them.
    pub head: Option<Vec<u8>>,
}

impl Store {
    /// Records that somebody asks for a case to be destroyed.
    ///
    /// # Errors
    /// The change was not committed, or it was asked for before (a conflict).
    pub async fn ask_destruction(&self, d: DestructionRow) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO destruction (case_id, reference, area, rule, received_at, asked_at, asked_by) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(d.case_id).bind(&d.reference).bind(&d.area).bind(&d.rule).bind(d.received_at).bind(d.asked_at).bind(&d.asked_by).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Takes a request back that nobody has confirmed; whether there was one.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn forget_destruction(&self, case: CaseId) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM destruction WHERE case_id = $1 AND confirmed_at IS NULL";
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(case.0).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Destroys the key of a case whose destruction was asked for by somebody else and that is not
    /// under legal hold: all in one transaction. Whether it was.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn destroy(
        &self,
        case: CaseId,
        by: String,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (tx, rx) = oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                const CONFIRM: &str = "UPDATE destruction SET confirmed_at = $2, confirmed_by = $3, version = (SELECT version FROM stream WHERE id = $1), head = (SELECT head FROM stream WHERE id = $1) WHERE case_id = $1 AND confirmed_at IS NULL AND asked_by <> $3 AND EXISTS (SELECT 1 FROM cases WHERE id = $1 AND NOT held) AND NOT EXISTS (SELECT 1 FROM cases WHERE account_of = $1 AND held) AND EXISTS (SELECT 1 FROM stream WHERE id = $1 AND wrapped_key IS NOT NULL)";
                // A hold that is being placed now is either seen, or comes too late and is told so.
                if let Conn::Pg(c) = &mut *conn {
                    const STILL: &str = "SELECT id FROM stream WHERE id = $1 OR id IN (SELECT id FROM cases WHERE account_of = $1) ORDER BY id FOR UPDATE";
                    sqlx::query(STILL).bind(case.0).execute(c).await?;
                }
                let n = on!(conn &mut *conn, |c| sqlx::query(CONFIRM).bind(case.0).bind(at).bind(&by).execute(c).await?.rows_affected());
                if n == 1 {
                    // Its accounts tell of the same child: they go with it.
                    const ACCOUNTS: &str = "SELECT id FROM cases WHERE account_of = $1";
                    const TOO: &str = "INSERT INTO destruction (case_id, reference, area, rule, received_at, asked_at, asked_by, confirmed_at, confirmed_by, version, head) SELECT c.id, c.reference, c.area, d.rule, c.received_at, d.asked_at, d.asked_by, d.confirmed_at, d.confirmed_by, s.version, s.head FROM cases c JOIN stream s ON s.id = c.id JOIN destruction d ON d.case_id = $1 WHERE c.account_of = $1";
                    let accounts: Vec<Uuid> = on!(conn &mut *conn, |c| sqlx::query_scalar(ACCOUNTS).bind(case.0).fetch_all(c).await?);
                    on!(conn &mut *conn, |c| sqlx::query(TOO).bind(case.0).execute(c).await?.rows_affected());
                    const AFTER: [&str; 13] = [
                        "DELETE FROM idempotency WHERE case_id = $1",
                        "DELETE FROM idempotency WHERE case_id IS NULL AND answer LIKE '%' || (SELECT reference FROM cases WHERE id = $1) || '%'",
                        "DELETE FROM document_part WHERE document_id IN (SELECT id FROM document WHERE case_id = $1)",
                        "DELETE FROM document WHERE case_id = $1",
                        "UPDATE stream SET key_name = NULL, wrapped_key = NULL WHERE id = $1",
                        "DELETE FROM case_lookup WHERE case_id = $1",
                        "DELETE FROM case_person WHERE case_id = $1",
                        "DELETE FROM glass WHERE case_id = $1",
                        "DELETE FROM panel_case WHERE case_id = $1",
                        "DELETE FROM likeness WHERE case_id = $1",
                        "UPDATE alert SET phase = 'settled', step_at = NULL, hurry = FALSE WHERE case_id = $1",
                        "DELETE FROM cases WHERE id = $1",
                        "DELETE FROM case_line WHERE id = $1",
                    ];
                    for id in std::iter::once(case.0).chain(accounts) {
                        for sql in AFTER {
                            on!(conn &mut *conn, |c| sqlx::query(sql).bind(id).execute(c).await?.rows_affected());
                        }
                        for sql in [STONE, super::lines::STONE] {
                            on!(conn &mut *conn, |c| sqlx::query(sql).bind(id).execute(c).await?.rows_affected());
                        }
                    }
                }
                let _ = tx.send(n == 1);
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("destroy"))
    }

    /// The certificate of a case, or the request for it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn destruction(
        &self,
        reference: &Reference,
    ) -> Result<Option<DestructionRow>, StoreError> {
        const SQL: &str = "SELECT case_id, reference, area, rule, received_at, asked_at, asked_by, confirmed_at, confirmed_by, version, head FROM destruction WHERE reference = $1";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL)
            .bind(reference.as_str())
            .fetch_optional(p)
            .await?))
    }

    /// Every destruction asked for or done, the latest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn destructions(&self) -> Result<Vec<DestructionRow>, StoreError> {
        const SQL: &str = "SELECT case_id, reference, area, rule, received_at, asked_at, asked_by, confirmed_at, confirmed_by, version, head FROM destruction ORDER BY asked_at DESC LIMIT 500";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?))
    }
}
