//! Cases whose time is over, and their destruction by two people.

use super::{change, failed, signed_in};
use crate::auth::policy::{Action, Caller, Object, may};
use crate::auth::session::Session;
use crate::domain::id::Reference;
use crate::service::ServiceError;
use crate::web::Web;
use crate::web::render::see_other;
use crate::web::request;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

/// `all=true` shows those too whose time is not over.
pub(super) async fn list(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let all = request::query(raw.as_deref()).get("all").is_some_and(|a| a == "true");
    match web.service.retention_list(&session.caller, all).await {
        Ok(lines) => {
            let c = json!({ "frame": frame, "lines": lines, "all": all, "rules": *web.service.retention });
            web.templates.page(StatusCode::OK, "retention.html", c)
        }
        Err(e) => failed(&web, e),
    }
}

fn reference(caller: &Caller, text: &str) -> Result<Reference, ServiceError> {
    if !may(caller, Action::Retention, Object::default()) {
        return Err(ServiceError::Forbidden);
    }
    Reference::parse(text).ok_or(ServiceError::NotFound)
}

pub(super) async fn certificate(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let found = match reference(&session.caller, &text) {
        Ok(r) => web.service.certificate(&session.caller, &r).await,
        Err(e) => Err(e),
    };
    match found {
        Ok(c) => {
            let c = json!({ "frame": frame, "c": c });
            web.templates.page(StatusCode::OK, "certificate.html", c)
        }
        Err(e) => failed(&web, e),
    }
}

/// What cannot be undone is only done shortly after a sign-in, so that a browser left open destroys
/// nothing.
async fn lately(web: &Web, headers: &HeaderMap, body: Body) -> Result<Session, Response> {
    let (session, ..) = change(web, headers, body).await?;
    if session.is_fresh(web.service.clock.now()) {
        return Ok(session);
    }
    Err(web.templates.error(
        StatusCode::FORBIDDEN,
        "Sign in again first",
        "Destruction cannot be undone, and your last sign-in is more than 20 minutes ago: sign out and in again, then repeat. Nothing was changed.",
    ))
}

pub(super) async fn ask(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let session = match lately(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let done = match reference(&session.caller, &text) {
        Ok(r) => web.service.ask_destruction(&session.caller, &r).await,
        Err(e) => Err(e),
    };
    match done {
        Ok(()) => see_other("/retention"),
        Err(e) => failed(&web, e),
    }
}

pub(super) async fn confirm(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let session = match lately(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let done = match reference(&session.caller, &text) {
        Ok(r) => web.service.confirm_destruction(&session.caller, &r).await,
        Err(e) => Err(e),
    };
    match done {
        Ok(()) => see_other(&format!("/retention/{text}")),
        Err(e) => failed(&web, e),
    }
}
