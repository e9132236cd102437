//! Proof that the journal is what was written: every chain recomputed, every head and seal
//! compared, and the first place that does not fit named.

use super::changes::Entry;
use super::engine::on;
use super::journal::{GENESIS, entry_hash};
use super::seal::root_over;
use super::{Store, StoreError};
use crate::platform::crypt::hex;
use futures_util::TryStreamExt;
use std::collections::HashMap;
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
    reference: Option<String>,
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
    previous: Vec<u8>,
    root: Vec<u8>,
    heads: i64,
}

impl Store {
    /// Verifies the whole journal while the service runs. `anchors` are lines `n root-in-hex` kept
    /// outside the database. Stops collecting after 100 findings.
    ///
    /// # Errors
    /// The database failed; what does not fit is in the report.
    pub async fn verify(&self, anchors: &[(i64, String)]) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let seals = self.seals_by_stream().await?;
        self.verify_chains(&mut report, &seals).await?;
        self.verify_seals(&mut report, &seals, anchors).await?;
        report.findings.truncate(100);
        Ok(report)
    }

    async fn seals_by_stream(&self) -> Result<HashMap<Uuid, Vec<SealedHead>>, StoreError> {
        const SQL: &str = "SELECT seal_n, stream_id, version, head FROM seal_head ORDER BY seal_n";
        let rows: Vec<SealedHead> =
            on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?);
        let mut by = HashMap::<Uuid, Vec<SealedHead>>::new();
        for r in rows {
            by.entry(r.stream_id).or_default().push(r);
        }
        Ok(by)
    }

    async fn verify_chains(
        &self,
        report: &mut Report,
        seals: &HashMap<Uuid, Vec<SealedHead>>,
    ) -> Result<(), StoreError> {
        const HEADS: &str = "SELECT s.id, s.version, s.head, c.reference FROM stream s LEFT JOIN cases c ON c.id = s.id ORDER BY s.id";
        const ENTRIES: &str = "SELECT stream_id, version, name, at, actor, payload, hash FROM journal ORDER BY stream_id, version";
        // Heads first: entries committed after this moment lie beyond them and are not judged.
        let heads: Vec<Head> = on!(pool self.pool(), |p| sqlx::query_as(HEADS).fetch_all(p).await?);
        let mut by_id: HashMap<Uuid, Head> = heads.into_iter().map(|h| (h.id, h)).collect();
        let mut walk = Walk { report, seals, current: None };
        on!(pool self.pool(), |p| {
            let mut rows = sqlx::query_as::<_, Entry>(ENTRIES).fetch(p);
            while let Some(e) = rows.try_next().await? {
                walk.entry(&e, &mut by_id);
            }
        });
        walk.finish_stream();
        for (id, head) in by_id {
            let place = place(&head.reference, id);
            report.findings.push(Finding {
                place,
                what: format!("all {} entries are missing", head.version),
            });
        }
        for (id, sealed) in seals {
            const SQL: &str = "SELECT EXISTS (SELECT 1 FROM stream WHERE id = $1)";
            let there: bool =
                on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(id).fetch_one(p).await?);
            if !there {
                report.findings.push(Finding {
                    place: place(&None, *id),
                    what: format!("was sealed ({} times) and is gone", sealed.len()),
                });
            }
        }
        Ok(())
    }

    async fn verify_seals(
        &self,
        report: &mut Report,
        by_stream: &HashMap<Uuid, Vec<SealedHead>>,
        anchors: &[(i64, String)],
    ) -> Result<(), StoreError> {
        const SQL: &str = "SELECT n, previous, root, heads FROM seal ORDER BY n";
        let seals: Vec<SealRow> = on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?);
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
            } else if root_over(&s.previous, &heads)[..] != s.root[..] {
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
}

fn place(reference: &Option<String>, id: Uuid) -> String {
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
                // Committed after the heads were read, or added behind the service's back: a
                // stream row is always committed together with its entries.
                return;
            };
            self.report.streams += 1;
            self.current = Some(Chain { head, version: 0, hash: GENESIS.to_vec(), broken: false });
        }
        let Some(chain) = &mut self.current else { return };
        if e.version > chain.head.version || chain.broken {
            return;
        }
        self.report.entries += 1;
        let expected = chain.version + 1;
        let problem = if e.version != expected {
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
            let place = format!("{}, entry {version}", place(&chain.head.reference, chain.head.id));
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
        let what = if chain.version < should {
            Some((chain.version + 1, "is missing: the end was cut off"))
        } else if chain.hash != chain.head.head {
            Some((chain.version, "is not the head that was committed"))
        } else {
            None
        };
        if let Some((version, what)) = what {
            let place = format!("{}, entry {version}", place(&chain.head.reference, chain.head.id));
            self.report.findings.push(Finding { place, what: what.to_owned() });
        }
    }
}
