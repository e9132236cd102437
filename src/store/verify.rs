//! Proof that the journal is what was written: every chain recomputed, every head and seal
//! compared, and the first place that does not fit named.

use super::changes::Entry;
use super::engine::{Conn, on};
use super::journal::{GENESIS, entry_hash};
use super::seal::root_over;
use super::{Store, StoreError};
use crate::platform::crypt::{CryptError, hex};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `case CDR-2026-000123, entry 4` or `seal 17`.
    pub place: String,
    pub what: String,
}

/// The outcome of a verification.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub streams: u64,
    pub entries: u64,
    pub seals: u64,
    pub findings: Vec<Finding>,
}

#[derive(sqlx::FromRow)]
struct Head {
    id: Uuid,
    version: i64,
    head: Vec<u8>,
    sealed_version: i64,
    key_name: Option<String>,
    wrapped_key: Option<Vec<u8>>,
    reference: Option<String>,
    /// Its key was destroyed, and there is a certificate that fits.
    destroyed: bool,
}

#[derive(Clone, sqlx::FromRow)]
struct SealedHead {
    seal_n: i64,
    stream_id: Uuid,
    version: i64,
    head: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct SealRow {
    n: i64,
    at: DateTime<Utc>,
    previous: Vec<u8>,
    root: Vec<u8>,
    heads: i64,
}

impl Store {
    /// Verifies the whole journal, in one snapshot, while the service runs. `anchors` are lines `n root-in-hex` kept
    /// outside the database. Stops collecting after 100 findings.
    ///
    /// # Errors
    /// The database failed; what does not fit is in the report.
    pub async fn verify(&self, anchors: &[(i64, String)]) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let mut conn = self.inner.target.connect().await?;
        let one_snapshot = if conn.is_sqlite() {
            "BEGIN"
        } else {
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        };
        conn.run("SELECT 1").await?;
        if !conn.is_sqlite() {
            conn.run("SET statement_timeout = 0").await?;
            conn.run("SET idle_in_transaction_session_timeout = 0").await?;
        }
        conn.run(one_snapshot).await?;
        let seals = seals_by_stream(&mut conn).await?;
        self.verify_chains(&mut conn, &mut report, &seals).await?;
        verify_seals(&mut conn, &mut report, &seals, anchors).await?;
        conn.rollback().await;
        report.findings.truncate(100);
        Ok(report)
    }

    async fn verify_chains(
        &self,
        conn: &mut Conn,
        report: &mut Report,
        seals: &HashMap<Uuid, Vec<SealedHead>>,
    ) -> Result<(), StoreError> {
        const HEADS: &str = "SELECT s.id, s.version, s.head, s.sealed_version, s.key_name, s.wrapped_key, c.reference, EXISTS (SELECT 1 FROM destruction d WHERE d.case_id = s.id AND d.confirmed_at IS NOT NULL AND d.head = s.head AND d.version = s.version) AS destroyed FROM stream s LEFT JOIN cases c ON c.id = s.id ORDER BY s.id";
        const ENTRIES: &str = "SELECT stream_id, version, name, at, actor, payload, hash FROM journal ORDER BY stream_id, version";
        let heads: Vec<Head> = on!(conn &mut *conn, |c| sqlx::query_as(HEADS).fetch_all(c).await?);
        for h in &heads {
            let key = self.unwrap_case_key(h.id, h.key_name.as_deref(), h.wrapped_key.as_deref());
            let certified = h.destroyed && matches!(key, Err(CryptError::Destroyed));
            if let Err(e) = key
                && !certified
            {
                report.findings.push(Finding {
                    place: place(h.reference.as_ref(), h.id),
                    what: format!("its key cannot be used: {e}"),
                });
            }
        }
        let mut by_id: HashMap<Uuid, Head> = heads.into_iter().map(|h| (h.id, h)).collect();
        let mut walk = Walk { report, seals, current: None, seen: HashSet::new() };
        on!(conn &mut *conn, |c| {
            let mut rows = sqlx::query_as::<_, Entry>(ENTRIES).fetch(c);
            while let Some(e) = rows.try_next().await? {
                walk.entry(&e, &mut by_id);
            }
        });
        let seen = std::mem::take(&mut walk.seen);
        walk.finish_stream();
        for (id, head) in by_id {
            let place = place(head.reference.as_ref(), id);
            report
                .findings
                .push(Finding { place, what: format!("all {} entries are missing", head.version) });
        }
        for (id, sealed) in seals {
            if !seen.contains(id) {
                report.findings.push(Finding {
                    place: place(None, *id),
                    what: format!("was sealed ({} times) and is gone", sealed.len()),
                });
            }
        }
        Ok(())
    }
}

async fn seals_by_stream(conn: &mut Conn) -> Result<HashMap<Uuid, Vec<SealedHead>>, StoreError> {
    const SQL: &str = "SELECT seal_n, stream_id, version, head FROM seal_head ORDER BY seal_n";
    let rows: Vec<SealedHead> = on!(conn conn, |c| sqlx::query_as(SQL).fetch_all(c).await?);
    let mut by = HashMap::<Uuid, Vec<SealedHead>>::new();
    for r in rows {
        by.entry(r.stream_id).or_default().push(r);
    }
    Ok(by)
}

async fn verify_seals(
    conn: &mut Conn,
    report: &mut Report,
    by_stream: &HashMap<Uuid, Vec<SealedHead>>,
    anchors: &[(i64, String)],
) -> Result<(), StoreError> {
    const SQL: &str = "SELECT n, at, previous, root, heads FROM seal ORDER BY n";
    let seals: Vec<SealRow> = on!(conn conn, |c| sqlx::query_as(SQL).fetch_all(c).await?);
    let mut leaves: HashMap<i64, Vec<(Uuid, i64, Vec<u8>)>> = HashMap::new();
    for h in by_stream.values().flatten() {
        leaves.entry(h.seal_n).or_default().push((h.stream_id, h.version, h.head.clone()));
    }
    let mut previous = GENESIS.to_vec();
    let mut roots = HashMap::new();
    for (s, expected_n) in seals.iter().zip(1..) {
        report.seals += 1;
        let place = format!("seal {}", s.n);
        let mut finding = |what: &str| {
            report.findings.push(Finding { place: place.clone(), what: what.to_owned() });
        };
        let mut heads = leaves.remove(&s.n).unwrap_or_default();
        heads.sort_by_key(|(id, ..)| *id);
        if s.n != expected_n {
            finding("a seal before this one is missing");
            break;
        } else if s.previous != previous {
            finding("does not follow the seal before it");
        } else if i64::try_from(heads.len()).ok() != Some(s.heads) {
            finding("heads under it are missing or were added");
        } else if root_over(&s.previous, s.at, &heads)[..] != s.root[..] {
            finding("its root does not fit the heads under it");
        }
        previous.clone_from(&s.root);
        roots.insert(s.n, hex(&s.root));
    }
    for n in leaves.keys() {
        report.findings.push(Finding {
            place: format!("seal {n}"),
            what: "is missing, but heads under it are there".to_owned(),
        });
    }
    for (n, root) in anchors {
        if roots.get(n) != Some(root) {
            report.findings.push(Finding {
                place: format!("seal {n}"),
                what: "does not match the anchor kept outside".to_owned(),
            });
        }
    }
    Ok(())
}

fn place(reference: Option<&String>, id: Uuid) -> String {
    match reference {
        Some(r) => format!("case {r}"),
        None => format!("case with id {id}"),
    }
}

/// The walk along one chain after another.
struct Walk<'r> {
    report: &'r mut Report,
    seals: &'r HashMap<Uuid, Vec<SealedHead>>,
    current: Option<Chain>,
    /// Streams that have entries.
    seen: HashSet<Uuid>,
}

struct Chain {
    head: Head,
    version: i64,
    hash: Vec<u8>,
    /// After the first finding the rest of a chain says nothing new.
    broken: bool,
}

impl Walk<'_> {
    fn entry(&mut self, e: &Entry, heads: &mut HashMap<Uuid, Head>) {
        if self.current.as_ref().is_none_or(|c| c.head.id != e.stream_id) {
            self.finish_stream();
            let Some(head) = heads.remove(&e.stream_id) else {
                if self.seen.insert(e.stream_id) {
                    self.report.findings.push(Finding {
                        place: place(None, e.stream_id),
                        what: "has entries but no head: it was added, or its head was removed"
                            .to_owned(),
                    });
                }
                return;
            };
            self.seen.insert(e.stream_id);
            self.report.streams += 1;
            self.current = Some(Chain { head, version: 0, hash: GENESIS.to_vec(), broken: false });
        }
        let Some(chain) = &mut self.current else { return };
        if chain.broken {
            return;
        }
        self.report.entries += 1;
        let expected = chain.version + 1;
        let problem = if e.version > chain.head.version {
            Some((e.version, "lies beyond the end that was committed".to_owned()))
        } else if e.version != expected {
            Some((expected, "is missing".to_owned()))
        } else if entry_hash(&chain.hash, e)[..] != e.hash[..] {
            Some((e.version, "was changed, or does not follow the entry before it".to_owned()))
        } else {
            let sealed = self.seals.get(&e.stream_id).into_iter().flatten();
            sealed
                .filter(|s| s.version == e.version && s.head != e.hash)
                .map(|s| (e.version, format!("is not what seal {} says", s.seal_n)))
                .next()
        };
        if let Some((version, what)) = problem {
            let place =
                format!("{}, entry {version}", place(chain.head.reference.as_ref(), chain.head.id));
            self.report.findings.push(Finding { place, what });
            chain.broken = true;
        }
        chain.version = e.version;
        chain.hash.clone_from(&e.hash);
    }

    fn finish_stream(&mut self) {
        let Some(chain) = self.current.take() else { return };
        if chain.broken {
            return;
        }
        let sealed = self.seals.get(&chain.head.id).into_iter().flatten();
        let sealed_to = sealed.map(|s| s.version).max().unwrap_or(0);
        let should = chain.head.version.max(sealed_to);
        let what = if sealed_to != chain.head.sealed_version {
            Some((
                sealed_to.max(chain.head.sealed_version),
                "was sealed, and the seal is not there (or the other way round)",
            ))
        } else if chain.version < should {
            Some((chain.version + 1, "is missing: the end was cut off"))
        } else if chain.hash != chain.head.head {
            Some((chain.version, "is not the head that was committed"))
        } else {
            None
        };
        if let Some((version, what)) = what {
            let place =
                format!("{}, entry {version}", place(chain.head.reference.as_ref(), chain.head.id));
            self.report.findings.push(Finding { place, what: what.to_owned() });
        }
    }
}
