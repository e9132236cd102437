//! Contents of documents, in parts, each sealed under the case's key and tied to its place. Nothing
//! of a content is shown before the journal says that it arrived whole.

use super::apply::Fault;
use super::changes::DocumentChange;
use super::engine::{Conn, on};
use super::{CommitError, Store, StoreError};
use crate::domain::id::CaseId;
use crate::platform::crypt::Key;
use crate::platform::fresh;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

/// A content on its way in.
pub struct Arriving {
    pub id: Uuid,
    case: CaseId,
    key: Key,
    n: i64,
}

/// A content that is there, read part by part.
pub struct Content {
    id: Uuid,
    case: CaseId,
    key: Key,
    n: i64,
}

fn aad(case: CaseId, id: Uuid, n: i64) -> Vec<u8> {
    format!("document/{}/{id}/{n}", case.0).into_bytes()
}

impl Store {
    /// Makes room for a content.
    ///
    /// # Errors
    /// The change was not committed, or the case's key was destroyed.
    pub async fn begin_document(
        &self,
        case: CaseId,
        at: DateTime<Utc>,
    ) -> Result<Arriving, StoreError> {
        const SQL: &str = "INSERT INTO document (id, case_id, started_at) VALUES ($1, $2, $3)";
        let loaded = self.load(case).await?.ok_or(StoreError::Corrupt("document"))?;
        let id = fresh::id();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                on!(conn conn, |c| sqlx::query(SQL).bind(id).bind(case.0).bind(at).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(Arriving { id, case, key: loaded.key, n: 0 })
    }

    /// One more part.
    ///
    /// # Errors
    /// Sealing failed or the change was not committed.
    pub async fn add_part(&self, a: &mut Arriving, plain: &[u8]) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO document_part (document_id, n, sealed) SELECT $1, $2, $3 FROM document WHERE id = $1 AND NOT kept";
        let (id, n) = (a.id, a.n);
        let sealed = a.key.seal(&aad(a.case, id, n), plain)?;
        let (tx, rx) = oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                let n = on!(conn conn, |c| sqlx::query(SQL).bind(id).bind(n).bind(&sealed).execute(c).await?.rows_affected());
                let _ = tx.send(n);
                Ok(())
            })
        }))
        .await?;
        // Swept away as one that never becomes whole: so it must not.
        if rx.await != Ok(1) {
            return Err(CommitError::Conflict.into());
        }
        a.n += 1;
        Ok(())
    }

    /// Sweeps away a content that did not arrive whole.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn drop_document(&self, id: Uuid) -> Result<(), StoreError> {
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                for sql in [
                    "DELETE FROM document_part WHERE document_id IN (SELECT id FROM document WHERE id = $1 AND NOT kept)",
                    "DELETE FROM document WHERE id = $1 AND NOT kept",
                ] {
                    on!(conn conn, |c| sqlx::query(sql).bind(id).execute(c).await?.rows_affected());
                }
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Sweeps away what began to arrive before `before` and never became whole.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_arrivals(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        const SQL: &str = "SELECT id FROM document WHERE NOT kept AND started_at < $1 LIMIT 100";
        let old: Vec<(Uuid,)> =
            on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(before).fetch_all(p).await?);
        for (id,) in old {
            self.drop_document(id).await?;
        }
        Ok(())
    }

    /// A content that is kept, to be read.
    ///
    /// # Errors
    /// The database failed or the case's key was destroyed.
    pub async fn document(&self, case: CaseId, id: Uuid) -> Result<Option<Content>, StoreError> {
        const SQL: &str = "SELECT case_id FROM document WHERE id = $1 AND case_id = $2 AND kept";
        let there: Option<(Uuid,)> = on!(pool self.pool(), |p| sqlx::query_as(SQL)
            .bind(id)
            .bind(case.0)
            .fetch_optional(p)
            .await?);
        if there.is_none() {
            return Ok(None);
        }
        let loaded = self.load(case).await?;
        Ok(loaded.map(|l| Content { id, case, key: l.key, n: 0 }))
    }

    /// The next part of a content; none after the last.
    ///
    /// # Errors
    /// The database failed or the part was changed.
    pub async fn next_part(&self, c: &mut Content) -> Result<Option<Vec<u8>>, StoreError> {
        const SQL: &str = "SELECT sealed FROM document_part WHERE document_id = $1 AND n = $2";
        let row: Option<(Vec<u8>,)> = on!(pool self.pool(), |p| sqlx::query_as(SQL)
            .bind(c.id)
            .bind(c.n)
            .fetch_optional(p)
            .await?);
        let Some((sealed,)) = row else { return Ok(None) };
        let plain = c.key.open(&aad(c.case, c.id, c.n), &sealed)?;
        c.n += 1;
        Ok(Some(plain))
    }
}

/// What the journal says of a content.
pub(super) async fn change(conn: &mut Conn, d: &DocumentChange) -> Result<(), Fault> {
    let (statements, id): (&[&'static str], Uuid) = match d {
        DocumentChange::Kept(id) => {
            const KEPT: &str = "UPDATE document SET kept = TRUE WHERE id = $1";
            let n =
                on!(conn conn, |c| sqlx::query(KEPT).bind(id).execute(c).await?.rows_affected());
            // A line without a content would be a promise nobody can keep.
            return if n == 1 { Ok(()) } else { Err(Fault::Conflict) };
        }
        DocumentChange::Gone(id) => (
            &[
                "DELETE FROM document_part WHERE document_id = $1",
                "DELETE FROM document WHERE id = $1",
            ],
            *id,
        ),
    };
    for sql in statements {
        on!(conn conn, |c| sqlx::query(*sql).bind(id).execute(c).await?.rows_affected());
    }
    Ok(())
}
