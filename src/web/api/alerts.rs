//! Alerts of a case, acknowledgements, and dead letters put back.

use super::cases::{fields, reference};
use super::json;
use crate::auth::policy::{Action, Object as Of, may};
use crate::domain::event::{Means, Person};
use crate::domain::id::AlertId;
use crate::domain::intake::Object;
use crate::service::{Acknowledgement, HandOn, Reply, ServiceError};
use crate::web::Web;
use crate::web::problem::Problem;
use crate::web::request::{self, bearer};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) async fn of_case(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let alerts = web.service.case_alerts(&caller, &reference(&text)?).await?;
    Ok(json(StatusCode::OK, &json!({ "items": alerts, "next": null })))
}

fn id(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::not_found())
}

pub(super) async fn acknowledge(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let alert = AlertId(id(&text)?);
    let bytes = request::bytes(&web, body).await?;
    let value = if bytes.is_empty() { Value::Null } else { request::json(&bytes)? };
    let ack = fields(value, |o| Acknowledgement {
        person: Person {
            name: o.text("name").unwrap_or_default(),
            role: o.text("role").unwrap_or_default(),
            agency: String::new(),
        },
        note: o.text("note").unwrap_or_default(),
        means: o
            .choice("by", &["self", "telephone"], |w| match w {
                "self" => Some(Means::Themselves),
                "telephone" => Some(Means::Telephone),
                _ => None,
            })
            .unwrap_or(Means::Themselves),
        reply: reply(o),
    })?;
    let done = web.service.acknowledge(&caller, alert, ack).await?;
    let held = done.state.alerts.get(&alert).and_then(|a| a.acknowledged.as_ref());
    let now = done.state.alerts.get(&alert);
    let body = json!({
        "alert_id": alert,
        "reference": done.state.reference,
        "state": if held.is_some() { "acknowledged" } else { "opened" },
        "phase": now.map(|a| a.progress.phase),
        "next_step_at": now.and_then(|a| a.progress.next_at),
        "acknowledged_at": held.map(|a| a.at),
        "acknowledged_by": held.map(|a| a.person.name.clone()),
        "repeated": done.unchanged,
    });
    Ok(json(if done.unchanged { StatusCode::OK } else { StatusCode::CREATED }, &body))
}

/// "Can attend", unless they say that they cannot; then whom they hand it on to.
fn reply(o: &mut Object<'_>) -> Reply {
    let words = ["can_attend", "cannot"];
    let cannot = o.choice("answer", &words, |w| words.contains(&w).then_some(w == "cannot"));
    let to = o.text("hand_on_to").unwrap_or_default();
    let reach = o.text("hand_on_reach").unwrap_or_default();
    if cannot == Some(true) { Reply::Cannot(HandOn { to, reach }) } else { Reply::CanAttend }
}

pub(super) async fn replay(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    if !may(&caller, Action::ReplayDelivery, Of::default()) {
        return Err(ServiceError::Forbidden.into());
    }
    let delivery = id(&text)?;
    if !web.service.replay(&caller, delivery).await? {
        return Err(Problem::not_found());
    }
    Ok(json(StatusCode::OK, &json!({ "delivery_id": delivery, "state": "due" })))
}
