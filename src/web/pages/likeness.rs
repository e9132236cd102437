//! Cases that may be of one death: the list of pairs, two cases side by side, and what a person
//! decides about them.

use super::{Frame, change, failed, signed_in};
use crate::auth::policy::Caller;
use crate::auth::session::Session;
use crate::domain::case::CaseState;
use crate::domain::event::Settled;
use crate::domain::id::Reference;
use crate::service::{Pairing, ServiceError};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

/// What a case's page shows of all this.
pub(super) async fn part(
    web: &Web,
    caller: &Caller,
    s: &CaseState,
    asked: &Reference,
) -> Result<Value, ServiceError> {
    Ok(json!({
        "pairs": web.service.likenesses_of_case(caller, s.id).await?,
        "accounts": web.service.accounts(caller, s).await?,
        // The reference that was opened, if it is that of a second account.
        "asked": (*asked != s.reference).then_some(asked),
    }))
}

pub(super) async fn list(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match web.service.likenesses(&session.caller).await {
        Ok(pairs) => {
            let c = json!({ "frame": frame, "pairs": pairs });
            web.templates.page(StatusCode::OK, "likeness.html", c)
        }
        Err(e) => failed(&web, e),
    }
}

pub(super) async fn compare(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((one, other)): Path<(String, String)>,
) -> Response {
    let (session, _) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    show(&web, &session, &one, &other, StatusCode::OK, &Form::default(), json!([])).await
}

async fn show(
    web: &Web,
    session: &Session,
    one: &str,
    other: &str,
    status: StatusCode,
    form: &Form,
    problems: Value,
) -> Response {
    let compared = match (Reference::parse(one), Reference::parse(other)) {
        (Some(a), Some(b)) => web.service.compare(&session.caller, &a, &b).await,
        _ => Err(ServiceError::NotFound),
    };
    match compared {
        Ok(c) => {
            let c = json!({
                "frame": Frame::of(session),
                "c": c,
                "typed": form.typed(),
                "problems": problems,
            });
            web.templates.page(status, "compare.html", c)
        }
        Err(e) => failed(web, e),
    }
}

/// `do` says what was decided, `first` which of the two is the first case.
pub(super) async fn decide(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((one, other)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let (Some(a), Some(b)) = (Reference::parse(&one), Reference::parse(&other)) else {
        return failed(&web, ServiceError::NotFound);
    };
    let caller = &session.caller;
    // Before anything of the form is read: a wrong form does not tell a case that is not theirs.
    if let Err(e) = web.service.check_both(caller, &a, &b).await {
        return failed(&web, e);
    }
    let first = Reference::parse(form.get("first"));
    let (first, second) = if first.as_ref() == Some(&b) { (&b, &a) } else { (&a, &b) };
    let reason = form.get("reason");
    let pairing = match form.get("do") {
        "same" => Ok(((first, second), Pairing::Merge)),
        "undo" => Ok(((first, second), Pairing::Unmerge)),
        "not_the_same" => Ok(((&a, &b), Pairing::Settle(Settled::NotTheSame))),
        "related" => Ok(((&a, &b), Pairing::Settle(Settled::Related))),
        _ => Err(crate::service::invalid("do", "required", "Choose what you have decided")),
    };
    let done = match pairing {
        Ok(((x, y), pairing)) => web.service.pair(caller, x, y, pairing, reason, None).await,
        Err(e) => Err(e),
    };
    let to = if form.get("do") == "same" { first } else { &a };
    match done {
        Ok(_) => see_other(&format!("/cases/{to}")),
        Err(e @ (ServiceError::NotFound | ServiceError::Forbidden)) => failed(&web, e),
        Err(e) => {
            let p = crate::web::problem::Problem::from(e);
            let fields = p.errors.as_array().is_some_and(|f| !f.is_empty());
            let problems =
                if fields { p.errors } else { json!([{ "field": "do", "message": p.detail }]) };
            show(&web, &session, &one, &other, p.status, &form, problems).await
        }
    }
}
