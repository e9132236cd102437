//! `POST /notifications` and `POST /jar/assessments`.

use super::{answered, json};
use crate::domain::event::Route;
use crate::platform::failpoint::{Point, reach};
use crate::web::Web;
use crate::web::problem::Problem;
use crate::web::request::{self, bearer};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

pub(super) async fn create(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let bytes = request::bytes(&web, body).await?;
    let idempotency = request::idempotency(&headers, &bytes)?;
    let value = request::json(&bytes)?;
    let area = request::query(query.as_deref()).remove("area");
    let answer =
        web.service.notify(&caller, area.as_deref(), value, Route::Api, idempotency).await?;
    let response = answered(answer);
    reach(Point::AfterReply);
    Ok(response)
}

pub(super) async fn assess(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let value = request::json(&request::bytes(&web, body).await?)?;
    let area = request::query(query.as_deref()).remove("area");
    let decision = web.service.assess(&caller, area.as_deref(), value)?;
    Ok(json(StatusCode::OK, &decision))
}
