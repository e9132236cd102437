//! Days and times as people type them into spreadsheets.

use super::shown;
use chrono::{Datelike, Month, NaiveDate, NaiveTime, Weekday};

/// A day, and a time if one is given: `2026-11-30`, `30/11/2026`, `30-Nov-2026`,
/// `Mon 30 Nov 2026`, each perhaps with ` 09:00` (or `T09:00`) after it.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn read(text: &str) -> Result<(NaiveDate, Option<NaiveTime>), String> {
    // A T between digits separates; elsewhere it begins a Tuesday.
    let cut = match text.split_once('T') {
        Some((day, time))
            if day.ends_with(|c: char| c.is_ascii_digit())
                && time.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            format!("{day} {time}")
        }
        _ => text.replace(',', " "),
    };
    let mut words: Vec<&str> = cut.split_whitespace().collect();
    let weekday = words.first().and_then(|w| weekday(w));
    if weekday.is_some() {
        words.remove(0);
    }
    let (date, used) = match words.as_slice() {
        [d, m, y, ..] if d.bytes().all(|b| b.is_ascii_digit()) && !m.contains(':') => {
            (named(d, m, y), 3)
        }
        [one, ..] => (single(one), 1),
        [] => (None, 0),
    };
    let Some(date) = date else {
        return Err(format!(
            "“{}” is not a day: write 2026-11-30, 30/11/2026 or Mon 30 Nov 2026.",
            shown(text)
        ));
    };
    if let Some(wrong) = weekday.filter(|w| *w != date.weekday()) {
        return Err(format!(
            "{} is not a {wrong} but a {}.",
            date.format("%-d %B %Y"),
            date.weekday()
        ));
    }
    match words.get(used..).unwrap_or_default() {
        [] => Ok((date, None)),
        [time] => match time_of_day(time) {
            Some(t) => Ok((date, Some(t))),
            None => Err(format!("“{}” is not a time: write 09:00.", shown(time))),
        },
        _ => Err(format!("“{}” has more in it than a day and a time.", shown(text))),
    }
}

fn weekday(word: &str) -> Option<Weekday> {
    let word = word.trim_end_matches('.');
    word.parse().ok().or_else(|| match word.to_lowercase().as_str() {
        "tues" => Some(Weekday::Tue),
        "weds" => Some(Weekday::Wed),
        "thur" | "thurs" => Some(Weekday::Thu),
        _ => None,
    })
}

fn single(word: &str) -> Option<NaiveDate> {
    let parts = |c| word.split(c).collect::<Vec<_>>();
    match (parts('-').as_slice(), parts('/').as_slice()) {
        ([y, m, d], _) if y.len() == 4 => day(number(y, 4)?, number(m, 2)?, number(d, 2)?),
        ([d, m, y], _) => named(d, m, y),
        (_, [d, m, y]) => day(number(y, 4).filter(|_| y.len() == 4)?, number(m, 2)?, number(d, 2)?),
        _ => None,
    }
}

fn named(d: &str, month: &str, y: &str) -> Option<NaiveDate> {
    let month = if month.eq_ignore_ascii_case("sept") { "sep" } else { month };
    let month: Month = month.trim_end_matches('.').parse().ok()?;
    day(number(y, 4).filter(|_| y.len() == 4)?, month.number_from_month(), number(d, 2)?)
}

fn day(y: u32, m: u32, d: u32) -> Option<NaiveDate> {
    let y = i32::try_from(y).ok().filter(|y| (2000..=2200).contains(y))?;
    NaiveDate::from_ymd_opt(y, m, d)
}

fn number(text: &str, most: usize) -> Option<u32> {
    let plain = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// `9:00`, `09:00` or `09:00:00`.
pub(super) fn time_of_day(text: &str) -> Option<NaiveTime> {
    let parts: Vec<&str> = text.split(':').collect();
    let (h, m, s) = match parts.as_slice() {
        [h, m] => (h, m, "00"),
        [h, m, s] => (h, m, *s),
        _ => return None,
    };
    let two = |t: &str| number(t, 2).filter(|_| t.len() == 2);
    NaiveTime::from_hms_opt(number(h, 2)?, two(m)?, two(s)?)
}
