//! Today: what waits for a coordinator, each with a count and the first few.

use super::Service;
use super::error::ServiceError;
use super::lists::{AssignedTo, CaseQuery, ClockWish, Handed};
use crate::auth::policy::{Action, Caller, Object};
use crate::domain::civil_time;
use crate::store::{CaseFilter, Listed, Sort, WaitingRow};
use chrono::{DateTime, Days, Utc};

/// Counted no further: "1,000+" is as good as any number above.
pub const COUNTED: i64 = 1001;
/// Lines of each section.
const LINES: i64 = 5;

/// Some cases, and how many there are.
#[derive(Clone, Debug, Default)]
pub struct Section {
    pub rows: Vec<Listed>,
    pub count: i64,
}

/// What waits today.
#[derive(Clone, Debug)]
pub struct Today {
    pub now: DateTime<Utc>,
    /// New means since then.
    pub since: DateTime<Utc>,
    pub new: Section,
    /// Partners that have not acknowledged, the longest waiting first.
    pub waiting: Vec<WaitingRow>,
    pub waiting_count: i64,
    pub overdue: Section,
    pub soon: Section,
    pub undated: Section,
    /// When each draft that has waited for an hour was begun, and its area.
    pub drafts: Vec<(DateTime<Utc>, String)>,
    pub draft_count: usize,
    pub handed_to_me: Section,
    pub handed_by_me: Section,
    pub mine: i64,
}

impl Service {
    /// What waits for the caller today. Restricted cases that are not open to them are in no line
    /// and in no count.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn today(&self, caller: &Caller) -> Result<Today, ServiceError> {
        Self::allow(caller, Action::ListCases, Object::default())?;
        let now = self.now();
        let since = self.new_since(caller).await?;
        let plain = CaseQuery::default;
        let new = CaseQuery { since: Some(since), ..plain() };
        let due = |clock| CaseQuery { clock: Some(clock), sort: Sort::Due, up: true, ..plain() };
        let undated = CaseQuery { undated: true, sort: Sort::Died, up: true, ..plain() };
        let handed = |h| CaseQuery { handed: Some(h), ..plain() };
        let mine = CaseQuery { assigned: Some(AssignedTo::Me), ..plain() };
        let open_to = caller.person().map(|me| (me, now));
        let reachable = CaseFilter {
            areas: self.areas_of(caller),
            open_to: Some(open_to.unwrap_or_default()),
            ..CaseFilter::default()
        };
        let (waiting, waiting_count) =
            self.store.unacknowledged(&reachable, LINES, COUNTED).await?;
        let drafts = self.old_rows(caller).await?;
        Ok(Today {
            now,
            since,
            new: self.section(caller, new).await?,
            waiting,
            waiting_count,
            overdue: self.section(caller, due(ClockWish::Overdue)).await?,
            soon: self.section(caller, due(ClockWish::Soon)).await?,
            undated: self.section(caller, undated).await?,
            draft_count: drafts.len(),
            drafts: drafts.into_iter().take(5).map(|d| (d.started_at, d.area)).collect(),
            handed_to_me: self.section(caller, handed(Handed::ToMe)).await?,
            handed_by_me: self.section(caller, handed(Handed::ByMe)).await?,
            mine: self.count_cases(caller, &mine, COUNTED).await?,
        })
    }

    /// Since when cases are new to the caller: since they said that they have seen them, else
    /// since the last working day before today.
    ///
    /// # Errors
    /// The database is away.
    pub async fn new_since(&self, caller: &Caller) -> Result<DateTime<Utc>, ServiceError> {
        let seen = self.desk_choice(caller).await?.seen_at;
        Ok(seen.unwrap_or_else(|| self.last_working_day(caller, self.now())))
    }

    async fn section(&self, caller: &Caller, mut q: CaseQuery) -> Result<Section, ServiceError> {
        q.size = LINES;
        let listing = self.list_cases(caller, q.clone()).await?;
        // A short list has been counted already.
        let count = if listing.next.is_none() {
            i64::try_from(listing.rows.len()).unwrap_or_default()
        } else {
            self.count_cases(caller, &q, COUNTED).await?
        };
        Ok(Section { rows: listing.rows, count })
    }

    /// When the last working day before today began, for whoever has never looked.
    fn last_working_day(&self, caller: &Caller, now: DateTime<Utc>) -> DateTime<Utc> {
        let areas = self.areas_of(caller);
        let calendar = self.calendar(areas.first().map_or("", String::as_str));
        let mut day = civil_time::date_of(now);
        for _ in 0..14 {
            let Some(before) = day.checked_sub_days(Days::new(1)) else { break };
            day = before;
            if calendar.is_working_day(day) {
                break;
            }
        }
        civil_time::start_of(day)
    }
}
