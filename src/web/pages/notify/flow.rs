//! The core path: each page shown, saved, and followed by the next one that has to be asked.

use super::super::failed;
use super::so_far::so_far;
use super::words::{Said, reasons, said};
use super::{area, check, session};
use crate::domain::draft::{Fields, Page, order};
use crate::domain::facts::PlaceType;
use crate::platform::crypt::random_token;
use crate::service::{Held, Judged, ServiceError};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::problem::Problem;
use crate::web::render::see_other;
use crate::web::request;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

/// Letters of a form's key.
pub(super) const KEY_LETTERS: usize = 43;

/// The first question, or the way on with a draft that this browser holds.
pub(super) async fn start(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let held = match session::code(&web, &headers) {
        None => None,
        Some(code) => match web.service.draft(&code).await {
            Ok(held) => Some(held),
            Err(ServiceError::NotFound) => None,
            Err(e) => return failed(&web, e),
        },
    };
    let named = request::query(query.as_deref()).remove("area").unwrap_or_default();
    first(&web, held.as_ref(), &named, &Fields::new(), StatusCode::OK, &[])
}

/// The first page before there is a draft.
fn first(
    web: &Web,
    held: Option<&Held>,
    named: &str,
    typed: &Fields,
    status: StatusCode,
    problems: &[Said],
) -> Response {
    let directory = web.service.directory();
    let Some(area) = area(&directory, named) else {
        let advice = "There is no such area here.";
        return web.templates.error(StatusCode::NOT_FOUND, "Page not found", advice);
    };
    let kept = typed.get("_key").cloned().unwrap_or_default();
    let key = if kept.is_empty() { random_token().unwrap_or_default() } else { kept };
    let open = held.map(|h| {
        json!({
            "sent": h.row.sent_at.is_some(),
            "started_at": h.row.started_at,
            "step": h.row.step,
        })
    });
    let context = json!({
        "area": area.id,
        "area_name": area.name,
        "call_back": area.call_back,
        "key": key,
        "open": open,
        "typed": typed,
        "errors": errors(problems),
        "summary": problems,
        "page": { "word": Page::What.word(), "title": Page::What.title(), "n": 1, "of": 9 },
        "version": 0,
        "start": true,
    });
    web.templates.page(status, "notify/what.html", context)
}

fn errors(problems: &[Said]) -> Value {
    let by: serde_json::Map<String, Value> =
        problems.iter().map(|(f, m)| (f.clone(), json!(m))).collect();
    Value::Object(by)
}

/// Where the reader goes afterwards, if they came from the last page.
fn returns(query: Option<&str>) -> bool {
    request::query(query).remove("to").as_deref() == Some("check")
}

pub(super) async fn show(
    State(web): State<Web>,
    Path(page): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(page) = Page::parse(&page) else {
        let advice = "Check the address, or start again from the first page.";
        return web.templates.error(StatusCode::NOT_FOUND, "Page not found", advice);
    };
    let held = match session::held(&web, &headers).await {
        Ok(h) => h,
        Err(r) => return r,
    };
    if held.row.sent_at.is_some() {
        return see_other("/notify/done");
    }
    let judged = web.service.judged(&held);
    if page == Page::Check {
        return check::show(&web, &held, &judged, StatusCode::OK, &[]);
    }
    let typed = held.draft.fields.clone();
    render(&web, &held, &judged, page, &typed, returns(query.as_deref()), StatusCode::OK, &[])
}

#[allow(clippy::too_many_arguments)] // what one page is made of
fn render(
    web: &Web,
    held: &Held,
    judged: &Judged,
    page: Page,
    typed: &Fields,
    to_check: bool,
    status: StatusCode,
    problems: &[Said],
) -> Response {
    let directory = web.service.directory();
    let area = directory.area(&held.row.area);
    let all = order(&judged.facts);
    let n = all.iter().position(|p| *p == page).unwrap_or(0);
    let before = all[..n].iter().rev().find(|p| !p.is_needless(&judged.skipped));
    let back = match before {
        _ if to_check => "/notify/check".to_owned(),
        Some(p) => format!("/notify/{}", p.word()),
        None => "/notify".to_owned(),
    };
    let mut context = frame(web, held, judged);
    let more = json!({
        "typed": typed,
        "errors": errors(problems),
        "summary": problems,
        "page": { "word": page.word(), "title": page.title(), "n": n + 1, "of": all.len() },
        "back": back,
        "to_check": to_check,
        "skipped": reasons(&judged.skipped),
        "asks_expected": area.is_some_and(|a| !a.extra_triggers.is_empty())
            || !held.draft.get("death.expected").is_empty(),
        "places": PlaceType::WORDS,
        "event": judged.facts.event.map(crate::domain::facts::EventKind::word),
    });
    merge(&mut context, more);
    web.templates.page(status, &format!("notify/{}.html", page.word()), context)
}

/// What every page of a draft shows around its question.
pub(super) fn frame(web: &Web, held: &Held, judged: &Judged) -> Value {
    let directory = web.service.directory();
    let area = directory.area(&held.row.area);
    json!({
        "area": held.row.area,
        "area_name": area.map(|a| a.name.clone()),
        "call_back": area.map(|a| a.call_back.clone()),
        "version": held.row.version,
        "draft": held.mark(),
        "saved_at": held.row.changed_at,
        "code": held.code,
        "so_far": so_far(judged),
        "replaced": held.draft.replaced.as_deref().and_then(Page::parse).map(Page::title),
    })
}

pub(super) fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(a), Value::Object(b)) = (into, more) {
        a.extend(b);
    }
}

pub(super) async fn save(
    State(web): State<Web>,
    Path(page): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    let form = match session::posted(&web, &headers, body).await {
        Ok(f) => f,
        Err(r) => return r,
    };
    let Some(page) = Page::parse(&page).filter(|p| *p != Page::Check) else {
        let advice = "Check the address, or start again from the first page.";
        return web.templates.error(StatusCode::NOT_FOUND, "Page not found", advice);
    };
    // The first page carries its own key; with it, it needs no draft yet.
    if page == Page::What && !form.get("_key").is_empty() {
        return begin(&web, &headers, &form).await;
    }
    let Some(code) = session::code(&web, &headers) else {
        return session::lost(&web, &form, false);
    };
    if !session::is_of(&web, &code, &form) {
        return session::lost(&web, &form, true);
    }
    let typed = form.typed().clone();
    let from = form.get("_version").parse().unwrap_or(0);
    let anyway = !form.get("_anyway").is_empty();
    let to_check = returns(query.as_deref());
    let asked = format!("/notify/{}{}", page.word(), if to_check { "?to=check" } else { "" });
    match web.service.save_page(&code, page, typed.clone(), from, anyway).await {
        Ok(held) if held.row.sent_at.is_some() => {
            session::on_to(&web, &headers, "/notify/done?late=yes")
        }
        Ok(held) => session::on_to(&web, &headers, &next(&web, &held, page, to_check)),
        Err(ServiceError::Invalid(problems)) => match web.service.draft(&code).await {
            Ok(held) => {
                let judged = web.service.judged(&held);
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                let problems = said(&problems);
                render(&web, &held, &judged, page, &typed, to_check, status, &problems)
            }
            Err(e) => failed(&web, e),
        },
        Err(ServiceError::NotFound) => session::lost(&web, &form, false),
        Err(e) => session::unsaved(&web, &asked, &form, e),
    }
}

/// The next page that has to be asked.
fn next(web: &Web, held: &Held, page: Page, to_check: bool) -> String {
    let judged = web.service.judged(held);
    let all = order(&judged.facts);
    let n = all.iter().position(|p| *p == page).unwrap_or(0);
    let after = all[n + 1..].iter().find(|p| !p.is_needless(&judged.skipped));
    let to = if to_check { Page::Check } else { after.copied().unwrap_or(Page::Check) };
    format!("/notify/{}", to.word())
}

async fn begin(web: &Web, headers: &HeaderMap, form: &Form) -> Response {
    let named = form.get("_area");
    let area = Some(named).filter(|a| !a.is_empty());
    // A draft's code comes of its form's key: only one that we made is hard to guess.
    let ours = form.get("_key");
    let key =
        if ours.len() < KEY_LETTERS { random_token().unwrap_or_default() } else { ours.to_owned() };
    match web.service.begin_draft(area, &key, form.typed()).await {
        Ok(held) => {
            let to = if held.row.sent_at.is_some() {
                "/notify/done".to_owned()
            } else {
                next(web, &held, Page::What, false)
            };
            let mut r = session::on_to(web, headers, &to);
            session::keep(web, &mut r, &held.code);
            r
        }
        Err(ServiceError::Invalid(problems)) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            first(web, None, named, form.typed(), status, &said(&problems))
        }
        Err(e) => {
            let p = Problem::from(e);
            let said = [("_form".to_owned(), super::words::first_upper(&p.detail))];
            first(web, None, named, form.typed(), p.status, &said)
        }
    }
}
