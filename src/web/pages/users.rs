//! Accounts, for administrators.

use super::{Frame, change, failed, signed_in};
use crate::auth::policy::{Action, Object, Role, may};
use crate::auth::session::Session;
use crate::service::{Invited, ServiceError};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::render::see_other;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/users", get(list).post(invite)).route("/users/{id}/{what}", post(alter))
}

async fn page(
    web: &Web,
    s: &Session,
    frame: &Frame,
    form: &Form,
    errors: Map<String, Value>,
) -> Response {
    let people = match web.service.people(&s.caller).await {
        Ok(p) => p,
        Err(e) => return failed(web, e),
    };
    let today = web.service.directory();
    let mut areas: Vec<(String, String)> = web
        .service
        .areas_of(&s.caller)
        .iter()
        .filter_map(|a| today.area(a))
        .map(|a| (a.id.clone(), a.name.clone()))
        .collect();
    let agencies: Vec<(String, String)> = areas
        .iter()
        .filter_map(|(id, _)| today.area(id))
        .flat_map(|a| a.agencies.iter().map(|g| (g.id.clone(), g.name.clone())))
        .collect();
    if s.caller.covers("*") {
        areas.push(("*".to_owned(), "All areas".to_owned()));
    }
    let roles: Vec<(&str, String)> =
        Role::WORDS.iter().map(|w| (*w, capital(&w.replace('_', " ")))).collect();
    let bad = !errors.is_empty();
    let status = if bad { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let c = json!({
        "frame": frame,
        "people": people,
        "own": s.user,
        "areas": areas,
        "agencies": agencies,
        "roles": roles,
        "typed": form.typed(),
        "errors": errors,
        "hours": web.door.invitation_hours,
    });
    web.templates.page(status, "users.html", c)
}

fn capital(text: &str) -> String {
    let mut c = text.chars();
    c.next().map_or_else(String::new, |f| f.to_uppercase().chain(c).collect())
}

async fn list(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    page(&web, &session, &frame, &Form::default(), Map::new()).await
}

async fn invite(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let agency = form.get("agency");
    let who = Invited {
        name: form.get("name").to_owned(),
        email: form.get("email").to_owned(),
        role: form.get("role").to_owned(),
        area: form.get("area").to_owned(),
        agency: (!agency.is_empty()).then(|| agency.to_owned()),
    };
    if !may(&session.caller, Action::ManageUsers, Object::default()) {
        return failed(&web, ServiceError::Forbidden);
    }
    match web.service.invite(&session.caller, &who, web.door.invitation_hours, true).await {
        Ok(_) => see_other("/users"),
        Err(ServiceError::Invalid(problems)) => {
            let label = |field: &str| match field {
                "name" => "The name",
                "email" => "This address",
                "role" => "A role",
                "area" => "This",
                _ => "An agency",
            };
            let errors = problems
                .iter()
                .map(|p| (p.field.clone(), format!("{} {}", label(&p.field), p.message).into()))
                .collect();
            page(&web, &session, &frame, &form, errors).await
        }
        Err(e) => failed(&web, e),
    }
}

async fn alter(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((id, what)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (session, _, _) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let Ok(id) = id.parse::<Uuid>() else { return failed(&web, ServiceError::NotFound) };
    let (service, hours) = (&web.service, web.door.invitation_hours);
    let done = match what.as_str() {
        "disable" => service.set_disabled(&session.caller, id, true).await,
        "enable" => service.set_disabled(&session.caller, id, false).await,
        "reset" => service.reset_factors(&session.caller, id, hours).await,
        "invite" => service.invite_again(&session.caller, id, hours).await,
        _ => Err(ServiceError::NotFound),
    };
    match done {
        Ok(()) => see_other("/users"),
        Err(ServiceError::Invalid(p)) => {
            let why: Vec<String> =
                p.iter().map(|p| format!("The account {}.", p.message)).collect();
            web.templates.error(
                StatusCode::UNPROCESSABLE_ENTITY,
                "That was not done",
                &why.join(" "),
            )
        }
        Err(e) => failed(&web, e),
    }
}
