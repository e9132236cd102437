//! After sending: what was decided, who is being told, what tonight asks for, and what came of it.

use super::super::failed;
use super::session;
use crate::service::{Held, Told};
use crate::web::form::Form;
use crate::web::render::see_other;
use crate::web::{Web, request};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use chrono::Duration;
use serde_json::{Value, json};

pub(super) async fn done(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let (held, told) = match sent(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let mut q = request::query(query.as_deref());
    let mut c = context(&web, &held, &told);
    c["late"] = json!(q.remove("late").is_some());
    c["added"] = json!(q.remove("added"));
    web.templates.page(StatusCode::OK, "notify/done.html", c)
}

/// What came of it, for whoever notified and asks weeks later. Nothing in it is about the child.
pub(super) async fn next(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (held, told) = match sent(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let mut c = context(&web, &held, &told);
    c["expires_at"] = json!(held.row.expires_at);
    web.templates.page(StatusCode::OK, "notify/next.html", c)
}

/// The part that changes, for the script.
pub(super) async fn told(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (held, told) = match sent(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match web.templates.text("notify/told.html", context(&web, &held, &told)) {
        Some(html) => Html(html).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The sent draft of this browser with its case.
pub(super) async fn sent(web: &Web, headers: &HeaderMap) -> Result<(Held, Told), Response> {
    told_of(web, session::held(web, headers).await?).await
}

/// The same, for a page that was posted and has to be of it.
pub(super) async fn sent_for(
    web: &Web,
    headers: &HeaderMap,
    form: &Form,
    action: &str,
) -> Result<(Held, Told), Response> {
    told_of(web, session::held_for(web, headers, form, action).await?).await
}

async fn told_of(web: &Web, held: Held) -> Result<(Held, Told), Response> {
    match web.service.told(&held).await {
        Ok(Some(told)) => Ok((held, told)),
        Ok(None) => Err(see_other("/notify/check")),
        Err(e) => Err(failed(web, e)),
    }
}

pub(super) fn context(web: &Web, held: &Held, told: &Told) -> Value {
    let directory = web.service.directory();
    let area = directory.area(&told.area);
    let now = web.service.clock.now();
    let met: Vec<&str> = {
        use crate::domain::jar::{Decision, Verdict};
        let wanted = match told.assessment.decision {
            Decision::Triggered => Verdict::Met,
            Decision::Provisional => Verdict::CannotTell,
            Decision::NotTriggered => Verdict::NotMet,
        };
        let all = told.assessment.criteria.iter();
        all.filter(|c| c.result == wanted).map(|c| c.reason.as_str()).collect()
    };
    json!({
        "told": told,
        "why": met,
        "area_name": area.map(|a| a.name.clone()),
        "call_back": area.map(|a| a.call_back.clone()),
        "tonight": area.map(|a| a.tonight.clone()),
        "support": area.map(|a| a.support.clone()),
        "code": held.code,
        "next_until": held.row.expires_at,
        "further_at": held.draft.further_at,
        "unsent": !held.draft.fields.is_empty(),
        "now": now,
        // What happened next is worth its own words once the first hour is over.
        "later": now - told.received_at > Duration::hours(1),
        "refresh": now - told.received_at < Duration::hours(1),
    })
}
