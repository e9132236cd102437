//! Small phrases that several of the pages use.

use crate::alerts::phone;
use crate::domain::civil_time::{self, Reading};
use crate::domain::directory::When;
use crate::web::form::Form;
use chrono::{DateTime, NaiveDateTime, Utc};

use super::fields::Said;

/// "Wed 25 Nov, 09:00", as clocks in England show it.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    civil_time::local(at).format("%a %-d %b, %H:%M").to_string()
}

/// "25 November 2026, 09:00".
pub(super) fn local(at: NaiveDateTime) -> String {
    at.format("%-d %B %Y, %H:%M").to_string()
}

/// The choices of hours for a select.
pub(super) fn whens() -> Vec<(String, String)> {
    let label = |w: &&'static str| When::parse(w).map(When::label).unwrap_or_default();
    When::WORDS.iter().map(|w| ((*w).to_owned(), capital(label(w)))).collect()
}

pub(super) fn capital(text: &str) -> String {
    let mut c = text.chars();
    c.next().map_or_else(String::new, |f| f.to_uppercase().chain(c).collect())
}

/// "a, b and c".
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [start @ .., last] => format!("{} and {last}", start.join(", ")),
    }
}

/// A text that has to be there.
pub(super) fn required(form: &Form, field: &str, what: &str, said: &mut Vec<Said>) -> String {
    let text = form.get(field);
    if text.is_empty() {
        said.push(Said::new(field, &format!("enter {what}")));
    }
    text.to_owned()
}

/// A telephone number, kept as typed if it can be dialled.
pub(super) fn number(form: &Form, field: &str, said: &mut Vec<Said>) -> String {
    let text = form.get(field);
    if let Err(why) = phone::normalise(text) {
        said.push(Said::new(field, &why.to_string()));
    }
    text.to_owned()
}

/// A date and a time of two fields as a time that clocks in England show.
pub(super) fn date_time(
    form: &Form,
    date: &str,
    time: &str,
    said: &mut Vec<Said>,
) -> Option<NaiveDateTime> {
    let day = civil_time::parse_day(form.get(date));
    if day.is_none() {
        said.push(Said::new(date, "enter a day, for example 2026-11-30"));
    }
    let clock = civil_time::parse_time(form.get(time));
    if clock.is_none() {
        said.push(Said::new(time, "enter a time, for example 09:00"));
    }
    let at = day?.and_time(clock?);
    if let Reading::Never { first_after, .. } = civil_time::read(at.date(), at.time()) {
        let first = first_after.format("%H:%M");
        said.push(Said::new(
            time,
            &format!("the clocks go forward over this time; the first after it is {first}"),
        ));
        return None;
    }
    Some(at)
}

/// A whole number within bounds.
pub(super) fn whole(
    form: &Form,
    field: &str,
    (least, most): (u32, u32),
    said: &mut Vec<Said>,
) -> Option<u32> {
    let n = form.get(field).parse().ok().filter(|n| (least..=most).contains(n));
    if n.is_none() {
        said.push(Said::new(field, &format!("enter a whole number from {least} to {most}")));
    }
    n
}

/// Minutes, with a part of one if need be, as seconds.
pub(super) fn minutes(form: &Form, field: &str, said: &mut Vec<Said>) -> Option<u32> {
    let seconds = read_minutes(form.get(field));
    if seconds.is_none() {
        said.push(Said::new(field, "enter minutes, for example 3 or 0.5"));
    }
    seconds
}

fn read_minutes(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.len() <= 5 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || (whole.is_empty() && part.is_empty()) || part.len() > 2 {
        return None;
    }
    let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let hundredths: u32 = format!("{part:0<2}").parse().ok()?;
    Some(whole * 60 + (hundredths * 60).div_ceil(100))
}

/// Seconds as such minutes.
pub(super) fn as_minutes(seconds: u32) -> String {
    if seconds.is_multiple_of(60) {
        return (seconds / 60).to_string();
    }
    let hundredths = seconds % 60 * 100 / 60;
    format!("{}.{hundredths:02}", seconds / 60).trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_come_back_as_they_were() {
        for s in [0, 30, 45, 50, 60, 61, 90, 180, 359, 86_400] {
            assert_eq!(read_minutes(&as_minutes(s)), Some(s), "{s}");
        }
        for wrong in ["", ".", "-1", "3 min", "1,5", "1.555", "999999"] {
            assert_eq!(read_minutes(wrong), None, "{wrong}");
        }
    }
}
