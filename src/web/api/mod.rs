//! The JSON API, version 1.

mod access;
mod alerts;
mod cases;
mod directory;
mod exports;
mod likeness;
mod notifications;
mod panels;
mod reach;

pub(super) use panels::csv_file as panel_csv;

use super::Web;
use crate::service::Answer;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;

/// The served description; a test compares it with [`PATHS`].
pub(super) const OPENAPI: &str = include_str!("openapi.json");

/// Method and path of every operation, as in the `OpenAPI` document.
pub(super) const PATHS: &[(&str, &str)] = &[
    ("post", "/api/v1/notifications"),
    ("post", "/api/v1/jar/assessments"),
    ("get", "/api/v1/cases"),
    ("post", "/api/v1/cases/search"),
    ("get", "/api/v1/cases/{reference}"),
    ("get", "/api/v1/cases/{reference}/timeline"),
    ("get", "/api/v1/cases/{reference}/alerts"),
    ("post", "/api/v1/cases/{reference}/amendments"),
    ("post", "/api/v1/cases/{reference}/jar/decisions"),
    ("post", "/api/v1/cases/{reference}/milestones"),
    ("post", "/api/v1/cases/{reference}/withdrawals"),
    ("post", "/api/v1/cases/{reference}/jar/plan"),
    ("post", "/api/v1/cases/{reference}/restrictions"),
    ("post", "/api/v1/cases/{reference}/holds"),
    ("get", "/api/v1/cases/{reference}/likenesses"),
    ("post", "/api/v1/cases/{reference}/merge"),
    ("post", "/api/v1/cases/{reference}/unmerge"),
    ("post", "/api/v1/cases/{reference}/not-the-same"),
    ("post", "/api/v1/cases/{reference}/related"),
    ("get", "/api/v1/board"),
    ("post", "/api/v1/drills"),
    ("get", "/api/v1/drills/{reference}"),
    ("post", "/api/v1/drills/{reference}/end"),
    ("post", "/api/v1/alerts/{id}/acknowledgements"),
    ("post", "/api/v1/deliveries/{id}/replays"),
    ("get", "/api/v1/panels"),
    ("post", "/api/v1/panels"),
    ("get", "/api/v1/panels/{id}"),
    ("post", "/api/v1/panels/{id}/cases"),
    ("get", "/api/v1/panels/{id}/list"),
    ("get", "/api/v1/exports/ncmd"),
    ("get", "/api/v1/directory/{area}/dry-run"),
];

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route(
            "/api/v1/openapi.json",
            get(|| async { raw_json(StatusCode::OK, OPENAPI.to_owned()) }),
        )
        .route("/api/v1/notifications", post(notifications::create))
        .route("/api/v1/jar/assessments", post(notifications::assess))
        .route("/api/v1/cases", get(cases::list))
        .route("/api/v1/cases/search", post(cases::search))
        .route("/api/v1/cases/{reference}", get(cases::show))
        .route("/api/v1/cases/{reference}/timeline", get(cases::timeline))
        .route("/api/v1/cases/{reference}/alerts", get(alerts::of_case))
        .route("/api/v1/cases/{reference}/amendments", post(cases::amend))
        .route("/api/v1/cases/{reference}/jar/decisions", post(cases::decide_jar))
        .route("/api/v1/cases/{reference}/milestones", post(cases::milestone))
        .route("/api/v1/cases/{reference}/withdrawals", post(reach::withdraw))
        .route("/api/v1/cases/{reference}/jar/plan", post(reach::plan))
        .route("/api/v1/cases/{reference}/restrictions", post(access::restrict))
        .route("/api/v1/cases/{reference}/holds", post(access::hold))
        .route("/api/v1/cases/{reference}/likenesses", get(likeness::list))
        .route("/api/v1/cases/{reference}/merge", post(likeness::merge))
        .route("/api/v1/cases/{reference}/unmerge", post(likeness::unmerge))
        .route("/api/v1/cases/{reference}/not-the-same", post(likeness::not_the_same))
        .route("/api/v1/cases/{reference}/related", post(likeness::related))
        .route("/api/v1/board", get(reach::board))
        .route("/api/v1/drills", post(reach::start_drill))
        .route("/api/v1/drills/{reference}", get(reach::drill))
        .route("/api/v1/drills/{reference}/end", post(reach::end_drill))
        .route("/api/v1/alerts/{id}/acknowledgements", post(alerts::acknowledge))
        .route("/api/v1/deliveries/{id}/replays", post(alerts::replay))
        .route("/api/v1/panels", get(panels::list).post(panels::create))
        .route("/api/v1/panels/{id}", get(panels::show))
        .route("/api/v1/panels/{id}/cases", post(panels::add))
        .route("/api/v1/panels/{id}/list", get(panels::print))
        .route("/api/v1/exports/ncmd", get(exports::ncmd))
        .route("/api/v1/directory/{area}/dry-run", get(directory::dry_run))
}

/// JSON that is text already.
pub(super) fn raw_json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// An answer that may have been given before.
pub(super) fn answered(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = raw_json(status, answer.body);
    if answer.repeated {
        response.headers_mut().insert("idempotent-replay", HeaderValue::from_static("true"));
    }
    response
}

pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    raw_json(status, body.to_string())
}
