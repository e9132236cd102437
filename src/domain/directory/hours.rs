//! When a contact point holds: office hours, nights, weekends, bank holidays; all in the clocks of
//! England.

use crate::domain::calendar::Calendar;
use crate::domain::civil_time;
use crate::domain::facts::words;
use chrono::{DateTime, Datelike, NaiveTime, Utc, Weekday};
use serde::{Deserialize, Serialize};

/// Weekdays that are not bank holidays, from `from` to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OfficeHours {
    pub from: NaiveTime,
    pub to: NaiveTime,
}

impl Default for OfficeHours {
    fn default() -> Self {
        let at = |h| NaiveTime::from_hms_opt(h, 0, 0).unwrap_or(NaiveTime::MIN);
        Self { from: at(9), to: at(17) }
    }
}

words!(
    /// When a contact point is used.
    When {
        Always = "always",
        OfficeHours = "office_hours",
        OutOfHours = "out_of_hours",
        /// From the office's closing to its opening, on any day.
        Night = "night",
        /// Saturday and Sunday, day and night.
        Weekend = "weekend",
        BankHoliday = "bank_holiday",
    }
);

#[allow(clippy::derivable_impls)] // the list macro has no default
impl Default for When {
    fn default() -> Self {
        Self::Always
    }
}

impl When {
    /// Whether it holds at `at`.
    #[must_use]
    pub fn holds(self, at: DateTime<Utc>, office: &OfficeHours, calendar: &Calendar) -> bool {
        let local = civil_time::local(at);
        let by_day = (office.from..office.to).contains(&local.time());
        let open = by_day && calendar.is_working_day(local.date());
        match self {
            Self::Always => true,
            Self::OfficeHours => open,
            Self::OutOfHours => !open,
            Self::Night => !by_day,
            Self::Weekend => matches!(local.weekday(), Weekday::Sat | Weekday::Sun),
            Self::BankHoliday => calendar.is_bank_holiday(local.date()),
        }
    }

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OfficeHours => "office hours",
            Self::OutOfHours => "out of hours",
            Self::Night => "at night",
            Self::Weekend => "at weekends",
            Self::BankHoliday => "on bank holidays",
        }
    }
}
