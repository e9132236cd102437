//! Notifications that somebody has begun and not sent, for the office to ring about.

use super::{failed, signed_in};
use crate::domain::draft::Page;
use crate::web::Web;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

pub(super) async fn list(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let drafts = match web.service.old_drafts(&session.caller).await {
        Ok(d) => d,
        Err(e) => return failed(&web, e),
    };
    let directory = web.service.directory();
    let rows: Vec<Value> = drafts
        .iter()
        .map(|d| {
            let mut v = json!(d);
            v["area_name"] = json!(directory.area(&d.area).map(|a| a.name.clone()));
            v["step"] = json!(Page::parse(&d.step).map_or("", Page::title));
            v
        })
        .collect();
    let context = json!({ "frame": frame, "drafts": rows });
    web.templates.page(StatusCode::OK, "drafts.html", context)
}
