//! Cases that may be of one death: which they are, merging, parting, saying that they are two.

use super::cases::{fields, reference};
use super::{answered, json};
use crate::domain::event::Settled;
use crate::domain::id::Reference;
use crate::service::Pairing;
use crate::web::Web;
use crate::web::problem::Problem;
use crate::web::request::{self, bearer};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

pub(super) async fn list(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let items = web.service.likenesses_of(&caller, &reference(&text)?).await?;
    Ok(json(StatusCode::OK, &json!({ "items": items, "next": null })))
}

/// The case in the path is the first; `account` or `other` is the second.
pub(super) async fn merge(
    web: State<Web>,
    headers: HeaderMap,
    path: Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    both(web, headers, path, body, "account", Pairing::Merge).await
}

pub(super) async fn unmerge(
    web: State<Web>,
    headers: HeaderMap,
    path: Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    both(web, headers, path, body, "account", Pairing::Unmerge).await
}

pub(super) async fn not_the_same(
    web: State<Web>,
    headers: HeaderMap,
    path: Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    both(web, headers, path, body, "other", Pairing::Settle(Settled::NotTheSame)).await
}

pub(super) async fn related(
    web: State<Web>,
    headers: HeaderMap,
    path: Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    both(web, headers, path, body, "other", Pairing::Settle(Settled::Related)).await
}

async fn both(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
    name: &'static str,
    pairing: Pairing,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let one = reference(&text)?;
    web.service.check_both(&caller, &one, &one).await?;
    let bytes = request::bytes(&web, body).await?;
    let idempotency = request::idempotency(&headers, &bytes)?;
    let value = request::json(&bytes)?;
    let (other, reason) = fields(value, |o| (o.text(name), o.text("reason").unwrap_or_default()))?;
    let other = other.as_deref().and_then(Reference::parse);
    let Some(other) = other else {
        return Err(Problem::field(name, "required", "give the reference of the other case"));
    };
    let answer = web.service.pair(&caller, &one, &other, pairing, &reason, idempotency).await?;
    Ok(answered(answer))
}
