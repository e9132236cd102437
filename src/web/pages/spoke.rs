//! "Spoke to them by telephone", entered by somebody else with name and time: a page of its own, so
//! that nothing refreshes under whoever is typing.

use super::case::guard;
use super::{Frame, change, failed, signed_in};
use crate::auth::policy::Action;
use crate::auth::session::Session;
use crate::domain::civil_time;
use crate::domain::event::{Means, Person};
use crate::domain::id::{AlertId, Reference};
use crate::service::{Acknowledgement, HandOn, Reply, ServiceError};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::problem::Problem;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((text, id)): Path<(String, String)>,
) -> Response {
    let (session, _) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if let Err(r) = guard(&web, &session, &text, Action::Acknowledge).await {
        return r;
    }
    page(&web, &session, &text, &id, &Form::default(), StatusCode::OK, &Value::Null).await
}

pub(super) async fn send(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((text, id)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if let Err(r) = guard(&web, &session, &text, Action::Acknowledge).await {
        return r;
    }
    let done = match (answer(&form), Uuid::try_parse(&id)) {
        (Ok(ack), Ok(id)) => {
            web.service.acknowledge(&session.caller, AlertId(id), ack).await.map(drop)
        }
        (Err(e), _) => Err(e),
        (_, Err(_)) => Err(ServiceError::NotFound),
    };
    match done {
        Ok(()) => see_other(&format!("/cases/{text}/reached")),
        Err(e @ ServiceError::Invalid(_)) => {
            let p = Problem::from(e);
            page(&web, &session, &text, &id, &form, p.status, &p.errors).await
        }
        Err(e) => failed(&web, e),
    }
}

async fn page(
    web: &Web,
    session: &Session,
    text: &str,
    id: &str,
    form: &Form,
    status: StatusCode,
    problems: &Value,
) -> Response {
    let Some(reference) = Reference::parse(text) else {
        return failed(web, ServiceError::NotFound);
    };
    let alerts = match web.service.case_alerts(&session.caller, &reference).await {
        Ok(a) => a,
        Err(e) => return failed(web, e),
    };
    let Some(a) = alerts.iter().find(|a| a.id.to_string() == id) else {
        return failed(web, ServiceError::NotFound);
    };
    let mut typed = json!(form.typed());
    if form.get("answer").is_empty() {
        typed["answer"] = json!("can");
    }
    let errors: Map<String, Value> = problems
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|p| Some((p["field"].as_str()?.to_owned(), p["message"].clone())))
        .collect();
    let context = json!({
        "frame": Frame::of(session),
        "reference": reference,
        "id": id,
        "agency": a.agency_name,
        "ring": a.ring,
        "typed": typed,
        "errors": errors,
        "problems": problems,
    });
    web.templates.page(status, "spoke.html", context)
}

fn answer(form: &Form) -> Result<Acknowledgement, ServiceError> {
    let telephone = form.get("by") == "telephone";
    let need = |field, m: &str| Err(crate::service::invalid(field, "required", m));
    if telephone && form.get("name").is_empty() {
        return need("name", "Enter the name of the person you spoke to");
    }
    let mut note = form.get("note").to_owned();
    if !form.get("at").is_empty() {
        let Some(at) = civil_time::parse_time(form.get("at")) else {
            return need("at", "The time must be like 03:25");
        };
        let spoke = format!("Spoke at {}.", at.format("%H:%M"));
        note = if note.is_empty() { spoke } else { format!("{spoke} {note}") };
    }
    let reply = match form.get("answer") {
        "cannot" => Reply::Cannot(HandOn {
            to: form.get("to").to_owned(),
            reach: form.get("reach").to_owned(),
        }),
        _ => Reply::CanAttend,
    };
    Ok(Acknowledgement {
        person: Person {
            name: form.get("name").to_owned(),
            role: form.get("role").to_owned(),
            agency: String::new(),
        },
        note,
        means: if telephone { Means::Telephone } else { Means::Themselves },
        reply,
    })
}
