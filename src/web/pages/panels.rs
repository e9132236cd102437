//! Panels and their lists.

use super::{change, failed, signed_in};
use crate::auth::policy::{Action, Object, may};
use crate::domain::civil_time;
use crate::domain::id::{PanelId, Reference};
use crate::service::ServiceError;
use crate::web::Web;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;
use uuid::Uuid;

pub(super) async fn list(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match web.service.panels(&session.caller).await {
        Ok(panels) => {
            let panels: Vec<_> = panels
                .iter()
                .map(
                    |p| json!({ "id": p.id, "name": p.name, "held_on": p.held_on, "area": p.area }),
                )
                .collect();
            let may_change = may(&session.caller, Action::ChangePanels, Object::default());
            let c = json!({ "frame": frame, "panels": panels, "may_change": may_change });
            web.templates.page(StatusCode::OK, "panels.html", c)
        }
        Err(e) => failed(&web, e),
    }
}

pub(super) async fn create(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let held_on = civil_time::parse_day(form.get("held_on"));
    match web.service.create_panel(&session.caller, None, form.get("name"), held_on).await {
        Ok(p) => see_other(&format!("/panels/{}", p.id)),
        Err(ServiceError::Invalid(problems)) => {
            let frame = super::Frame::of(&session);
            let panels = web.service.panels(&session.caller).await.unwrap_or_default();
            let panels: Vec<_> = panels
                .iter()
                .map(
                    |p| json!({ "id": p.id, "name": p.name, "held_on": p.held_on, "area": p.area }),
                )
                .collect();
            let c = json!({
                "frame": frame,
                "panels": panels,
                "may_change": true,
                "problems": problems,
                "typed": form.typed(),
            });
            web.templates.page(StatusCode::UNPROCESSABLE_ENTITY, "panels.html", c)
        }
        Err(e) => failed(&web, e),
    }
}

fn id(text: &str) -> Result<PanelId, ServiceError> {
    Uuid::try_parse(text).map(PanelId).map_err(|_| ServiceError::NotFound)
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
    let found = match id(&text) {
        Ok(id) => web.service.panel(&session.caller, id).await,
        Err(e) => Err(e),
    };
    match found {
        Ok(l) => {
            let lines: Vec<_> = l
                .lines
                .iter()
                .map(|x| {
                    let mut line = json!(x);
                    line["reference"] = json!(x.reference);
                    line
                })
                .collect();
            let c = json!({
                "frame": frame,
                "panel": { "id": l.panel.id, "name": l.panel.name, "held_on": l.panel.held_on },
                "lines": lines,
                "may_change": may(&session.caller, Action::ChangePanels, Object::default()),
            });
            web.templates.page(StatusCode::OK, "panel.html", c)
        }
        Err(e) => failed(&web, e),
    }
}

pub(super) async fn csv(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Response {
    let (session, _) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let found = match id(&text) {
        Ok(id) => web.service.panel(&session.caller, id).await,
        Err(e) => Err(e),
    };
    match found {
        Ok(l) => crate::web::api::panel_csv(&l),
        Err(e) => failed(&web, e),
    }
}

pub(super) async fn take_off(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let reason = if form.get("reason").is_empty() { "no reason given" } else { form.get("reason") };
    let done = match (id(&text), Reference::parse(form.get("reference"))) {
        (Ok(id), Some(r)) => web.service.take_off_panel(&session.caller, id, &r, reason).await,
        _ => Err(ServiceError::NotFound),
    };
    match done {
        Ok(()) => see_other(&format!("/panels/{text}")),
        Err(e) => failed(&web, e),
    }
}
