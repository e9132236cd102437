//! Seals: every few seconds, one root over the heads of all streams that changed, chained to the
//! seal before. Nobody's commit waits for it, and a tail cut off afterwards no longer fits.

use super::engine::on;
use super::journal::GENESIS;
use super::{CommitError, Store, StoreError};
use crate::platform::crypt::sha256;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Streams per seal, so that a long backlog is sealed in steps.
const MOST: i64 = 5_000;

/// A seal just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub n: i64,
    pub at: DateTime<Utc>,
    pub root: [u8; 32],
    pub heads: usize,
}

/// The root over heads in the order of their ids, on top of the previous seal.
pub(super) fn root_over(previous: &[u8], heads: &[(Uuid, i64, Vec<u8>)]) -> [u8; 32] {
    let mut level: Vec<[u8; 32]> = heads
        .iter()
        .map(|(id, version, head)| {
            sha256(&[b"cdr-leaf-1", id.as_bytes(), &version.to_be_bytes(), head])
        })
        .collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [a, b] => sha256(&[b"cdr-node-1", a, b]),
                rest => rest[0],
            })
            .collect();
    }
    let merkle = level.first().copied().unwrap_or(GENESIS);
    sha256(&[b"cdr-seal-1", previous, &merkle])
}

impl Store {
    /// Seals what was committed since the last seal; none if nothing was.
    ///
    /// # Errors
    /// The database failed.
    pub async fn seal(&self, at: DateTime<Utc>) -> Result<Option<Sealed>, StoreError> {
        const ANY: &str = "SELECT EXISTS (SELECT 1 FROM stream WHERE version > sealed_version)";
        let any: bool = on!(pool self.pool(), |p| sqlx::query_scalar(ANY).fetch_one(p).await?);
        if !any {
            return Ok(None);
        }
        let (tx, rx) = oneshot::channel();
        let done = self
            .task(Box::new(move |conn| {
                Box::pin(async move {
                    const LAST: &str = "SELECT n, root FROM seal ORDER BY n DESC LIMIT 1";
                    const OPEN: &str = "SELECT id, version, head FROM stream WHERE version > sealed_version ORDER BY id LIMIT $1";
                    const SEAL: &str = "INSERT INTO seal (n, at, previous, root, heads) VALUES ($1, $2, $3, $4, $5)";
                    const HEAD: &str = "INSERT INTO seal_head (seal_n, stream_id, version, head) SELECT $1, id, version, head FROM stream WHERE id = $2 AND version = $3";
                    const MARK: &str = "UPDATE stream SET sealed_version = $2 WHERE id = $1";
                    let last: Option<(i64, Vec<u8>)> =
                        on!(conn conn, |c| sqlx::query_as(LAST).fetch_optional(c).await?);
                    let (n, previous) =
                        last.map_or((1, GENESIS.to_vec()), |(n, root)| (n + 1, root));
                    let heads: Vec<(Uuid, i64, Vec<u8>)> =
                        on!(conn conn, |c| sqlx::query_as(OPEN).bind(MOST).fetch_all(c).await?);
                    let root = root_over(&previous, &heads);
                    let count = i64::try_from(heads.len()).unwrap_or(i64::MAX);
                    // On two nodes the second insert of one number fails, and that node tries later.
                    on!(conn conn, |c| sqlx::query(SEAL).bind(n).bind(at).bind(&previous).bind(root.to_vec()).bind(count).execute(c).await?.rows_affected());
                    for (id, version, _) in &heads {
                        let kept = on!(conn conn, |c| sqlx::query(HEAD).bind(n).bind(id).bind(version).execute(c).await?.rows_affected());
                        if kept != 1 {
                            // It moved on between the two reads; the next seal takes it.
                            return Err(sqlx::Error::RowNotFound);
                        }
                        on!(conn conn, |c| sqlx::query(MARK).bind(id).bind(version).execute(c).await?.rows_affected());
                    }
                    let _ = tx.send(Sealed { n, at, root, heads: heads.len() });
                    Ok(())
                })
            }))
            .await;
        match done {
            Ok(()) => Ok(rx.await.ok()),
            Err(CommitError::Conflict) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}
