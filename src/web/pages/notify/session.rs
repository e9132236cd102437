//! Whose draft it is: the resume code in a cookie, for one shift.

use super::super::{arrived, failed, is_ours, problem_page};
use crate::service::{Held, ServiceError};
use crate::web::form::Form;
use crate::web::problem::Problem;
use crate::web::render::see_other;
use crate::web::{Web, json_answer};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

/// A long shift. After that the code itself is needed: ward computers are everybody's.
const SECONDS: u32 = 13 * 3600;

fn name(web: &Web) -> &'static str {
    if web.secure { "__Host-cdr_draft" } else { "cdr_draft" }
}

/// The code that a browser sent.
pub(super) fn code(web: &Web, headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let mut pairs = all.flat_map(|v| v.split(';')).filter_map(|p| p.trim().split_once('='));
    pairs.find(|(n, v)| *n == name(web) && !v.is_empty()).map(|(_, v)| v.to_owned())
}

/// Whether this browser holds a notification that was not sent: its code is not to be lost.
pub(super) async fn has_open(web: &Web, headers: &HeaderMap) -> bool {
    match code(web, headers) {
        None => false,
        // In doubt it does.
        Some(code) => web.service.draft(&code).await.map_or_else(
            |e| !matches!(e, ServiceError::NotFound),
            |held| held.row.sent_at.is_none(),
        ),
    }
}

/// Puts the code into the browser; an empty one takes it out.
pub(super) fn keep(web: &Web, r: &mut Response, code: &str) {
    let secure = if web.secure { "; Secure" } else { "" };
    let age = if code.is_empty() { 0 } else { SECONDS };
    let text =
        format!("{}={code}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}", name(web));
    if let Ok(v) = HeaderValue::from_str(&text) {
        r.headers_mut().append(header::SET_COOKIE, v);
    }
}

/// The draft of this browser, or the way to one.
pub(super) async fn held(web: &Web, headers: &HeaderMap) -> Result<Held, Response> {
    let Some(code) = code(web, headers) else { return Err(see_other("/notify")) };
    match web.service.draft(&code).await {
        Ok(held) => Ok(held),
        Err(ServiceError::NotFound) => {
            let mut r = see_other("/notify");
            keep(web, &mut r, "");
            Err(r)
        }
        Err(e) => Err(failed(web, e)),
    }
}

/// The draft that a posted page belongs to. A page of another one than this browser is on now is
/// saved in neither: two children must not become one.
pub(super) async fn held_for(
    web: &Web,
    headers: &HeaderMap,
    form: &Form,
    action: &str,
) -> Result<Held, Response> {
    let Some(code) = code(web, headers) else { return Err(lost(web, form, false)) };
    if !is_of(web, &code, form) {
        return Err(lost(web, form, true));
    }
    match web.service.draft(&code).await {
        Ok(held) => Ok(held),
        Err(ServiceError::NotFound) => Err(lost(web, form, false)),
        Err(e) => Err(unsaved(web, action, form, e)),
    }
}

/// Whether a posted page is of the draft with this code.
pub(super) fn is_of(web: &Web, code: &str, form: &Form) -> bool {
    web.service.is_page_of(form.get("_draft"), code)
}

/// The browser does not know the draft that this page belongs to, or is on another one (`other`).
/// What was typed is shown, so that it can be typed again at the right place.
pub(super) fn lost(web: &Web, form: &Form, other: bool) -> Response {
    let context = json!({
        "typed": {},
        "errors": {},
        "summary": [],
        "lost": if other { "other" } else { "unknown" },
        "was_typed": was_typed(form),
    });
    web.templates.page(StatusCode::GONE, "notify/resume.html", context)
}

/// What was typed on a page, in the words of its questions.
fn was_typed(form: &Form) -> Vec<(&str, &str)> {
    let all = form.typed().iter().filter(|(n, v)| !n.starts_with('_') && !v.trim().is_empty());
    all.map(|(n, v)| (super::words::label(n), v.as_str())).collect()
}

/// Not stored just now: the same page can be sent again from here, with all that was typed.
pub(super) fn unsaved(web: &Web, action: &str, form: &Form, e: ServiceError) -> Response {
    let problem = Problem::from(e);
    if problem.status != StatusCode::SERVICE_UNAVAILABLE {
        return problem_page(web, &problem);
    }
    // The draft cannot be read now, so whose number it would be is not known where there are many.
    let directory = web.service.directory();
    let only = directory.areas().next().filter(|_| directory.areas().count() == 1);
    let context = json!({
        "action": action,
        "fields": form.typed(),
        "was_typed": was_typed(form),
        "call_back": only.map(|a| a.call_back.clone()),
    });
    web.templates.page(problem.status, "notify/unsaved.html", context)
}

/// What was posted, from a page of ours.
pub(super) async fn posted(web: &Web, headers: &HeaderMap, body: Body) -> Result<Form, Response> {
    let form = arrived(web, body).await?;
    if !is_ours(headers) {
        let advice = "Send this from the notification page itself. Nothing was changed.";
        return Err(web.templates.error(StatusCode::FORBIDDEN, "Not from this page", advice));
    }
    Ok(form)
}

/// On to the next page. The script of the pages asks for an address instead of a redirect: it
/// could not tell one that arrived from one that did not.
pub(super) fn on_to(web: &Web, headers: &HeaderMap, to: &str) -> Response {
    if headers.contains_key("x-draft-script") {
        let at = web.service.clock.now();
        let local = crate::domain::civil_time::local(at);
        return json_answer(&json!({ "to": to, "at": local.format("%H:%M").to_string() }));
    }
    see_other(to)
}

/// Puts this draft aside and starts another one. It stays under its code.
pub(super) async fn another(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    aside(&web, &headers, body, "/notify").await
}

/// Leaves this computer: the draft stays under its code.
pub(super) async fn leave(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    aside(&web, &headers, body, "/notify/resume").await
}

async fn aside(web: &Web, headers: &HeaderMap, body: Body, to: &str) -> Response {
    if let Err(r) = posted(web, headers, body).await {
        return r;
    }
    let mut r = see_other(to);
    keep(web, &mut r, "");
    r
}
