//! Lists of cases: filtered, in an order, a page at a time by where the last one ended.

use super::{Store, StoreError};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use sqlx::{Postgres, QueryBuilder, Sqlite};
use uuid::Uuid;

/// Which cases to list. Areas are always named: a caller sees only what it may.
#[derive(Clone, Debug, Default)]
pub struct CaseFilter {
    pub areas: Vec<String>,
    pub stage: Option<String>,
    /// Stages that whoever asks has no business with any more.
    pub over: Vec<&'static str>,
    pub jar: Option<String>,
    pub ready: Option<bool>,
    /// Part of a reference.
    pub reference: Option<String>,
    /// Exactly these; all of them, if there are none.
    pub references: Vec<String>,
    /// Keyed digests of a searched value; a case that has any of them is found.
    pub lookups: Vec<Vec<u8>>,
    /// Keyed digests of the words of a searched name; a case that has all of them is found as well.
    pub words: Vec<Vec<u8>>,
    /// Place in the list of age bands; `Some(None)`: age not known.
    pub age: Option<Option<i64>>,
    pub category: Option<i64>,
    /// Received at or after, and before.
    pub received: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    /// Died on these days or between.
    pub died: (Option<NaiveDate>, Option<NaiveDate>),
    /// A clock runs out before.
    pub due_before: Option<DateTime<Utc>>,
    /// And not before.
    pub due_from: Option<DateTime<Utc>>,
    /// Bit of something it waits for.
    pub waits: Option<i64>,
    /// Waits, and nothing is expected on this day or later.
    pub undated: Option<NaiveDate>,
    /// Somebody has not acknowledged.
    pub unacknowledged: bool,
    /// Second accounts too, which are no cases of their own.
    pub accounts: bool,
    /// Assigned to somebody; `Some(None)`: to nobody.
    pub assigned: Option<Option<Uuid>>,
    /// Handed over and not taken.
    pub handed: bool,
    pub handed_by: Option<Uuid>,
    /// Restricted cases that are not open to this person at this time are left out; with `None`
    /// they are listed.
    pub open_to: Option<(Uuid, DateTime<Utc>)>,
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Received,
    Died,
    Age,
    Stage,
    Due,
}

impl Sort {
    fn column(self) -> &'static str {
        match self {
            Self::Received => "received_at",
            Self::Died => "died_on",
            Self::Age => "age_rank",
            Self::Stage => "stage_rank",
            Self::Due => "next_due",
        }
    }

    fn always_known(self) -> bool {
        matches!(self, Self::Received | Self::Stage)
    }
}

/// Where a page ended: the sorted value, if it was known, and the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub key: Option<i64>,
    pub id: Uuid,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    pub sort: Sort,
    /// Smallest first. What is not known comes last either way.
    pub up: bool,
    pub after: Option<Mark>,
    /// The page that ends before the mark, instead of the one that begins after it.
    pub back: bool,
    pub size: i64,
}

impl Page {
    /// The newest notification first.
    #[must_use]
    pub fn newest(after: Option<Mark>, size: i64) -> Self {
        Self { sort: Sort::Received, up: false, after, back: false, size }
    }
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
    /// The next clock, whenever it runs or ran out.
    pub next_due: Option<DateTime<Utc>>,
    pub next_due_kind: Option<String>,
    pub assigned_to: Option<Uuid>,
    /// Handed over and not taken yet.
    pub handed_at: Option<DateTime<Utc>>,
    pub handed_by: Option<Uuid>,
    pub age_rank: Option<i64>,
    pub stage_rank: i64,
    pub version: i64,
    /// Restricted, and not open to whoever asked: only the reference counts.
    #[sqlx(default)]
    pub hidden: bool,
}

impl Listed {
    /// Where a list sorted so stands at this row.
    #[must_use]
    pub fn mark(&self, sort: Sort) -> Mark {
        let key = match sort {
            Sort::Received => Some(self.received_at.timestamp_micros()),
            Sort::Died => self.died_on.map(|d| i64::from(d.num_days_from_ce())),
            Sort::Age => self.age_rank,
            Sort::Stage => Some(self.stage_rank),
            Sort::Due => self.next_due.map(|t| t.timestamp_micros()),
        };
        Mark { key, id: self.id }
    }
}

/// A partner that has not acknowledged.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct WaitingRow {
    pub reference: String,
    pub agency_name: String,
    pub planned_at: DateTime<Utc>,
}

/// Open alerts looked at for one list, the longest waiting first.
const WAITING_LOOKED_AT: i64 = 100_000;

/// One of the bounds that a mark or filter puts on a list, of whichever type its column has.
enum Bound {
    Instant(DateTime<Utc>),
    Day(NaiveDate),
    Rank(i64),
}

/// None for what no list of ours ever gave: a mark comes back from outside.
fn bound(sort: Sort, key: i64) -> Option<Bound> {
    let is_ours = |day: &NaiveDate| (1..=9999).contains(&day.year());
    match sort {
        Sort::Received | Sort::Due => DateTime::from_timestamp_micros(key)
            .filter(|t| is_ours(&t.date_naive()))
            .map(Bound::Instant),
        Sort::Died => NaiveDate::from_num_days_from_ce_opt(i32::try_from(key).ok()?)
            .filter(is_ours)
            .map(Bound::Day),
        Sort::Age | Sort::Stage => Some(Bound::Rank(key)),
    }
}

/// Adds the conditions of a filter; generic over the engine because the text is built piece by piece.
macro_rules! filtered {
    ($q:expr, $filter:expr) => {{
        let (q, f): (_, &CaseFilter) = ($q, $filter);
        q.push("l.area IN (");
        let mut areas = q.separated(", ");
        for a in &f.areas {
            areas.push_bind(a.clone());
        }
        q.push(")");
        if let Some(s) = &f.stage {
            q.push(" AND l.stage = ").push_bind(s.clone());
        } else {
            // An exercise is no case; it is listed only when asked for.
            q.push(" AND l.stage <> 'drill'");
            if f.reference.is_none() && !f.accounts {
                // Nor is a second account one; who has its reference finds it.
                q.push(" AND l.stage <> 'second_account'");
            }
        }
        for s in &f.over {
            q.push(" AND l.stage <> ").push_bind(*s);
        }
        if let Some(j) = &f.jar {
            q.push(" AND l.jar = ").push_bind(j.clone());
        }
        if let Some(r) = f.ready {
            q.push(" AND l.ready = ").push_bind(r);
        }
        if let Some(r) = &f.reference {
            q.push(" AND l.reference LIKE ").push_bind(format!("%{r}%"));
        }
        if !f.references.is_empty() {
            q.push(" AND l.id IN (SELECT id FROM cases WHERE reference IN (");
            let mut all = q.separated(", ");
            for r in &f.references {
                all.push_bind(r.clone());
            }
            q.push("))");
        }
        if !f.lookups.is_empty() {
            q.push(" AND (l.id IN (SELECT case_id FROM case_lookup WHERE digest IN (");
            let mut digests = q.separated(", ");
            for d in &f.lookups {
                digests.push_bind(d.clone());
            }
            q.push("))");
            for (n, d) in f.words.iter().enumerate() {
                q.push(if n == 0 { " OR (" } else { " AND " });
                q.push("l.id IN (SELECT case_id FROM case_lookup WHERE digest = ")
                    .push_bind(d.clone())
                    .push(")");
            }
            q.push(if f.words.is_empty() { ")" } else { "))" });
        }
        match f.age {
            Some(Some(rank)) => {
                q.push(" AND l.age_rank = ").push_bind(rank);
            }
            Some(None) => {
                q.push(" AND l.age_rank IS NULL");
            }
            None => {}
        }
        if let Some(c) = f.category {
            q.push(" AND l.category = ").push_bind(c);
        }
        if let Some(t) = f.received.0 {
            q.push(" AND l.received_at >= ").push_bind(t);
        }
        if let Some(t) = f.received.1 {
            q.push(" AND l.received_at < ").push_bind(t);
        }
        if let Some(d) = f.died.0 {
            q.push(" AND l.died_on >= ").push_bind(d);
        }
        if let Some(d) = f.died.1 {
            q.push(" AND l.died_on <= ").push_bind(d);
        }
        if let Some(t) = f.due_before {
            q.push(" AND l.next_due < ").push_bind(t);
        }
        if let Some(t) = f.due_from {
            q.push(" AND l.next_due >= ").push_bind(t);
        }
        if let Some(bit) = f.waits {
            q.push(" AND (l.waits & ").push_bind(bit).push(") <> 0 AND l.stage IN ('notified', 'gathering', 'meeting_held', 'listed')");
        }
        if let Some(day) = f.undated {
            q.push(" AND l.stage IN ('notified', 'gathering', 'meeting_held') AND (l.next_date IS NULL OR l.next_date < ").push_bind(day).push(")");
        }
        if f.unacknowledged {
            q.push(" AND l.id IN (SELECT case_id FROM alert WHERE phase IN ('climbing', 'ringing'))");
        }
        match f.assigned {
            Some(Some(user)) => {
                q.push(" AND l.assigned_to = ").push_bind(user);
            }
            Some(None) => {
                q.push(" AND l.assigned_to IS NULL");
            }
            None => {}
        }
        if f.handed {
            q.push(" AND l.handed_at IS NOT NULL");
        }
        if let Some(user) = f.handed_by {
            q.push(" AND l.handed_by = ").push_bind(user);
        }
        if let Some((user, now)) = f.open_to {
            q.push(" AND (NOT (l.restricted");
            if f.accounts || f.reference.is_some() || f.stage.as_deref() == Some("second_account") {
                // An account is as secret as its case.
                q.push(" OR EXISTS (SELECT 1 FROM cases a JOIN cases f ON f.id = a.account_of WHERE a.id = l.id AND f.restricted)");
            }
            q.push(") OR l.id IN (SELECT case_id FROM case_person WHERE user_id = ").push_bind(user);
            q.push(") OR l.id IN (SELECT case_id FROM glass WHERE user_id = ").push_bind(user);
            q.push(" AND until_at > ").push_bind(now).push("))");
        }
    }};
}

/// A page of rows whose sorted value is known, or of those where it is not.
macro_rules! paged {
    ($engine:ty, $filter:expr, $page:expr, $known:expr, $size:expr) => {{
        let page: &Page = $page;
        let column = page.sort.column();
        let (way, than) = if page.up != page.back { ("ASC", ">") } else { ("DESC", "<") };
        let mut q: QueryBuilder<$engine> = QueryBuilder::new("SELECT c.id, c.reference, c.area, c.stage, c.jar, c.in_scope, c.ready, c.event, c.age_band, c.category, c.received_at, c.died_on, c.blockers, (SELECT COUNT(*) FROM alert WHERE alert.case_id = c.id AND alert.phase IN ('climbing', 'ringing')) AS waiting, (l.restricted OR EXISTS (SELECT 1 FROM cases f WHERE f.id = c.account_of AND f.restricted)) AS restricted, l.next_due, l.next_due_kind, l.assigned_to, l.handed_at, l.handed_by, l.age_rank, l.stage_rank, c.version FROM (SELECT l.* FROM case_line l WHERE ");
        filtered!(&mut q, $filter);
        if !page.sort.always_known() {
            let is = if $known { " IS NOT NULL" } else { " IS NULL" };
            q.push(" AND l.").push(column).push(is);
        }
        if let Some(m) = page.after {
            match m.key.and_then(|k| bound(page.sort, k)) {
                Some(key) if $known => {
                    q.push(" AND (l.").push(column).push(", l.id) ").push(than).push(" (");
                    match key {
                        Bound::Instant(t) => q.push_bind(t),
                        Bound::Day(d) => q.push_bind(d),
                        Bound::Rank(n) => q.push_bind(n),
                    };
                    q.push(", ").push_bind(m.id).push(")");
                }
                None if !$known => {
                    q.push(" AND l.id ").push(than).push(" ").push_bind(m.id);
                }
                _ => {}
            }
        }
        let order = if $known {
            format!("l.{column} {way}, l.id {way}")
        } else {
            format!("l.id {way}")
        };
        q.push(" ORDER BY ").push(&order).push(" LIMIT ").push_bind($size);
        q.push(") l JOIN cases c ON c.id = l.id ORDER BY ").push(&order);
        q
    }};
}

impl Store {
    /// A page of cases in the order asked for; what is not known comes last.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, filter: &CaseFilter, page: &Page) -> Result<Vec<Listed>, StoreError> {
        if filter.areas.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows: Vec<Listed> = Vec::new();
        for known in if page.back { [false, true] } else { [true, false] } {
            let begun = page.after.map(|m| m.key.is_some());
            // The mark lies in the other part: that one is over, or is still to come.
            let skipped = begun.is_some_and(|b| b != known && (known != page.back));
            let left = page.size - i64::try_from(rows.len()).unwrap_or(page.size);
            if skipped || left <= 0 || (!known && page.sort.always_known()) {
                continue;
            }
            let after = page.after.filter(|_| begun == Some(known));
            let part = Page { after, ..page.clone() };
            rows.extend(self.part(filter, &part, known, left).await?);
        }
        if page.back {
            rows.reverse();
        }
        Ok(rows)
    }

    async fn part(
        &self,
        filter: &CaseFilter,
        page: &Page,
        known: bool,
        size: i64,
    ) -> Result<Vec<Listed>, StoreError> {
        Ok(match self.pool() {
            super::Pool::Sqlite(p) => {
                paged!(Sqlite, filter, page, known, size).build_query_as().fetch_all(p).await?
            }
            super::Pool::Pg(p) => {
                paged!(Postgres, filter, page, known, size).build_query_as().fetch_all(p).await?
            }
        })
    }

    /// How many cases match, counted no further than `most`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count(&self, filter: &CaseFilter, most: i64) -> Result<i64, StoreError> {
        macro_rules! counted {
            ($engine:ty, $p:expr) => {{
                let mut q: QueryBuilder<$engine> =
                    QueryBuilder::new("SELECT COUNT(*) FROM (SELECT 1 FROM case_line l WHERE ");
                filtered!(&mut q, filter);
                q.push(" LIMIT ").push_bind(most).push(") x");
                q.build_query_scalar().fetch_one($p).await?
            }};
        }
        if filter.areas.is_empty() {
            return Ok(0);
        }
        Ok(match self.pool() {
            super::Pool::Sqlite(p) => counted!(Sqlite, p),
            super::Pool::Pg(p) => counted!(Postgres, p),
        })
    }

    /// Partners that have not acknowledged, of cases that match, the longest waiting first; and how
    /// many there are, counted no further than `most`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unacknowledged(
        &self,
        filter: &CaseFilter,
        size: i64,
        most: i64,
    ) -> Result<(Vec<WaitingRow>, i64), StoreError> {
        // Whoever was alerted for a report that became an account is waited for all the same.
        let filter = &CaseFilter { accounts: true, ..filter.clone() };
        macro_rules! waiting {
            ($engine:ty, $p:expr) => {{
                // The alerts first, and only then their cases. CROSS JOIN because SQLite keeps its order:
                // left to choose, it begins with every case there is.
                let from = format!(" FROM (SELECT id, case_id, agency_name, planned_at FROM alert WHERE phase IN ('climbing', 'ringing') ORDER BY planned_at, id LIMIT {WAITING_LOOKED_AT}) a CROSS JOIN case_line l WHERE l.id = a.case_id AND ");
                let mut q: QueryBuilder<$engine> =
                    QueryBuilder::new("SELECT l.reference, a.agency_name, a.planned_at");
                q.push(from.as_str());
                filtered!(&mut q, filter);
                q.push(" ORDER BY a.planned_at, a.id LIMIT ").push_bind(size);
                let rows = q.build_query_as().fetch_all($p).await?;
                let mut q: QueryBuilder<$engine> =
                    QueryBuilder::new("SELECT COUNT(*) FROM (SELECT 1");
                q.push(from.as_str());
                filtered!(&mut q, filter);
                q.push(" LIMIT ").push_bind(most).push(") x");
                (rows, q.build_query_scalar().fetch_one($p).await?)
            }};
        }
        if filter.areas.is_empty() {
            return Ok((Vec::new(), 0));
        }
        Ok(match self.pool() {
            super::Pool::Sqlite(p) => waiting!(Sqlite, p),
            super::Pool::Pg(p) => waiting!(Postgres, p),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Sort, bound};

    /// `PostgreSQL` holds fewer years than the mark's number can say.
    #[test]
    fn a_mark_from_no_list_of_ours_is_none() {
        for sort in [Sort::Received, Sort::Due, Sort::Died] {
            for key in [i64::MIN, -8_000_000_000_000_000_000, i64::MAX] {
                assert!(bound(sort, key).is_none());
            }
            assert!(bound(sort, 700_000).is_some());
        }
    }
}
