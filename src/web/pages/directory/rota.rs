//! Who is on at one agency: day by day, the rotations and covers it is made of, and the answer to
//! "who is on at …?". Also as a calendar file.

use super::desk::Desk;
use super::words::{self, moment};
use crate::domain::calendar::Calendar;
use crate::domain::civil_time::{self, Reading};
use crate::domain::directory::Agency;
use crate::domain::rota::{self, BankHolidays, CoverKind, OnDuty, Rota, Rotation, Shift, Window};
use crate::exchange::ical;
use crate::service::{GAP_DAYS, ServiceError};
use crate::web::Web;
use crate::web::pages::failed;
use crate::web::request;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Days, Duration, NaiveTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// How far the calendar file reaches back and ahead, in days.
const CALENDAR_DAYS: (i64, i64) = (28, 180);

/// Somebody's name, or the id if they are gone.
pub(super) fn name(a: &Agency, id: &str) -> String {
    a.person(id).map_or_else(|| id.to_owned(), |p| p.name.clone())
}

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let desk = match Desk::read(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let calendar = web.service.calendar(&area);
    let now = web.service.clock.now();
    // An agency's id may itself end so; the page comes first then.
    if desk.area.agency(&id).is_none()
        && let Some(a) = id.strip_suffix(".ics").and_then(|id| desk.area.agency(id))
    {
        return file(a, &calendar, now);
    }
    let a = match desk.agency(&web, &id) {
        Ok(a) => a,
        Err(r) => return r,
    };
    let query = request::query(query.as_deref());
    let mut own = json!({
        "agency": { "id": a.id, "name": a.name },
        "people": a.people.len(),
        "saved": query.get("saved").and_then(|v| v.parse::<i64>().ok()).filter(|v| *v == desk.version),
        "undo": desk.version - 1,
        "asked": { "date": query.get("date"), "time": query.get("time") },
    });
    if let Some(r) = &a.rota {
        own["rota"] = json!({
            "days": days(a, r, &calendar, now),
            "rotations": r.rotations.iter().map(|x| rotation(a, x)).collect::<Vec<_>>(),
            "covers": covers(a, r, now),
        });
        own["answer"] = json!(answer(a, r, &calendar, &query));
    }
    web.templates.page(StatusCode::OK, "directory/rota.html", desk.context(own))
}

fn file(a: &Agency, calendar: &Calendar, now: DateTime<Utc>) -> Response {
    let names: BTreeMap<String, String> =
        a.people.iter().map(|p| (p.id.clone(), p.name.clone())).collect();
    let range = (now - Duration::days(CALENDAR_DAYS.0), now + Duration::days(CALENDAR_DAYS.1));
    let empty = Rota { id: a.id.clone(), name: a.name.clone(), ..Rota::default() };
    let text = ical::write(a.rota.as_ref().unwrap_or(&empty), calendar, range, &names, now);
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"rota-{}.ics\"", a.id)),
    ];
    (headers, text).into_response()
}

/// Every day with who is on in it, in order; gaps in words.
fn days(a: &Agency, r: &Rota, calendar: &Calendar, now: DateTime<Utc>) -> Vec<Value> {
    let first = civil_time::date_of(now);
    let start = civil_time::start_of(first);
    let end = civil_time::start_of(first + Days::new(u64::from(GAP_DAYS)));
    let shifts = rota::shifts(r, calendar, start, end);
    (0..u64::from(GAP_DAYS))
        .map(|n| {
            let day = first + Days::new(n);
            let (from, to) = (civil_time::start_of(day), civil_time::start_of(day + Days::new(1)));
            let parts: Vec<Value> = shifts
                .iter()
                .filter(|s| s.from < to && s.to > from)
                .map(|s| part(a, s, from, to))
                .collect();
            json!({
                "day": day.format("%A %-d %B").to_string(),
                "holiday": calendar.is_bank_holiday(day),
                "today": n == 0,
                "parts": parts,
            })
        })
        .collect()
}

fn part(a: &Agency, s: &Shift, from: DateTime<Utc>, to: DateTime<Utc>) -> Value {
    let clock = |at| civil_time::local(at).format("%H:%M").to_string();
    let hours = match (s.from > from, s.to < to) {
        (false, false) => "all day".to_owned(),
        (true, false) => format!("from {}", clock(s.from)),
        (false, true) => format!("until {}", clock(s.to)),
        (true, true) => format!("{} to {}", clock(s.from), clock(s.to)),
    };
    json!({ "hours": hours, "person": s.person.as_ref().map(|p| name(a, p)) })
}

/// A rotation as a sentence.
fn rotation(a: &Agency, r: &Rotation) -> Value {
    let names: Vec<String> = r.people.iter().map(|p| name(a, p)).collect();
    let every = match r.every_days {
        1 => "every day".to_owned(),
        7 => "every week".to_owned(),
        n if n % 7 == 0 => format!("every {} weeks", n / 7),
        n => format!("every {n} days"),
    };
    let until = r.until.map_or_else(String::new, |u| format!(", until {}", u.format("%-d %B %Y")));
    let starts = r.starts.format("%-d %B %Y");
    let handover = r.handover.format("%H:%M");
    json!({
        "id": r.id,
        "rank": r.rank,
        "words": format!(
            "{}: in this order, changing {every} at {handover}, from {starts}{until}; {}",
            names.join(", then "),
            window(&r.only),
        ),
    })
}

/// The hours of a rotation in words.
pub(super) fn window(w: &Window) -> String {
    if w.is_always() {
        return "day and night".to_owned();
    }
    let days = if w.weekdays.is_empty() || w.weekdays.len() == 7 {
        "every day".to_owned()
    } else {
        let names: Vec<String> = w.weekdays.iter().map(ToString::to_string).collect();
        words::list(&names)
    };
    let clock = |t: Option<NaiveTime>| t.unwrap_or_default().format("%H:%M").to_string();
    let hours = if w.from.unwrap_or_default() == w.to.unwrap_or_default() {
        String::new()
    } else {
        format!(" {} to {}", clock(w.from), clock(w.to))
    };
    let holidays = match w.bank_holidays {
        BankHolidays::Included => "",
        BankHolidays::Excluded => ", not on bank holidays",
        BankHolidays::Only => ", on bank holidays only",
    };
    let outside = if w.outside { "at all hours except " } else { "" };
    format!("{outside}{days}{hours}{holidays}")
}

/// The covers that are not over, with their place in the document.
fn covers(a: &Agency, r: &Rota, now: DateTime<Utc>) -> Vec<Value> {
    let local = civil_time::local(now);
    let mut all: Vec<_> = r.covers.iter().enumerate().filter(|(_, c)| c.to > local).collect();
    all.sort_by_key(|(_, c)| c.from);
    all.into_iter()
        .map(|(n, c)| {
            json!({
                "n": n,
                "person": name(a, &c.person),
                "from": words::local(c.from),
                "to": words::local(c.to),
                "kind": match c.kind {
                    CoverKind::Override => "change",
                    CoverKind::Swap => "swap",
                    CoverKind::Cover => "stands in",
                },
                "note": c.note,
            })
        })
        .collect()
}

/// "Who is on at …?", if it was asked.
fn answer(
    a: &Agency,
    r: &Rota,
    calendar: &Calendar,
    query: &HashMap<String, String>,
) -> Option<Value> {
    let asked = |k: &str| query.get(k).map(|v| v.trim()).filter(|v| !v.is_empty());
    let (date, time) = (asked("date"), asked("time"));
    if date.is_none() && time.is_none() {
        return None;
    }
    let wrong = |field: &str, message: &str| Some(json!({ "field": field, "error": message }));
    let Some(day) = date.and_then(civil_time::parse_day) else {
        return wrong("date", "Enter a day, for example 2026-11-30");
    };
    let Some(clock) = time.and_then(civil_time::parse_time) else {
        return wrong("time", "Enter a time, for example 03:15");
    };
    let at = match civil_time::read(day, clock) {
        Reading::Exact(t) | Reading::Twice { earlier: t, .. } => t,
        Reading::Never { first_after, .. } => {
            let first = first_after.format("%H:%M");
            let said =
                format!("The clocks go forward over this time; the first after it is {first}");
            return wrong("time", &said);
        }
    };
    let on = rota::on_duty(r, calendar, at);
    let line = |d: &OnDuty| json!({ "name": name(a, &d.person), "until": d.until.map(moment) });
    Some(json!({
        "at": format!("{}, {}", day.format("%A %-d %B %Y"), clock.format("%H:%M")),
        "on": on.iter().map(line).collect::<Vec<_>>(),
    }))
}

/// The agency's rota, made if there is none yet.
pub(super) fn of(a: &mut Agency) -> &mut Rota {
    let (id, name) = (a.id.clone(), format!("Rota of {}", a.name));
    a.rota.get_or_insert_with(|| Rota { id, name, ..Rota::default() })
}

/// An agency that has a rota, or not found.
pub(super) fn existing<'a>(
    web: &Web,
    desk: &'a Desk,
    id: &str,
) -> Result<(&'a Agency, &'a Rota), Response> {
    let found = desk.area.agency(id).and_then(|a| Some((a, a.rota.as_ref()?)));
    found.ok_or_else(|| failed(web, ServiceError::NotFound))
}
