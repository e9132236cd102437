//! Health for load balancers, figures for monitoring, and the published schemas.

use super::Web;
use super::problem::Problem;
use super::request::bearer;
use crate::auth::policy::{Action, Object, may};
use crate::export::ncmd;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/health/live", get(|| async { super::json_answer(&json!({ "status": "ok" })) }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/schemas/notification/2022-04/1", get(schema))
        .route("/schemas/codelists", get(code_lists))
}

/// Ready means: what is asked for can be stored. A full disk is not ready, and says so.
async fn ready(State(web): State<Web>) -> Response {
    let store = &web.service.store;
    if let Err(e) = store.ping().await {
        tracing::warn!(error = %e, "not ready: the database does not answer");
        return not_ready("the database does not answer");
    }
    match can_write(&web).await {
        Ok(()) => {}
        Err(crate::store::CommitError::Full) => {
            return not_ready("the disk of the database is full");
        }
        Err(e) => {
            tracing::warn!(error = %e, "not ready: the database does not take writes");
            return not_ready("the database does not take writes");
        }
    }
    let sending = match store.sending_is_held().await {
        Ok(true) => "held: this is a restored copy; `cdr resume` lets it send",
        _ => "on",
    };
    super::json_answer(&json!({ "status": "ok", "sending": sending }))
}

/// Asked at most once a second, whoever asks: the answer costs a flush to disk.
async fn can_write(web: &Web) -> Result<(), crate::store::CommitError> {
    let mut last = web.write_probe.lock().await;
    if last.is_some_and(|at| at.elapsed() < std::time::Duration::from_secs(1)) {
        return Ok(());
    }
    let probed = web.service.store.can_write().await;
    *last = probed.is_ok().then(std::time::Instant::now);
    probed
}

fn not_ready(why: &str) -> Response {
    let mut p = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", why);
    p.retry_after = Some(5);
    p.into_response()
}

async fn metrics(State(web): State<Web>, headers: HeaderMap) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    if !may(&caller, Action::ReadMetrics, Object::default()) {
        return Err(crate::service::ServiceError::Forbidden.into());
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], web.service.metrics.text()).into_response())
}

async fn schema() -> Response {
    let kind = "application/schema+json";
    ([(header::CONTENT_TYPE, kind)], ncmd::schema().to_string()).into_response()
}

async fn code_lists() -> Response {
    let lists = include_str!("../export/ncmd/codelists.json");
    ([(header::CONTENT_TYPE, "application/json")], lists).into_response()
}
