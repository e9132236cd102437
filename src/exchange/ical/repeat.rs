//! Repeating events, unrolled within bounds.
//!
//! A rule is unrolled on the wall clock of its zone: a turn that begins at nine begins at nine on
//! both sides of a clock change. Only rules that a rota can need are taken, because some others
//! search for centuries before they find no date.

use super::moment::{self, Moment};
use super::{MAX_DAYS_AHEAD, MAX_OCCURRENCES};
use crate::exchange::shown;
use chrono::{Duration, NaiveDateTime, TimeZone, Weekday};
use rrule::{Frequency, NWeekday, RRule, Tz, Unvalidated};
use std::collections::BTreeSet;

/// The longest rule read, in characters.
const MAX_RULE: usize = 200;
/// A rule silent for so long is one that searches.
const SILENT_DAYS: i64 = 5 * 366;

/// What one calendar may still cost.
pub(super) struct Budget {
    /// Occurrences given out.
    occurrences: usize,
    /// Dates looked at, also those past.
    steps: u32,
    /// Rules that search for long.
    silent: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { occurrences: MAX_OCCURRENCES, steps: 100_000, silent: 3 }
    }
}

impl Budget {
    /// Takes so many occurrences, if there are as many left.
    pub fn take(&mut self, occurrences: usize) -> Result<(), String> {
        self.occurrences = self.occurrences.checked_sub(occurrences).ok_or_else(too_much)?;
        Ok(())
    }
}

fn too_much() -> String {
    "The calendar repeats too much: this event is left out.".to_owned()
}

/// What is asked of a rule.
pub(super) struct Asked<'a> {
    pub rule: &'a str,
    pub start: Moment,
    /// How long an occurrence lasts on the clock.
    pub lasts: Duration,
    /// Local starts that are left out.
    pub except: &'a BTreeSet<NaiveDateTime>,
    /// Now, local to the event: what is over by then is left out.
    pub now: NaiveDateTime,
}

/// Local starts, and a sentence if the rule goes on after the last.
#[derive(Debug)]
pub(super) struct Unrolled {
    pub starts: Vec<NaiveDateTime>,
    pub cut: Option<String>,
}

/// # Errors
/// A sentence: a rule that is not understood, or too much for one calendar.
pub(super) fn unroll(asked: &Asked, budget: &mut Budget) -> Result<Unrolled, String> {
    let rule = rule(asked)?;
    if budget.occurrences == 0 || budget.steps == 0 || budget.silent == 0 {
        return Err(too_much());
    }
    let endless = rule.until.is_none() && rule.count.is_none();
    let start = Tz::UTC.from_utc_datetime(&asked.start.local);
    let set = rule.built.build(start).map_err(|_| not_understood(asked.rule))?.limit();
    let last = asked.now + Duration::days(MAX_DAYS_AHEAD);
    let mut out = Unrolled { starts: Vec::new(), cut: None };
    let mut before = asked.start.local;
    let mut any = false;
    for at in &set {
        let at = at.naive_utc();
        any = true;
        if at - before > Duration::days(SILENT_DAYS) {
            budget.silent = budget.silent.saturating_sub(1);
        }
        before = at;
        if rule.until.is_some_and(|u| at > u) {
            break;
        }
        if at > last {
            let how = if endless { "without end" } else { "for long" };
            out.cut = Some(format!(
                "The event repeats {how}; it is read for {MAX_DAYS_AHEAD} days ahead."
            ));
            break;
        }
        if budget.occurrences == 0 || budget.steps == 0 || budget.silent == 0 {
            out.cut = Some(format!(
                "The calendar repeats too much: not all of this event is read, and at most \
                 {MAX_OCCURRENCES} occurrences in all."
            ));
            break;
        }
        budget.steps -= 1;
        if at + asked.lasts > asked.now && !asked.except.contains(&at) {
            budget.occurrences -= 1;
            out.starts.push(at);
        }
    }
    if !any {
        budget.silent -= 1;
        return Err("The event's rule gives no date at all.".to_owned());
    }
    Ok(out)
}

fn not_understood(rule: &str) -> String {
    format!("The rule “{}” is not understood.", shown(rule))
}

struct Rule {
    built: RRule<Unvalidated>,
    count: Option<u32>,
    /// Local and inclusive.
    until: Option<NaiveDateTime>,
}

fn rule(asked: &Asked) -> Result<Rule, String> {
    let wrong = || not_understood(asked.rule);
    if asked.rule.len() > MAX_RULE {
        return Err(wrong());
    }
    let text = asked.rule.trim().to_ascii_uppercase();
    let mut parts = Vec::new();
    for part in text.split(';').filter(|p| !p.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(wrong)?;
        if parts.iter().any(|(n, _)| *n == name) {
            return Err(wrong());
        }
        parts.push((name, value));
    }
    let get = |name: &str| parts.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let interval: u16 = get("INTERVAL").map_or(Ok(1), |v| number(v).ok_or_else(wrong))?;
    if !(1..=400).contains(&interval) {
        return Err(wrong());
    }
    let (frequency, may): (_, &[&str]) = match get("FREQ").ok_or_else(wrong)? {
        // With an interval, days of the week may never be met.
        "DAILY" if interval == 1 => (Frequency::Daily, &["BYDAY", "BYMONTH"]),
        "DAILY" => (Frequency::Daily, &[]),
        "WEEKLY" => (Frequency::Weekly, &["BYDAY"]),
        "MONTHLY" => (Frequency::Monthly, &["BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"]),
        "YEARLY" => (Frequency::Yearly, &["BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"]),
        _ => return Err("An event that repeats more than daily is not a rota's.".to_owned()),
    };
    let mut built = RRule::new(frequency).interval(interval);
    let mut rule_count = None;
    let mut until = None;
    for (name, value) in &parts {
        match *name {
            "FREQ" | "INTERVAL" => {}
            "COUNT" => {
                let n = number(value).filter(|n| *n > 0).ok_or_else(wrong)?;
                rule_count = Some(n);
                built = built.count(n);
            }
            "UNTIL" => until = Some(last(value, asked.start)?),
            "WKST" => built = built.week_start(weekday(value).ok_or_else(wrong)?),
            other if !may.contains(&other) => return Err(wrong()),
            "BYDAY" => built = built.by_weekday(list(value, nth_weekday).ok_or_else(wrong)?),
            "BYMONTHDAY" => built = built.by_month_day(list(value, number).ok_or_else(wrong)?),
            "BYSETPOS" => built = built.by_set_pos(list(value, number).ok_or_else(wrong)?),
            "BYMONTH" => {
                let month = |v: &str| chrono::Month::try_from(number::<u8>(v)?).ok();
                built = built.by_month(&list(value, month).ok_or_else(wrong)?);
            }
            _ => return Err(wrong()),
        }
    }
    Ok(Rule { built, count: rule_count, until })
}

/// The last local time a rule may give.
fn last(value: &str, start: Moment) -> Result<NaiveDateTime, String> {
    let utc = value.ends_with('Z');
    let until = moment::read(value, None)?;
    Ok(if until.whole_day {
        until.local + Duration::seconds(86_399)
    } else if utc {
        until.local_in(start.zone)
    } else {
        until.local
    })
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.trim_start_matches('+').parse().ok()
}

fn list<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|v| one(v.trim())).collect()
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    })
}

/// `MO`, or `1MO` and `-1MO` for the first and last.
fn nth_weekday(text: &str) -> Option<NWeekday> {
    let (n, day) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let n = if n.is_empty() { None } else { Some(number(n).filter(|n| (-53..=53).contains(n))?) };
    Some(NWeekday::new(n, weekday(day)?))
}
