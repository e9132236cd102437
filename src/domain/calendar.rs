//! Working days in England: weekdays that are not bank holidays.
//!
//! The usual holidays are computed by rule; what a proclamation adds or moves comes from a list,
//! which configuration can extend, so a new special day needs no new release.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use std::collections::BTreeSet;

/// Bank holidays in England, with their special days.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    added: BTreeSet<NaiveDate>,
    removed: BTreeSet<NaiveDate>,
}

/// Days proclaimed for one year: (year, month, day, is a holiday).
const PROCLAIMED: [(i32, u32, u32, bool); 8] = [
    (2020, 5, 4, false), // early May moved for the 75th anniversary of VE Day
    (2020, 5, 8, true),
    (2022, 5, 30, false), // spring moved for the Platinum Jubilee
    (2022, 6, 2, true),
    (2022, 6, 3, true),
    (2022, 9, 19, true), // state funeral
    (2023, 5, 8, true),  // coronation
    (2011, 4, 29, true), // royal wedding
];

impl Calendar {
    /// The usual holidays and the proclaimed ones, with a partnership's own corrections.
    #[must_use]
    pub fn new(added: &[NaiveDate], removed: &[NaiveDate]) -> Self {
        let mut c = Self::default();
        for (y, m, d, on) in PROCLAIMED {
            if let Some(date) = NaiveDate::from_ymd_opt(y, m, d) {
                if on {
                    c.added.insert(date)
                } else {
                    c.removed.insert(date)
                };
            }
        }
        c.added.extend(added);
        c.removed.extend(removed);
        c
    }

    #[must_use]
    pub fn is_bank_holiday(&self, day: NaiveDate) -> bool {
        if self.removed.contains(&day) {
            return false;
        }
        self.added.contains(&day) || usual_holidays(day.year()).contains(&Some(day))
    }

    #[must_use]
    pub fn is_working_day(&self, day: NaiveDate) -> bool {
        !matches!(day.weekday(), Weekday::Sat | Weekday::Sun) && !self.is_bank_holiday(day)
    }

    /// The day `n` working days after `day`, which itself does not count.
    #[must_use]
    pub fn add_working_days(&self, day: NaiveDate, n: u32) -> NaiveDate {
        let mut day = day;
        let mut left = n;
        while left > 0 {
            let Some(next) = day.checked_add_days(Days::new(1)) else { return day };
            day = next;
            if self.is_working_day(day) {
                left -= 1;
            }
        }
        day
    }
}

fn usual_holidays(year: i32) -> [Option<NaiveDate>; 8] {
    let ymd = |m, d| NaiveDate::from_ymd_opt(year, m, d);
    let easter = easter_sunday(year);
    let from_easter =
        |days: i64| easter.and_then(|e| e.checked_add_signed(chrono::Duration::days(days)));
    // Christmas and Boxing Day each move to the next weekday that is neither of them.
    let (christmas, boxing) = match ymd(12, 25).map(|d| d.weekday()) {
        Some(Weekday::Fri) => (ymd(12, 25), ymd(12, 28)),
        Some(Weekday::Sat) => (ymd(12, 27), ymd(12, 28)),
        Some(Weekday::Sun) => (ymd(12, 27), ymd(12, 26)),
        _ => (ymd(12, 25), ymd(12, 26)),
    };
    let new_year = ymd(1, 1).and_then(|d| match d.weekday() {
        Weekday::Sat => ymd(1, 3),
        Weekday::Sun => ymd(1, 2),
        _ => Some(d),
    });
    [
        new_year,
        from_easter(-2),
        from_easter(1),
        NaiveDate::from_weekday_of_month_opt(year, 5, Weekday::Mon, 1),
        last_monday(year, 5),
        last_monday(year, 8),
        christmas,
        boxing,
    ]
}

fn last_monday(year: i32, month: u32) -> Option<NaiveDate> {
    NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Mon, 5)
        .or_else(|| NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Mon, 4))
}

/// Easter Sunday by the anonymous Gregorian computus.
fn easter_sunday(year: i32) -> Option<NaiveDate> {
    let a = year % 19;
    let (b, c) = (year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19) % 32;
    NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
}
