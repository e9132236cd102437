//! The hours in which a rotation holds.

use crate::domain::calendar::Calendar;
use crate::domain::civil_time;
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc, Weekday};
use serde::{Deserialize, Serialize};

/// When a rotation holds. The default is always.
///
/// A window that passes midnight belongs to the day it begins on: Friday's 17:00 to 09:00 ends on
/// Saturday morning.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Window {
    /// Days it begins on; none named means every day.
    pub weekdays: Vec<Weekday>,
    /// Local time it begins; midnight if not given.
    pub from: Option<NaiveTime>,
    /// Local time it ends, exclusive; the next midnight if not given. Not after `from`: the next
    /// day, so equal times are a full day.
    pub to: Option<NaiveTime>,
    pub bank_holidays: BankHolidays,
    /// Turned inside out: holds whenever the rest of the window does not. Out of hours is this
    /// over office hours.
    pub outside: bool,
}

/// What bank holidays are to a window.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
pub enum BankHolidays {
    /// Days like any other.
    #[default]
    Included,
    Excluded,
    /// No other day counts.
    Only,
}

impl Window {
    /// Working days between two local times.
    #[must_use]
    pub fn office_hours(from: NaiveTime, to: NaiveTime) -> Self {
        use Weekday::{Fri, Mon, Thu, Tue, Wed};
        Self {
            weekdays: vec![Mon, Tue, Wed, Thu, Fri],
            from: Some(from),
            to: Some(to),
            bank_holidays: BankHolidays::Excluded,
            outside: false,
        }
    }

    /// Every hour that is not an office hour.
    #[must_use]
    pub fn out_of_hours(from: NaiveTime, to: NaiveTime) -> Self {
        Self { outside: true, ..Self::office_hours(from, to) }
    }

    /// Whether it holds at every hour of every day.
    #[must_use]
    pub fn is_always(&self) -> bool {
        !self.outside && self.fills_all()
    }

    /// Whether it holds at no hour at all.
    #[must_use]
    pub fn is_never(&self) -> bool {
        self.outside && self.fills_all()
    }

    fn fills_all(&self) -> bool {
        let all_week = self.weekdays.is_empty()
            || (0..7).all(|n| self.weekdays.iter().any(|d| d.num_days_from_monday() == n));
        all_week
            && self.bank_holidays == BankHolidays::Included
            && self.from.unwrap_or_default() == self.to.unwrap_or_default()
    }

    /// Whether it holds at an instant.
    #[must_use]
    pub fn holds(&self, calendar: &Calendar, at: DateTime<Utc>) -> bool {
        if self.is_always() {
            return true;
        }
        let today = civil_time::date_of(at);
        // Yesterday's window may still be open.
        let inside = [Some(today), today.pred_opt()].into_iter().flatten().any(|day| {
            self.begins_on(calendar, day)
                && self.span(day).is_some_and(|(from, to)| from <= at && at < to)
        });
        inside != self.outside
    }

    fn begins_on(&self, calendar: &Calendar, day: NaiveDate) -> bool {
        let holiday = || calendar.is_bank_holiday(day);
        (self.weekdays.is_empty() || self.weekdays.contains(&day.weekday()))
            && match self.bank_holidays {
                BankHolidays::Included => true,
                BankHolidays::Excluded => !holiday(),
                BankHolidays::Only => holiday(),
            }
    }

    /// The instants between which the window of one day is open, if it is open that day.
    pub(super) fn span(&self, day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let (from, to) = (self.from.unwrap_or_default(), self.to.unwrap_or_default());
        let last = if to <= from { day.succ_opt()? } else { day };
        Some((civil_time::earliest(day.and_time(from)), civil_time::earliest(last.and_time(to))))
    }
}
