//! The auditor's pages: who looked at a case, what one person looked at, and the same as a file.

use super::{change, failed, signed_in};
use crate::auth::policy::{Action, Object, may};
use crate::domain::civil_time;
use crate::domain::id::Reference;
use crate::export::cell::harmless;
use crate::service::{ServiceError, TrailLine, TrailQuery, actor_named};
use crate::web::Web;
use crate::web::render::see_other;
use crate::web::request;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

/// `who`, `from`, `to`: an account's or token's id and days; no name stands in an address.
fn asked(raw: Option<&str>) -> (TrailQuery, serde_json::Value) {
    let q = request::query(raw);
    let of = |name: &str| q.get(name).map(String::as_str).unwrap_or_default();
    let query = TrailQuery {
        actor: actor_named(of("who")),
        from: civil_time::parse_day(of("from")),
        to: civil_time::parse_day(of("to")),
    };
    let typed = json!({ "who": query.actor, "from": query.from, "to": query.to });
    (query, typed)
}

pub(super) async fn people(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let (query, typed) = asked(raw.as_deref());
    let looks = web.service.looks_of(&session.caller, query).await;
    let findings = match &looks {
        Ok(_) => web.service.glass_waiting(&session.caller).await,
        Err(_) => Ok(Vec::new()),
    };
    match (looks, findings) {
        (Ok(looks), Ok(waiting)) => {
            let c = json!({ "frame": frame, "looks": looks, "typed": typed, "waiting": waiting });
            web.templates.page(StatusCode::OK, "audit.html", c)
        }
        (Err(e), _) | (_, Err(e)) => failed(&web, e),
    }
}

pub(super) async fn of_case(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    RawQuery(raw): RawQuery,
) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let (query, typed) = asked(raw.as_deref());
    let found = trail(&web, &session.caller, &text, query, false).await;
    match found {
        Ok((reference, looks)) => {
            // Whoever keeps the list does it here, whether they are on it or not.
            let access = web.service.keeping(&session.caller, &reference).await.ok();
            let c = json!({
                "access": access,
                "frame": frame,
                "reference": reference,
                "looks": looks,
                "typed": typed,
                "query": raw.unwrap_or_default(),
                "may_review": may(&session.caller, Action::ReviewGlass, Object::default()),
            });
            web.templates.page(StatusCode::OK, "audit_case.html", c)
        }
        Err(e) => failed(&web, e),
    }
}

async fn trail(
    web: &Web,
    caller: &crate::auth::policy::Caller,
    text: &str,
    query: TrailQuery,
    exported: bool,
) -> Result<(Reference, crate::service::Looks), ServiceError> {
    if !may(caller, Action::ReadAudit, Object::default()) {
        return Err(ServiceError::Forbidden);
    }
    let reference = Reference::parse(text).ok_or(ServiceError::NotFound)?;
    let looks = web.service.trail(caller, &reference, query, exported).await?;
    Ok((reference, looks))
}

pub(super) async fn csv(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    RawQuery(raw): RawQuery,
) -> Response {
    let (session, _) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let (query, _) = asked(raw.as_deref());
    match trail(&web, &session.caller, &text, query, true).await {
        Ok((_, looks)) => file(&looks.lines),
        Err(e) => failed(&web, e),
    }
}

fn file(lines: &[TrailLine]) -> Response {
    let mut w = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = w.write_record(["at", "actor", "name", "role", "what", "why", "reference"]);
    for l in lines {
        let at = l.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let cells = [&at, &l.actor, &l.name, &l.role, &l.what, &l.why, &l.reference];
        let _ = w.write_record(cells.map(|c| harmless(c).into_owned()));
    }
    let kind = "text/csv; charset=utf-8";
    let name = "attachment; filename=\"audit.csv\"";
    let bytes = w.into_inner().unwrap_or_default();
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], bytes).into_response()
}

/// The guardian has looked into a break-glass.
pub(super) async fn review(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let who = Uuid::try_parse(form.get("who")).unwrap_or_default();
    let done = match Reference::parse(&text) {
        Some(r) => web.service.review_glass(&session.caller, &r, who, form.get("note")).await,
        None => Err(ServiceError::NotFound),
    };
    match done {
        Ok(()) => see_other(&format!("/audit/cases/{text}")),
        Err(e) => failed(&web, e),
    }
}
