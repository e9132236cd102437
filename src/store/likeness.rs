//! Finding cases that may be about the same death, and the pairs that were found.

use super::changes::{ChangeSet, LikenessRow};
use super::engine::{Conn, on};
use super::keys::ServiceKey;
use super::{Store, StoreError};
use crate::domain::event::Event;
use crate::domain::facts::Facts;
use crate::domain::id::CaseId;
use crate::domain::likeness::Traits;
use crate::platform::crypt::{CryptError, hex};
use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder, Sqlite};
use uuid::Uuid;

/// A case that shares keys with another, with its sealed facts.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Kin {
    pub id: Uuid,
    pub reference: String,
    pub area: String,
    pub stage: String,
    pub restricted: bool,
    pub account_of: Option<Uuid>,
    pub received_at: DateTime<Utc>,
    sealed_facts: Vec<u8>,
    key_name: Option<String>,
    wrapped_key: Option<Vec<u8>>,
}

/// A pair that was found, with what decides who may see it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct PairRow {
    pub case_id: Uuid,
    pub other_id: Uuid,
    pub verdict: String,
    pub decided: String,
    pub at: DateTime<Utc>,
    pub seen: String,
}

/// Which pairs are listed.
#[derive(Clone, Debug, Default)]
pub struct PairFilter {
    /// Both cases are of these areas.
    pub areas: Vec<String>,
    /// Restricted cases are left out unless they are open to this person at this time.
    pub open_to: Option<(Uuid, DateTime<Utc>)>,
    /// Only pairs of which this case is one.
    pub case: Option<CaseId>,
    /// Only those that wait for a person, twins and siblings left out.
    pub waiting: bool,
}

/// Cases looked up by one key at most, the newest.
const OF_EACH_KEY: u32 = 100;
/// Keys looked up at most: a report has about ten.
const KEYS: usize = 40;

const KIN: &str = "SELECT c.id, c.reference, c.area, c.stage, c.restricted, c.account_of, c.received_at, c.sealed_facts, s.key_name, s.wrapped_key FROM cases c JOIN stream s ON s.id = c.id ";

macro_rules! kin_query {
    ($engine:ty, $digests:expr, $besides:expr, $most:expr) => {{
        let mut q: QueryBuilder<$engine> = QueryBuilder::new(KIN);
        // Whoever shares most comes first, an NHS number before all else, then the newest.
        q.push("JOIN (SELECT case_id, SUM(CASE kind WHEN 'nhs_number' THEN 20 WHEN 'like_name' THEN 1 ELSE 3 END) AS shared FROM (");
        for (n, d) in $digests.iter().enumerate() {
            // Of each key the newest only: a name that thousands have must not cost thousands.
            q.push(if n > 0 { " UNION ALL " } else { "" });
            q.push("SELECT kind, case_id FROM (SELECT kind, case_id FROM case_lookup WHERE digest = ")
                .push_bind(d.clone());
            q.push(format!(" ORDER BY case_id DESC LIMIT {OF_EACH_KEY}) AS k{n}"));
        }
        q.push(") AS found GROUP BY case_id) k ON k.case_id = c.id WHERE c.stage NOT IN ('drill', 'destroyed') AND c.id <> ")
            .push_bind($besides);
        q.push(" ORDER BY k.shared DESC, c.id DESC LIMIT ").push_bind($most);
        q
    }};
}

macro_rules! pair_query {
    ($engine:ty, $what:expr, $filter:expr, $most:expr) => {{
        let f: &PairFilter = $filter;
        let mut q: QueryBuilder<$engine> = QueryBuilder::new($what);
        // The pairs first, by an index of their own, and only then their cases. CROSS JOIN because
        // SQLite keeps its order: left to choose, it joins all cases with all cases.
        q.push(" FROM (SELECT case_id, other_id, verdict, decided, at, seen FROM likeness WHERE ");
        q.push(if f.waiting {
            "decided = '' AND verdict IN ('perhaps', 'same')"
        } else {
            "decided <> 'not_the_same' AND verdict <> 'different'"
        });
        if let Some(case) = f.case {
            q.push(" AND (case_id = ").push_bind(case.0);
            q.push(" OR other_id = ").push_bind(case.0).push(")");
        }
        q.push(format!(" ORDER BY at DESC LIMIT {PAIRS_LOOKED_AT}) l CROSS JOIN cases a CROSS JOIN cases b WHERE a.id = l.case_id AND b.id = l.other_id AND a.stage NOT IN ('destroyed', 'drill', 'second_account', 'withdrawn') AND b.stage NOT IN ('destroyed', 'drill', 'second_account', 'withdrawn')"));
        for side in ["a", "b"] {
            q.push(format!(" AND {side}.area IN ("));
            let mut areas = q.separated(", ");
            for a in &f.areas {
                areas.push_bind(a.clone());
            }
            q.push(")");
            if let Some((user, now)) = f.open_to {
                q.push(format!(" AND (NOT {side}.restricted OR {side}.id IN (SELECT case_id FROM case_person WHERE user_id = ")).push_bind(user);
                q.push(format!(") OR {side}.id IN (SELECT case_id FROM glass WHERE user_id = ")).push_bind(user);
                q.push(" AND until_at > ").push_bind(now).push("))");
            }
        }
        if let Some(most) = $most {
            q.push(" ORDER BY l.at DESC, l.case_id DESC, l.other_id LIMIT ").push_bind::<i64>(most);
        }
        q
    }};
}

/// The newest pairs of all areas; older ones come up as these are decided.
const PAIRS_LOOKED_AT: i64 = 10_000;

const PAIR: &str = "SELECT l.case_id, l.other_id, l.verdict, l.decided, l.at, l.seen";

impl Store {
    /// The digests of keys under which cases are found.
    #[must_use]
    pub fn key_digests(&self, keys: &[(&'static str, String)]) -> Vec<Vec<u8>> {
        keys.iter().filter_map(|(kind, text)| self.lookup_digest(kind, text)).collect()
    }

    /// The keyed digest of what two reports were compared by; the same from either side.
    #[must_use]
    pub fn seen(&self, a: &Traits, b: &Traits) -> String {
        let key = self.service_key(ServiceKey::Lookups);
        let mut both =
            [a, b].map(|t| hex(&key.mac(format!("seen\0{}", t.fingerprint()).as_bytes())));
        both.sort();
        hex(&key.mac(both.concat().as_bytes())[..16])
    }

    /// Cases that share any of the digests, the likeliest first, `most` of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn kin(
        &self,
        digests: &[Vec<u8>],
        besides: Option<CaseId>,
        most: i64,
    ) -> Result<Vec<Kin>, StoreError> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        let digests = &digests[..digests.len().min(KEYS)];
        let besides = besides.map_or(Uuid::nil(), |c| c.0);
        Ok(match self.pool() {
            super::Pool::Sqlite(p) => {
                kin_query!(Sqlite, digests, besides, most).build_query_as().fetch_all(p).await?
            }
            super::Pool::Pg(p) => {
                kin_query!(Postgres, digests, besides, most).build_query_as().fetch_all(p).await?
            }
        })
    }

    /// One case in the same shape.
    ///
    /// # Errors
    /// The database failed.
    pub async fn as_kin(&self, id: CaseId) -> Result<Option<Kin>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("{KIN} WHERE c.id = $1"));
        Ok(on!(pool self.pool(), |p| sqlx::query_as(sql).bind(id.0).fetch_optional(p).await?))
    }

    /// The facts of a case found; none if its key is gone.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn facts_of_kin(&self, k: &Kin) -> Result<Option<Facts>, StoreError> {
        let key = match self.unwrap_case_key(k.id, k.key_name.as_deref(), k.wrapped_key.as_deref())
        {
            Ok(key) => key,
            Err(CryptError::Destroyed) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let plain = key.open(&super::journal::facts_aad(k.id), &k.sealed_facts)?;
        serde_json::from_slice(&plain).map(Some).map_err(|_| StoreError::Corrupt("facts"))
    }

    /// Pairs of cases that are alike, the latest found first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pairs(&self, f: &PairFilter, most: i64) -> Result<Vec<PairRow>, StoreError> {
        if f.areas.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match self.pool() {
            super::Pool::Sqlite(p) => {
                pair_query!(Sqlite, PAIR, f, Some(most)).build_query_as().fetch_all(p).await?
            }
            super::Pool::Pg(p) => {
                pair_query!(Postgres, PAIR, f, Some(most)).build_query_as().fetch_all(p).await?
            }
        })
    }

    /// How many there are.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_pairs(&self, f: &PairFilter) -> Result<i64, StoreError> {
        const COUNT: &str = "SELECT COUNT(*)";
        if f.areas.is_empty() {
            return Ok(0);
        }
        Ok(match self.pool() {
            super::Pool::Sqlite(p) => {
                pair_query!(Sqlite, COUNT, f, None).build_query_scalar().fetch_one(p).await?
            }
            super::Pool::Pg(p) => {
                pair_query!(Postgres, COUNT, f, None).build_query_scalar().fetch_one(p).await?
            }
        })
    }

    /// What is known of a pair, whichever comes first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pair(&self, a: CaseId, b: CaseId) -> Result<Option<PairRow>, StoreError> {
        const SQL: &str = "SELECT case_id, other_id, verdict, decided, at, seen FROM likeness WHERE case_id = $1 AND other_id = $2";
        let (later, earlier) = (a.0.max(b.0), a.0.min(b.0));
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL)
            .bind(later)
            .bind(earlier)
            .fetch_optional(p)
            .await?))
    }

    /// Pairs of a case that wait for a person.
    ///
    /// # Errors
    /// The database failed.
    pub async fn waiting_pairs_of(&self, id: CaseId) -> Result<Vec<PairRow>, StoreError> {
        const SQL: &str = "SELECT case_id, other_id, verdict, decided, at, seen FROM likeness WHERE (case_id = $1 OR other_id = $1) AND decided = '' AND verdict <> 'different' LIMIT 100";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(id.0).fetch_all(p).await?))
    }

    /// Cases that changed since an instant, oldest change first: what may have become alike.
    ///
    /// # Errors
    /// The database failed.
    pub async fn changed_since(
        &self,
        at: DateTime<Utc>,
        after: Uuid,
        until: DateTime<Utc>,
        most: i64,
    ) -> Result<Vec<(Uuid, DateTime<Utc>)>, StoreError> {
        const SQL: &str = "SELECT id, changed_at FROM cases WHERE (changed_at, id) > ($1, $2) AND changed_at <= $3 AND stage NOT IN ('drill', 'destroyed', 'second_account', 'withdrawn') ORDER BY changed_at, id LIMIT $4";
        Ok(
            on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(at).bind(after).bind(until).bind(most).fetch_all(p).await?),
        )
    }

    /// Makes cases of before findable: those that have no key yet, `most` of them after an id. The
    /// last one's id; none if there are no more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn fill_keys(&self, after: Uuid, most: i64) -> Result<Option<Uuid>, StoreError> {
        const SQL: &str = "SELECT id FROM cases WHERE id > $1 AND stage NOT IN ('drill', 'destroyed') AND NOT EXISTS (SELECT 1 FROM case_lookup WHERE case_id = cases.id AND kind IN ('like_name', 'like_born', 'like_died', 'like_home')) ORDER BY id LIMIT $2";
        let ids: Vec<Uuid> = on!(pool self.pool(), |p| sqlx::query_scalar(SQL)
            .bind(after)
            .bind(most)
            .fetch_all(p)
            .await?);
        let mut set = ChangeSet::default();
        for id in &ids {
            let history = match self.history(CaseId(*id)).await {
                Ok(h) => h,
                // Destroyed meanwhile.
                Err(StoreError::Crypt(CryptError::Destroyed)) => continue,
                Err(e) => return Err(e),
            };
            // As the journal's own projection does it, so that a rebuild gives the same.
            for (recorded, _) in history {
                match recorded.event {
                    Event::NotificationReceived { facts, .. } => {
                        self.lookups(&mut set, CaseId(*id), &facts);
                    }
                    Event::FactsAmended { patch, .. } => {
                        self.lookups(&mut set, CaseId(*id), &patch);
                    }
                    _ => {}
                }
            }
        }
        if !set.lookups.is_empty() {
            self.commit(set).await?;
        }
        Ok(ids.last().copied())
    }

    /// Agencies that hold alerts of a case or of one of its accounts.
    ///
    /// # Errors
    /// The database failed.
    pub async fn alerted_agencies(&self, case: CaseId) -> Result<Vec<String>, StoreError> {
        const SQL: &str = "SELECT DISTINCT agency FROM alert WHERE case_id = $1 OR case_id IN (SELECT id FROM cases WHERE account_of = $1)";
        Ok(on!(pool self.pool(), |p| sqlx::query_scalar(SQL).bind(case.0).fetch_all(p).await?))
    }
}

pub(super) async fn change(conn: &mut Conn, l: &LikenessRow) -> Result<(), sqlx::Error> {
    const SQL: &str = "INSERT INTO likeness (case_id, other_id, verdict, decided, at, seen) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (case_id, other_id) DO UPDATE SET verdict = excluded.verdict, decided = excluded.decided, at = excluded.at, seen = excluded.seen";
    on!(conn conn, |c| sqlx::query(SQL).bind(l.case_id).bind(l.other_id).bind(l.verdict).bind(l.decided).bind(l.at).bind(&l.seen).execute(c).await?.rows_affected());
    Ok(())
}
