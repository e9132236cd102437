//! Drills: start one, watch its board, end it, read its result on one page.

use super::{change, failed, signed_in};
use crate::auth::policy::{Action, Object, may};
use crate::config::area::Directory;
use crate::domain::id::Reference;
use crate::platform::crypt::random_token;
use crate::service::{Idempotency, ServiceError};
use crate::web::Web;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

pub(super) async fn list(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let drills = match web.service.drills(&session.caller).await {
        Ok(d) => d,
        Err(e) => return failed(&web, e),
    };
    let today = web.service.directory();
    let areas: Vec<_> = web
        .service
        .areas_of(&session.caller)
        .iter()
        .filter_map(|a| today.area(a))
        .map(|a| json!({ "id": a.id, "name": a.name }))
        .collect();
    let c = json!({
        "frame": frame,
        "areas": areas,
        // Two presses are one drill: it rings real people.
        "key": random_token().unwrap_or_default(),
        "drills": drills.iter().map(|d| json!({ "reference": d.reference, "area": area_named(&today, &d.area), "at": d.received_at, "waiting": d.waiting })).collect::<Vec<_>>(),
        "may_drill": may(&session.caller, Action::Drill, Object::default()),
    });
    web.templates.page(StatusCode::OK, "drills.html", c)
}

pub(super) async fn start(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let key = form.get("_key").to_owned();
    let once =
        (!key.is_empty()).then(|| Idempotency { key, body: form.get("area").as_bytes().to_vec() });
    match web.service.start_drill(&session.caller, form.get("area"), once).await {
        Ok((reference, _)) => see_other(&format!("/drills/{reference}")),
        Err(e) => failed(&web, e),
    }
}

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let Some(reference) = Reference::parse(&text) else {
        return failed(&web, ServiceError::NotFound);
    };
    match web.service.drill_result(&session.caller, &reference).await {
        Ok(result) => {
            let c = json!({
                "frame": frame,
                "area": area_named(&web.service.directory(), &result.area),
                "d": result,
                "now": web.service.clock.now(),
                "may_drill": may(&session.caller, Action::Drill, Object::default()),
            });
            web.templates.page(StatusCode::OK, "drill.html", c)
        }
        Err(e) => failed(&web, e),
    }
}

pub(super) async fn end(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let (session, _, _) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let Some(reference) = Reference::parse(&text) else {
        return failed(&web, ServiceError::NotFound);
    };
    match web.service.end_drill(&session.caller, &reference).await {
        Ok(()) => see_other(&format!("/drills/{reference}")),
        Err(e) => failed(&web, e),
    }
}

/// An area by its name; by its id where the directory does not know it any more.
fn area_named(today: &Directory, id: &str) -> String {
    today.area(id).map_or_else(|| id.to_owned(), |a| a.name.clone())
}
