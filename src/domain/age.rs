//! Age at death, to the day.

use chrono::{Datelike, Months, NaiveDate};
use serde::{Deserialize, Serialize};

/// Whole years, months and days between two dates, and the total in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Age {
    pub years: u32,
    pub months: u32,
    pub days: u32,
    pub total_days: i64,
}

/// The age on `on` of someone born on `born`; none if `on` is earlier.
#[must_use]
pub fn at(born: NaiveDate, on: NaiveDate) -> Option<Age> {
    let total_days = (on - born).num_days();
    if total_days < 0 {
        return None;
    }
    let mut months =
        u32::try_from((on.year() - born.year()) * 12).ok()? + on.month() - born.month();
    while months > 0 && month_day(born, months)? > on {
        months -= 1;
    }
    let since = month_day(born, months)?;
    let days = u32::try_from((on - since).num_days()).ok()?;
    Some(Age { years: months / 12, months: months % 12, days, total_days })
}

/// Whether someone born on `born` has had their 18th birthday on `on`. Someone born on 29 February
/// turns 18 on 1 March when the year has no 29 February: an age is attained when the anniversary
/// begins, and before 1 March it has not.
#[must_use]
pub fn is_adult(born: NaiveDate, on: NaiveDate) -> bool {
    at(born, on).is_some_and(|a| a.years >= 18)
}

/// The day on which `n` whole months have passed. A day that the month does not have becomes the
/// first of the next one.
fn month_day(born: NaiveDate, n: u32) -> Option<NaiveDate> {
    let clamped = born.checked_add_months(Months::new(n))?;
    if clamped.day() == born.day() { Some(clamped) } else { clamped.succ_opt() }
}

/// The published age bands (code list `age_group`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    pub code: &'static str,
    pub label: &'static str,
}

/// The band of an age at death; none from 18 years.
#[must_use]
pub fn band(age: Age) -> Option<Band> {
    let (code, label) = match (age.total_days, age.years) {
        (0..28, _) => ("0_27D", "0-27 days"),
        (_, 0) => ("28_364D", "28-364 days"),
        (_, 1..=4) => ("1_4Y", "1-4 years"),
        (_, 5..=9) => ("5_9Y", "5-9 years"),
        (_, 10..=14) => ("10_14Y", "10-14 years"),
        (_, 15..=17) => ("15_17Y", "15-17 years"),
        _ => return None,
    };
    Some(Band { code, label })
}

/// Codes of the bands, youngest first.
pub const BANDS: [&str; 6] = ["0_27D", "28_364D", "1_4Y", "5_9Y", "10_14Y", "15_17Y"];

/// The label of a band's code, or "age not known".
#[must_use]
pub fn band_label(code: Option<&str>) -> &'static str {
    match code {
        Some("0_27D") => "0-27 days",
        Some("28_364D") => "28-364 days",
        Some("1_4Y") => "1-4 years",
        Some("5_9Y") => "5-9 years",
        Some("10_14Y") => "10-14 years",
        Some("15_17Y") => "15-17 years",
        _ => "age not known",
    }
}
