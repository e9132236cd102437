//! An agency's part of a response: a page of its own for whoever may enter it and not read the case,
//! and the form on the case's page.

use super::case::{again, looking, posted};
use super::{Frame, failed};
use crate::auth::policy::Action;
use crate::auth::session::Session;
use crate::domain::event::Person;
use crate::domain::id::Reference;
use crate::service::{ServiceError, Wish};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::problem::Problem;
use crate::web::render::see_other;
use crate::web::request;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let (session, _, reference) = match looking(&web, &headers, &text, Action::EnterPlan).await {
        Ok(l) => l,
        Err(r) => return r,
    };
    let done = request::query(query.as_deref()).contains_key("done");
    page(&web, &session, &reference, &Form::default(), done, StatusCode::OK, &json!([])).await
}

/// Whether somebody has a part in the response to a case that they may not read.
pub(super) async fn is_theirs(web: &Web, session: &Session, text: &str) -> bool {
    match Reference::parse(text) {
        Some(r) => {
            session.caller.agency.is_some()
                && web.service.check(&session.caller, &r, Action::EnterPlan).await.is_ok()
        }
        None => false,
    }
}

async fn page(
    web: &Web,
    session: &Session,
    reference: &Reference,
    form: &Form,
    done: bool,
    status: StatusCode,
    problems: &Value,
) -> Response {
    let part = match web.service.plan_part(&session.caller, reference).await {
        Ok(p) => p,
        Err(e) => return failed(web, e),
    };
    let c = json!({
        "frame": Frame::of(session),
        "p": part,
        "call_back": part.call_back,
        "done": done,
        "typed": form.typed(),
        "problems": problems,
    });
    web.templates.page(status, "plan.html", c)
}

pub(super) async fn enter(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let action = Action::EnterPlan;
    let (session, reference, form) = match posted(&web, &headers, &text, body, action).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let agency = session.caller.agency.clone().unwrap_or_else(|| form.get("agency").to_owned());
    let wish = Wish::Plan {
        agency,
        person: Person { name: form.get("who").to_owned(), ..Person::default() },
        entry: form.get("entry").to_owned(),
    };
    let done = web.service.change(&session.caller, &reference, wish, None).await;
    let reads = web.service.check(&session.caller, &reference, Action::ReadCase).await.is_ok();
    match done {
        Ok(_) if reads => see_other(&format!("/cases/{reference}")),
        Ok(_) => see_other(&format!("/cases/{reference}/plan?done=yes")),
        Err(e @ (ServiceError::NotFound | ServiceError::Forbidden)) => failed(&web, e),
        Err(e) if reads => again(&web, &session, &text, &form, e).await,
        Err(e) => {
            let p = Problem::from(e);
            let fields = p.errors.as_array().is_some_and(|f| !f.is_empty());
            let main = json!([{ "field": "main", "message": p.detail }]);
            let problems = if fields { p.errors } else { main };
            page(&web, &session, &reference, &form, false, p.status, &problems).await
        }
    }
}
