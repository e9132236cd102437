//! A rota from a spreadsheet or a calendar, pasted: shown before it counts.

use super::desk::{Desk, Saving, Unsaved};
use super::fields::Said;
use super::rotation::nine;
use super::{rota, words};
use crate::domain::civil_time;
use crate::domain::directory::{Agency, PointKind};
use crate::domain::rota::{Cover, Rota};
use crate::exchange::{self, LineProblem, Read, Refused, ical};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, NaiveDateTime, NaiveTime, Utc};
use serde::Serialize;
use serde_json::json;

/// Covers long past are dropped when new ones come in; the journal of versions keeps them.
const KEEP_DAYS: i64 = 90;

/// Where a rota comes from.
#[derive(Clone, Copy)]
enum Source {
    Table,
    Calendar,
}

/// What the page shows of itself.
#[derive(Serialize)]
pub(super) struct Words {
    pub title: String,
    pub lead: Vec<String>,
    pub label: &'static str,
    pub hint: &'static str,
    pub back: String,
    pub apply: String,
}

/// What was read, before it counts.
#[derive(Default, Serialize)]
pub(super) struct Preview {
    pub lines: Vec<PreviewLine>,
    pub problems: Vec<LineProblem>,
    pub left_out: u32,
    pub notes: Vec<LineProblem>,
}

/// One thing that would be different.
#[derive(Serialize)]
pub(super) struct PreviewLine {
    pub kind: &'static str,
    pub what: String,
}

fn words_for(source: Source, desk: &Desk, a: &Agency) -> Words {
    let back = format!("/directory/{}/rota/{}", desk.area.id, a.id);
    let lead = |first: &str| {
        vec![
            first.to_owned(),
            "Nothing counts before you have seen what was understood.".to_owned(),
        ]
    };
    match source {
        Source::Table => Words {
            title: format!("Paste a rota of {}", a.name),
            lead: lead(
                "Copy the cells from your spreadsheet and paste them here. Each line is a day and \
                 a person, or from, to and a person; the person by name or e-mail address.",
            ),
            label: "Lines of the spreadsheet",
            hint: "For example: 30/11/2026, Ada Exampleby",
            back,
            apply: "Take these into the rota".to_owned(),
        },
        Source::Calendar => Words {
            title: format!("Take a calendar into the rota of {}", a.name),
            lead: lead(
                "Export the calendar as an iCalendar file (.ics), open it in a text editor and \
                 paste all of it here. The person is the one named in each event's title.",
            ),
            label: "The calendar's text",
            hint: "It begins with BEGIN:VCALENDAR",
            back,
            apply: "Take these into the rota".to_owned(),
        },
    }
}

/// The page with what was pasted and, if it was looked at, what would come of it.
pub(super) fn show(
    web: &Web,
    desk: &Desk,
    status: StatusCode,
    words: &Words,
    text: &str,
    preview: Option<&Preview>,
    said: &[Said],
) -> Response {
    let own = json!({ "words": words, "text": text, "preview": preview, "summary": said });
    web.templates.page(status, "directory/paste.html", desk.context(own))
}

pub(super) async fn table_form(
    state: State<Web>,
    headers: HeaderMap,
    path: Path<(String, String)>,
) -> Response {
    form(Source::Table, state.0, headers, path.0).await
}

pub(super) async fn calendar_form(
    state: State<Web>,
    headers: HeaderMap,
    path: Path<(String, String)>,
) -> Response {
    form(Source::Calendar, state.0, headers, path.0).await
}

async fn form(
    source: Source,
    web: Web,
    headers: HeaderMap,
    (area, id): (String, String),
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    match desk.agency(&web, &id) {
        Ok(a) => {
            let words = words_for(source, &desk, a);
            show(&web, &desk, StatusCode::OK, &words, "", None, &[])
        }
        Err(r) => r,
    }
}

pub(super) async fn table(
    state: State<Web>,
    headers: HeaderMap,
    path: Path<(String, String)>,
    body: Body,
) -> Response {
    send(Source::Table, state.0, headers, path.0, body).await
}

pub(super) async fn calendar(
    state: State<Web>,
    headers: HeaderMap,
    path: Path<(String, String)>,
    body: Body,
) -> Response {
    send(Source::Calendar, state.0, headers, path.0, body).await
}

async fn send(
    source: Source,
    web: Web,
    headers: HeaderMap,
    (area, id): (String, String),
    body: Body,
) -> Response {
    let (mut desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let a = match desk.agency(&web, &id) {
        Ok(a) => a.clone(),
        Err(r) => return r,
    };
    let text = pasted(&form);
    let now = web.service.clock.now();
    let page = words_for(source, &desk, &a);
    let answer = |desk: &Desk, status, preview: Option<&Preview>, said: &[Said]| {
        show(&web, desk, status, &page, &text, preview, said)
    };
    let refused = StatusCode::UNPROCESSABLE_ENTITY;
    let read = match read(source, &a, &text, now) {
        Ok(r) => r,
        Err(why) => return answer(&desk, refused, None, &[Said::new("text", &why)]),
    };
    let mut preview = preview(&a, &read);
    let fine = read.problems.is_empty() && !read.items.is_empty();
    if !fine || form.get("_apply").is_empty() {
        let status = if read.problems.is_empty() { StatusCode::OK } else { refused };
        return answer(&desk, status, Some(&preview), &[]);
    }
    if let Some(stale) = desk.stale(&web, &form).await {
        return answer(&desk, StatusCode::CONFLICT, Some(&preview), &[stale]);
    }
    let mut new = desk.area.clone();
    if let Some(a) = new.agencies.iter_mut().find(|a| a.id == id) {
        take_in(rota::of(a), read.items, civil_time::local(now));
    }
    let saving = Saving {
        what: format!("took {} lines into the rota of {}", preview.lines.len(), a.name),
        to: format!("/directory/{area}/rota/{id}"),
        places: &[("rota", "text")],
    };
    match desk.save(&web, new, &saving).await {
        Ok(version) => see_other(&format!("{}?saved={version}", saving.to)),
        Err(Unsaved::Failed(r)) => r,
        Err(Unsaved::Stale(s)) => answer(&desk, StatusCode::CONFLICT, Some(&preview), &[s]),
        Err(Unsaved::Said(s)) => {
            preview.notes.clear();
            answer(&desk, refused, Some(&preview), &s)
        }
    }
}

/// What was pasted. It was trimmed at its ends only: line numbers count from the first line.
pub(super) fn pasted(form: &Form) -> String {
    form.typed().get("text").cloned().unwrap_or_default()
}

fn read(source: Source, a: &Agency, text: &str, now: DateTime<Utc>) -> Result<Read<Cover>, String> {
    if text.trim().is_empty() {
        return Err("paste something first".to_owned());
    }
    if a.people.is_empty() {
        return Err("there is no person at this agency yet: add people first".to_owned());
    }
    let people: Vec<exchange::Person> = a
        .people
        .iter()
        .map(|p| {
            let mail = p.contacts.iter().find(|c| c.kind == PointKind::Email);
            let email = mail.map(|c| c.address.clone()).unwrap_or_default();
            exchange::Person { id: p.id.clone(), name: p.name.clone(), email }
        })
        .collect();
    let read = match source {
        Source::Table => exchange::paste::read(text.as_bytes(), &people, handover(a)),
        Source::Calendar => ical::read(text.as_bytes(), &people, now),
    };
    read.map_err(|e: Refused| e.to_string())
}

/// The hour at which a day of this rota begins.
fn handover(a: &Agency) -> NaiveTime {
    let first = a.rota.as_ref().and_then(|r| r.rotations.first());
    first.map_or_else(nine, |r| r.handover)
}

fn preview(a: &Agency, read: &Read<Cover>) -> Preview {
    let line = |c: &Cover| PreviewLine {
        kind: "added",
        what: format!(
            "{}: {} to {}",
            rota::name(a, &c.person),
            words::local(c.from),
            words::local(c.to)
        ),
    };
    Preview {
        lines: read.items.iter().map(line).collect(),
        problems: read.problems.clone(),
        left_out: read.problems_left_out,
        notes: read.notes.clone(),
    }
}

/// New covers behind the others, so that they win. Those they replace exactly, and those long
/// past, go: a sheet that is pasted every month must not pile up.
fn take_in(r: &mut Rota, new: Vec<Cover>, now: NaiveDateTime) {
    let old = now - chrono::Duration::days(KEEP_DAYS);
    r.covers.retain(|c| c.to > old && !new.iter().any(|n| n.from == c.from && n.to == c.to));
    r.covers.extend(new);
}
