//! Subject access: a copy of what a case holds about a living person, to be reviewed and released
//! by hand. The name is posted, so that it stands in no address.

use super::{change, failed, signed_in};
use crate::auth::policy::{Action, Object, may};
use crate::domain::id::Reference;
use crate::service::ServiceError;
use crate::web::Web;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

pub(super) async fn form(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if !may(&session.caller, Action::SubjectAccess, Object::default()) {
        return failed(&web, ServiceError::Forbidden);
    }
    let c = json!({ "frame": frame, "typed": {} });
    web.templates.page(StatusCode::OK, "subject_access.html", c)
}

pub(super) async fn make(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if !may(&session.caller, Action::SubjectAccess, Object::default()) {
        return failed(&web, ServiceError::Forbidden);
    }
    let made = match Reference::parse(form.get("reference")) {
        Some(r) => web.service.subject_access(&session.caller, &r, form.get("name")).await,
        None => Err(ServiceError::NotFound),
    };
    let problem = match made {
        Ok(copy) if form.get("format") == "json" => {
            let kind = "application/json";
            let name = "attachment; filename=\"subject-access.json\"";
            let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)];
            return (headers, json!(copy).to_string()).into_response();
        }
        Ok(copy) => {
            let c = json!({ "frame": frame, "s": copy });
            return web.templates.page(StatusCode::OK, "subject_copy.html", c);
        }
        Err(ServiceError::NotFound) => {
            ("reference", "No case of yours has this reference".to_owned())
        }
        Err(ServiceError::Invalid(p)) => {
            ("name", p.first().map(|p| p.message.clone()).unwrap_or_default())
        }
        Err(e) => return failed(&web, e),
    };
    let c = json!({ "frame": frame, "typed": form.typed(), "problems": [{ "field": problem.0, "message": problem.1 }] });
    web.templates.page(StatusCode::UNPROCESSABLE_ENTITY, "subject_access.html", c)
}
