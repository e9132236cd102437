//! Who changed the directory when, and the way back.

use super::desk::Desk;
use super::words;
use crate::service::ServiceError;
use crate::web::Web;
use crate::web::pages::failed;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
) -> Response {
    let desk = match Desk::read(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    list(&web, &desk, StatusCode::OK, &json!([])).await
}

async fn list(web: &Web, desk: &Desk, status: StatusCode, summary: &Value) -> Response {
    let history = match web.service.store.directory_history(&desk.area.id).await {
        Ok(h) => h,
        Err(e) => return failed(web, e.into()),
    };
    let me = desk.session.caller.actor();
    let by = |actor: &str| match actor {
        a if a == me => "you".to_owned(),
        "operator" => "a command on the server".to_owned(),
        "file" => "the area file".to_owned(),
        other => match other.split_once(':') {
            Some(("token", _)) => "a system".to_owned(),
            // A name would have to be looked up; eight characters tell two people apart.
            Some((_, id)) => format!("account {}", id.chars().take(8).collect::<String>()),
            None => other.to_owned(),
        },
    };
    let rows: Vec<Value> = history
        .iter()
        .map(|(version, at, actor, what)| {
            json!({
                "version": version,
                "at": at,
                "by": by(actor),
                "what": words::capital(what),
                "current": *version == desk.version,
            })
        })
        .collect();
    let own = json!({ "rows": rows, "summary": summary });
    web.templates.page(status, "directory/history.html", desk.context(own))
}

/// Goes back to a version, unless somebody changed the directory since the list was loaded: their
/// change would be gone with it.
pub(super) async fn go_back(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, version)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let Ok(version) = version.parse::<i64>() else {
        return failed(&web, ServiceError::NotFound);
    };
    if let Some(stale) = desk.stale(&web, &form).await {
        return list(&web, &desk, StatusCode::CONFLICT, &json!([stale])).await;
    }
    match web.service.restore_directory(&desk.session.caller, &area, version).await {
        Ok(made) => see_other(&format!("/directory/{area}?saved={made}")),
        Err(ServiceError::Invalid(problems)) => {
            let said: Vec<Value> = problems
                .iter()
                .map(|p| json!({ "field": "_form", "message": words::capital(&p.message) }))
                .collect();
            list(&web, &desk, StatusCode::UNPROCESSABLE_ENTITY, &json!(said)).await
        }
        Err(e) => failed(&web, e),
    }
}
