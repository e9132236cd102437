//! Who may open a case: the named list, legal holds, break-glass.

use super::{case, change, failed, signed_in};
use crate::auth::policy::{Action, Object, may};
use crate::auth::session::Session;
use crate::domain::id::Reference;
use crate::service::ServiceError;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;
use uuid::Uuid;

/// People ticked on the form: `person.<id>`, so that each is a field of its own.
fn ticked(form: &Form) -> Vec<Uuid> {
    let names = form.typed().keys().filter_map(|k| k.strip_prefix("person."));
    names.filter_map(|id| Uuid::try_parse(id).ok()).collect()
}

/// Back to the case's page, or for a guardian who is not on its list to the page of its looks.
async fn back(
    web: &Web,
    session: &Session,
    text: &str,
    form: &Form,
    done: Result<(), ServiceError>,
) -> Response {
    let reads = case::guard(web, session, text, Action::ReadCase).await.is_ok();
    if reads {
        return case::back(web, session, text, form, done).await;
    }
    let audits = may(&session.caller, Action::ReadAudit, Object::default());
    match done {
        Ok(()) if audits => see_other(&format!("/audit/cases/{text}")),
        // They took themselves off the list.
        Ok(()) => see_other("/"),
        Err(e) => failed(web, e),
    }
}

pub(super) async fn restrict(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let done = match Reference::parse(&text) {
        Some(r) => {
            let reason = form.get("access_reason");
            web.service.restrict(&session.caller, &r, reason, &ticked(&form)).await
        }
        None => Err(ServiceError::NotFound),
    };
    back(&web, &session, &text, &form, done).await
}

pub(super) async fn unrestrict(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let done = match Reference::parse(&text) {
        Some(r) => web.service.unrestrict(&session.caller, &r, form.get("lift_reason")).await,
        None => Err(ServiceError::NotFound),
    };
    back(&web, &session, &text, &form, done).await
}

pub(super) async fn hold(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let lift = form.get("lift") == "yes";
    let done = match Reference::parse(&text) {
        Some(r) => web.service.hold(&session.caller, &r, form.get("hold_reason"), lift).await,
        None => Err(ServiceError::NotFound),
    };
    back(&web, &session, &text, &form, done).await
}

pub(super) async fn glass_form(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if !may(&session.caller, Action::BreakGlass, Object::default()) {
        return failed(&web, ServiceError::Forbidden);
    }
    let c = json!({ "frame": frame, "typed": {} });
    web.templates.page(StatusCode::OK, "break_glass.html", c)
}

/// The answer for a case that is not restricted, not theirs or not there is one and the same.
pub(super) async fn break_glass(
    State(web): State<Web>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let reference = Reference::parse(form.get("reference"));
    let done = match &reference {
        Some(r) => web.service.break_glass(&session.caller, r, form.get("reason")).await,
        None if may(&session.caller, Action::BreakGlass, Object::default()) => {
            Err(ServiceError::NotFound)
        }
        None => Err(ServiceError::Forbidden),
    };
    let problem = match (done, reference) {
        (Ok(()), Some(r)) => return see_other(&format!("/cases/{r}")),
        (Err(ServiceError::NotFound), _) | (Ok(()), None) => {
            ("reference", "No restricted case of your area has this reference".to_owned())
        }
        (Err(ServiceError::Invalid(problems)), _) => {
            let said = problems.first().map(|p| p.message.clone()).unwrap_or_default();
            ("reason", said)
        }
        (Err(e), _) => return failed(&web, e),
    };
    let c = json!({ "frame": frame, "problems": [{ "field": problem.0, "message": problem.1 }], "typed": form.typed() });
    web.templates.page(StatusCode::UNPROCESSABLE_ENTITY, "break_glass.html", c)
}
