//! Seals: every few seconds, one root over the heads of all streams that changed, chained to the
//! seal before. Nobody's commit waits for it, and a tail cut off afterwards no longer fits.

use super::engine::on;
use super::journal::GENESIS;
use super::rows::many;
use super::{CommitError, Store, StoreError};
use crate::platform::crypt::sha256;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Streams per seal, so that a long backlog is sealed in steps.
const MOST: i64 = 500;

/// A seal just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub n: i64,
    pub at: DateTime<Utc>,
    pub root: [u8; 32],
    pub heads: usize,
}

/// The root over heads in the order of their ids, on top of the previous seal.
pub(super) fn root_over(
    previous: &[u8],
    at: DateTime<Utc>,
    heads: &[(Uuid, i64, Vec<u8>)],
) -> [u8; 32] {
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
    sha256(&[b"cdr-seal-1", previous, &at.timestamp_micros().to_be_bytes(), &merkle])
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
                    // Streams that are being changed right now are left for the next seal.
                    const SKIPPING: &str = "SELECT id, version, head FROM stream WHERE version > sealed_version ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED";
                    let open = if conn.is_sqlite() { OPEN } else { SKIPPING };
                    let last: Option<(i64, Vec<u8>)> =
                        on!(conn conn, |c| sqlx::query_as(LAST).fetch_optional(c).await?);
                    let (n, previous) =
                        last.map_or((1, GENESIS.to_vec()), |(n, root)| (n + 1, root));
                    let heads: Vec<(Uuid, i64, Vec<u8>)> =
                        on!(conn conn, |c| sqlx::query_as(open).bind(MOST).fetch_all(c).await?);
                    if heads.is_empty() {
                        return Ok(());
                    }
                    let root = root_over(&previous, at, &heads);
                    let count = i64::try_from(heads.len()).unwrap_or(i64::MAX);
                    // On two nodes the second insert of one number fails, and that node tries later.
                    on!(conn conn, |c| sqlx::query(SEAL).bind(n).bind(at).bind(&previous).bind(root.to_vec()).bind(count).execute(c).await?.rows_affected());
                    many!(
                        conn, &heads, 4,
                        "INSERT INTO seal_head (seal_n, stream_id, version, head) VALUES ", "",
                        |q, h| q.bind(n).bind(h.0).bind(h.1).bind(&h.2)
                    );
                    many!(
                        conn, &heads, 2,
                        "UPDATE stream SET sealed_version = v.column2 FROM (VALUES ",
                        ") AS v WHERE stream.id = v.column1",
                        |q, h| q.bind(h.0).bind(h.1)
                    );
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
