//! One case to somebody, and what was handed to me.

use super::super::{case, change, failed, signed_in};
use crate::auth::policy::{Action, Caller};
use crate::domain::civil_time;
use crate::domain::id::Reference;
use crate::domain::intake::Problem;
use crate::service::{AssignWish, ServiceError};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;
use uuid::Uuid;

/// What the fields of the form on a case's page begin with.
const GIVE: &str = "give_";

/// What a form says: to me, to nobody, or to a colleague; with a note and a day, if any. On a page
/// of many forms its fields begin with `prefix`.
pub(super) fn wish(caller: &Caller, form: &Form, prefix: &str) -> Result<AssignWish, Vec<Problem>> {
    let get = |field: &str| form.get(&format!("{prefix}{field}"));
    let mut wrong = Vec::new();
    let mut refuse = |field: &str, code: &'static str, message: &str| {
        let (field, message) = (field.to_owned(), message.to_owned());
        wrong.push(Problem { field, code, message });
    };
    let to = match get("to") {
        "me" => caller.person(),
        "nobody" => None,
        id => {
            let id = Uuid::try_parse(id).ok();
            if id.is_none() {
                refuse("to", "required", "choose who is to have it");
            }
            id
        }
    };
    let until = match get("until") {
        "" => None,
        text => {
            let day = civil_time::parse_day(text);
            if day.is_none() {
                refuse("until", "not_a_date", "must be a day, like 2026-12-01");
            }
            day
        }
    };
    let note = get("note").to_owned();
    if wrong.is_empty() { Ok(AssignWish { to, note, until }) } else { Err(wrong) }
}

pub(super) async fn assign(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    // Whether it is theirs comes before what they typed.
    let reference = match case::guard(&web, &session, &text, Action::ChangeCase).await {
        Ok(r) => r,
        Err(r) => return r,
    };
    let caller = &session.caller;
    let done = match wish(caller, &form, GIVE) {
        Ok(wish) => web.service.assign(caller, &reference, &wish, None).await,
        Err(problems) => Err(ServiceError::Invalid(problems)),
    };
    let done = done.map(drop).map_err(|e| match e {
        ServiceError::Invalid(mut problems) => {
            for p in &mut problems {
                p.field.insert_str(0, GIVE);
            }
            ServiceError::Invalid(problems)
        }
        other => other,
    });
    case::back(&web, &session, &text, &form, done).await
}

pub(super) async fn list(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match web.service.handed_over(&session.caller).await {
        Ok(cases) => {
            let c = json!({ "frame": frame, "cases": cases });
            web.templates.page(StatusCode::OK, "handed.html", c)
        }
        Err(e) => failed(&web, e),
    }
}

/// "I have it": one, or all that the page showed. Back to the case if it came from there.
pub(super) async fn take(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let one = Reference::parse(form.get("reference")).into_iter();
    let shown = super::bulk::ticked(&form).into_iter().map(|(r, _)| r);
    let wanted: Vec<Reference> =
        if form.get("all").is_empty() { one.collect() } else { shown.collect() };
    for reference in wanted {
        match web.service.take_over(&session.caller, &reference).await {
            // Handed on meanwhile: the page shows what is left.
            Ok(_) | Err(ServiceError::Refused(_)) => {}
            Err(e) => return failed(&web, e),
        }
    }
    match Reference::parse(form.get("back")) {
        Some(case) => see_other(&format!("/cases/{case}")),
        None => see_other("/handed"),
    }
}
