//! The board, withdrawing a notification, an agency's part of the response, and drills.

use super::cases::{change, fields, person, reference};
use super::{answered, json};
use crate::auth::policy::Action;
use crate::service::Wish;
use crate::web::Web;
use crate::web::problem::Problem;
use crate::web::request::{self, bearer};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

/// Every case that waits for somebody.
pub(super) async fn board(State(web): State<Web>, headers: HeaderMap) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let cases = web.service.board(&caller).await?;
    let findings = web.service.findings(&caller).await?;
    Ok(json(StatusCode::OK, &json!({ "items": cases, "findings": findings, "next": null })))
}

pub(super) async fn withdraw(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let read = |value: Value| {
        fields(value, |o| Wish::Withdraw { reason: o.text("reason").unwrap_or_default() })
    };
    change(&web, &headers, &text, body, Action::Withdraw, read).await
}

pub(super) async fn plan(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let read = |value: Value| {
        fields(value, |o| Wish::Plan {
            agency: o.text("agency").unwrap_or_default(),
            entry: o.text("entry").unwrap_or_default(),
            person: person(o.object("person")),
        })
    };
    change(&web, &headers, &text, body, Action::EnterPlan, read).await
}

pub(super) async fn start_drill(
    State(web): State<Web>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let bytes = request::bytes(&web, body).await?;
    let idempotency = request::idempotency(&headers, &bytes)?;
    let value = if bytes.is_empty() { Value::Null } else { request::json(&bytes)? };
    let area = fields(value, |o| o.text("area"))?;
    let mine = web.service.areas_of(&caller);
    let area = match (area, mine.as_slice()) {
        (Some(a), _) => a,
        (None, [only]) => only.clone(),
        // A drill rings real people: never in an area that nobody named.
        (None, _) => return Err(Problem::field("area", "required", "name the area")),
    };
    let (_, answer) = web.service.start_drill(&caller, &area, idempotency).await?;
    Ok(answered(answer))
}

pub(super) async fn drill(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let result = web.service.drill_result(&caller, &reference(&text)?).await?;
    Ok(json(StatusCode::OK, &json!(result)))
}

pub(super) async fn end_drill(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let reference = reference(&text)?;
    web.service.end_drill(&caller, &reference).await?;
    let result = web.service.drill_result(&caller, &reference).await?;
    Ok(json(StatusCode::OK, &json!(result)))
}
