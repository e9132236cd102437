//! Restricting a case, and legal holds.

use super::cases::{fields, reference};
use super::json;
use crate::auth::policy::Action;
use crate::web::Web;
use crate::web::problem::Problem;
use crate::web::request::{self, bearer};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;
use uuid::Uuid;

/// `people` are ids of accounts; an empty list is refused. A machine cannot lift what it set.
pub(super) async fn restrict(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let reference = reference(&text)?;
    web.service.check(&caller, &reference, Action::Restrict).await?;
    let value = request::json(&request::bytes(&web, body).await?)?;
    let (reason, people) =
        fields(value, |o| (o.text("reason").unwrap_or_default(), o.texts("people")))?;
    let people: Option<Vec<Uuid>> = people.iter().map(|p| Uuid::try_parse(p).ok()).collect();
    let Some(people) = people else {
        return Err(Problem::field("people", "not_an_id", "must be ids of accounts"));
    };
    web.service.restrict(&caller, &reference, &reason, &people).await?;
    Ok(json(StatusCode::OK, &json!({ "reference": reference, "restricted": true })))
}

pub(super) async fn hold(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let reference = reference(&text)?;
    web.service.check(&caller, &reference, Action::Hold).await?;
    let value = request::json(&request::bytes(&web, body).await?)?;
    let (reason, lift) = fields(value, |o| {
        let lift = o.choice("do", &["place", "lift"], |w| match w {
            "place" => Some(false),
            "lift" => Some(true),
            _ => None,
        });
        (o.text("reason").unwrap_or_default(), lift.unwrap_or(false))
    })?;
    web.service.hold(&caller, &reference, &reason, lift).await?;
    Ok(json(StatusCode::OK, &json!({ "reference": reference, "held": !lift })))
}
