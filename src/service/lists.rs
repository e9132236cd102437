//! Lists of cases: what they are asked for, and what of them a caller may see.

use super::Service;
use super::error::ServiceError;
use crate::auth::policy::{Action, Caller, Object, Who, over_for};
use crate::domain::age;
use crate::domain::civil_time;
use crate::domain::id::CaseId;
use crate::domain::likeness;
use crate::store::{CaseFilter, Listed, Mark, Page, Sort, wait_bit};
use chrono::{DateTime, Days, Duration, NaiveDate, Utc};
use uuid::Uuid;

/// Words of a searched name that count.
const WORDS: usize = 6;

/// A clock that ran out, or does within seven days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockWish {
    Overdue,
    Soon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignedTo {
    Me,
    Nobody,
    Person(Uuid),
}

/// A hand-over that has not been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    ToMe,
    ByMe,
}

/// What a list of cases is asked for.
#[allow(clippy::struct_excessive_bools)] // filters that are independent of each other
#[derive(Clone, Debug, Default)]
pub struct CaseQuery {
    pub stage: Option<String>,
    pub jar: Option<String>,
    pub ready: Option<bool>,
    /// Part of a reference.
    pub reference: Option<String>,
    /// Exactly these; all of them, if there are none.
    pub references: Vec<String>,
    /// A name or NHS number; never from a URL.
    pub person: Option<String>,
    pub area: Option<String>,
    /// Code of an age band, or `unknown`.
    pub age: Option<String>,
    pub category: Option<i64>,
    pub received_from: Option<NaiveDate>,
    pub received_to: Option<NaiveDate>,
    /// Received at or after this instant.
    pub since: Option<DateTime<Utc>>,
    pub died_from: Option<NaiveDate>,
    pub died_to: Option<NaiveDate>,
    pub clock: Option<ClockWish>,
    /// Code of something it waits for.
    pub waits: Option<String>,
    /// Waits, and nobody has said until when.
    pub undated: bool,
    pub unacknowledged: bool,
    pub assigned: Option<AssignedTo>,
    pub handed: Option<Handed>,
    pub sort: Sort,
    /// Smallest first.
    pub up: bool,
    pub after: Option<Mark>,
    /// The page before the mark.
    pub back: bool,
    pub size: i64,
}

/// A page of cases and where its neighbours begin.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub rows: Vec<Listed>,
    pub next: Option<Mark>,
    pub previous: Option<Mark>,
}

/// What an order is called, and whether it runs upwards when nobody says: `days` since death are
/// the days of death, the other way round.
#[must_use]
pub fn order_of(word: &str, order: &str) -> Option<(Sort, bool)> {
    let up = match order {
        "asc" => Some(true),
        "desc" => Some(false),
        "" => None,
        _ => return None,
    };
    Some(match word {
        "" | "received" => (Sort::Received, up.unwrap_or(false)),
        "died" => (Sort::Died, up.unwrap_or(true)),
        "days" => (Sort::Died, !up.unwrap_or(false)),
        "age" => (Sort::Age, up.unwrap_or(true)),
        "stage" => (Sort::Stage, up.unwrap_or(true)),
        "due" => (Sort::Due, up.unwrap_or(true)),
        _ => return None,
    })
}

impl CaseQuery {
    /// Whether which cases are shown, or in which order, says anything about one of them. Then
    /// restricted ones are left out; where nothing was asked they are listed by their reference.
    fn asks(&self) -> bool {
        self.stage.is_some()
            || self.jar.is_some()
            || self.ready.is_some()
            || !self.references.is_empty()
            || self.person.is_some()
            || self.area.is_some()
            || self.age.is_some()
            || self.category.is_some()
            || self.received_from.is_some()
            || self.received_to.is_some()
            || self.since.is_some()
            || self.died_from.is_some()
            || self.died_to.is_some()
            || self.clock.is_some()
            || self.waits.is_some()
            || self.undated
            || self.unacknowledged
            || self.assigned.is_some()
            || self.handed.is_some()
            || self.sort != Sort::Received
    }
}

impl Service {
    /// A page of cases and where its neighbours begin.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn list_cases(&self, caller: &Caller, q: CaseQuery) -> Result<Listing, ServiceError> {
        Self::allow(caller, Action::ListCases, Object::default())?;
        let Some(filter) = self.filter(caller, &q) else { return Ok(Listing::default()) };
        let by_person = !filter.lookups.is_empty();
        if by_person {
            self.note(caller, "search", None).await?;
        }
        let size = q.size.clamp(1, 500);
        let page = Page { sort: q.sort, up: q.up, after: q.after, back: q.back, size: size + 1 };
        let mut rows = self.store.list(&filter, &page).await?;
        let more = rows.len() > usize::try_from(size).unwrap_or(usize::MAX);
        if more && q.back {
            rows.remove(0);
        } else if more {
            rows.pop();
        }
        let (after, before) =
            if q.back { (q.after.is_some(), more) } else { (more, q.after.is_some()) };
        let next = rows.last().filter(|_| after).map(|r| r.mark(q.sort));
        let previous = rows.first().filter(|_| before).map(|r| r.mark(q.sort));
        if by_person {
            // That a name belongs to a case is said of each.
            let hit = |r: &Listed| self.audit_row(caller, "search_hit", CaseId(r.id), "search");
            self.store.audit_all(rows.iter().map(hit).collect()).await?;
        }
        self.hide_restricted(caller, &mut rows).await?;
        Ok(Listing { rows, next, previous })
    }

    /// How many cases match, counted no further than `most`. Not for searches by person.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn count_cases(
        &self,
        caller: &Caller,
        q: &CaseQuery,
        most: i64,
    ) -> Result<i64, ServiceError> {
        Self::allow(caller, Action::ListCases, Object::default())?;
        match self.filter(caller, q) {
            Some(filter) => Ok(self.store.count(&filter, most).await?),
            None => Ok(0),
        }
    }

    /// What the store is asked; none if nothing can match.
    pub(super) fn filter(&self, caller: &Caller, q: &CaseQuery) -> Option<CaseFilter> {
        let (mut lookups, mut words) = (Vec::new(), Vec::new());
        if let Some(p) = &q.person {
            for kind in ["nhs_number", "name"] {
                lookups.extend(self.store.lookup_digest(kind, p));
            }
            let each = likeness::searched(p).into_iter().take(WORDS);
            words.extend(each.filter_map(|w| self.store.lookup_digest("like_name", &w)));
            if lookups.is_empty() {
                return None;
            }
        }
        let now = self.now();
        let today = civil_time::date_of(now);
        let me = caller.person().unwrap_or_default();
        let hides = q.asks() && !matches!(caller.who, Who::Operator);
        let mut areas = self.areas_of(caller);
        if let Some(area) = &q.area {
            areas.retain(|a| a == area);
        }
        let age = match q.age.as_deref() {
            None => None,
            Some("unknown") => Some(None),
            Some(code) => {
                let rank = age::BANDS.iter().position(|b| *b == code)?;
                Some(Some(i64::try_from(rank).ok()?))
            }
        };
        let start = |d: NaiveDate| civil_time::start_of(d);
        let next_day = |d: NaiveDate| d.checked_add_days(Days::new(1)).map(start);
        let from = q.received_from.map(start).into_iter().chain(q.since).max();
        let (due_from, due_before) = match q.clock {
            None => (None, None),
            Some(ClockWish::Overdue) => (None, Some(now)),
            Some(ClockWish::Soon) => (Some(now), Some(now + Duration::days(7))),
        };
        Some(CaseFilter {
            open_to: hides.then_some((me, now)),
            areas,
            stage: q.stage.clone(),
            over: over_for(caller).iter().map(|s| s.word()).collect(),
            jar: q.jar.clone(),
            ready: q.ready,
            reference: q.reference.clone(),
            references: q.references.clone(),
            lookups,
            words,
            age,
            category: q.category,
            received: (from, q.received_to.and_then(next_day)),
            died: (q.died_from, q.died_to),
            due_from,
            due_before,
            waits: q.waits.as_deref().map(wait_bit),
            undated: q.undated.then_some(today),
            unacknowledged: q.unacknowledged,
            accounts: q.unacknowledged,
            assigned: match (q.assigned, q.handed) {
                (_, Some(Handed::ToMe)) | (Some(AssignedTo::Me), _) => Some(Some(me)),
                (Some(AssignedTo::Nobody), _) => Some(None),
                (Some(AssignedTo::Person(id)), _) => Some(Some(id)),
                (None, _) => None,
            },
            handed: q.handed.is_some(),
            handed_by: matches!(q.handed, Some(Handed::ByMe)).then_some(me),
        })
    }
}
