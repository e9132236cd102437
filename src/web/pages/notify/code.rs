//! The resume code: shown, sent to the writer's own address, given to a colleague, typed in again.

use super::super::failed;
use super::flow::{frame, merge};
use super::session;
use super::words::{Said, said};
use crate::service::{FURTHER_HOURS, Held, ServiceError};
use crate::web::form::Form;
use crate::web::render::see_other;
use crate::web::visitor;
use crate::web::{Web, request};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::Duration;
use serde_json::json;

/// Asks for a code.
pub(super) async fn ask(State(web): State<Web>) -> Response {
    asked(&web, StatusCode::OK, &[])
}

fn asked(web: &Web, status: StatusCode, problems: &[Said]) -> Response {
    let errors: std::collections::BTreeMap<_, _> = problems.iter().cloned().collect();
    // A code that was wrong is not repeated on the page: it may be somebody's right one elsewhere.
    let context = json!({ "typed": {}, "errors": errors, "summary": problems });
    web.templates.page(status, "notify/resume.html", context)
}

/// Takes a code; never in an address, where it would be kept.
pub(super) async fn take(
    State(web): State<Web>,
    visitor::From(visitor): visitor::From,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let form = match session::posted(&web, &headers, body).await {
        Ok(f) => f,
        Err(r) => return r,
    };
    let (from, now) = (visitor.address, web.service.clock.now());
    let refuse = |status, text: &str| asked(&web, status, &[("code".to_owned(), text.to_owned())]);
    match web.service.draft(form.get("code")).await {
        Ok(held) => {
            let to = match held.row.sent_at {
                Some(at) if now < at + Duration::hours(FURTHER_HOURS) => "/notify/done",
                // Nothing can be added any more: what they ask is what came of it.
                Some(_) => "/notify/next",
                None => "/notify/check",
            };
            let mut r = see_other(to);
            session::keep(&web, &mut r, &held.code);
            r
        }
        // A code that fits is taken however many others did not: a hospital stands behind one
        // address, and nobody guesses 150 bits.
        Err(ServiceError::NotFound) if !web.codes.may(from, now) => refuse(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many codes that do not fit. Look at yours again in ten minutes, or ring us",
        ),
        Err(ServiceError::NotFound) => {
            web.codes.wrong(from, now);
            refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                "This code does not fit any notification kept here. It has five groups of six letters and digits; look whether all of it is there",
            )
        }
        Err(e) => failed(&web, e),
    }
}

/// The code of this draft, and what can be done with it.
pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let held = match session::held(&web, &headers).await {
        Ok(h) => h,
        Err(r) => return r,
    };
    let done = request::query(query.as_deref()).remove("done").unwrap_or_default();
    shown(&web, &held, &Form::default(), &done, StatusCode::OK, &[])
}

fn shown(
    web: &Web,
    held: &Held,
    typed: &Form,
    done: &str,
    status: StatusCode,
    problems: &[Said],
) -> Response {
    let judged = web.service.judged(held);
    let mut context = frame(web, held, &judged);
    let errors: std::collections::BTreeMap<_, _> = problems.iter().cloned().collect();
    let mut fields = typed.typed().clone();
    if fields.is_empty() {
        fields.insert("_mail".to_owned(), held.draft.get("notifier.email").to_owned());
        fields.insert("_from".to_owned(), held.draft.get("notifier.name").to_owned());
    }
    let sent = held.row.sent_at.is_some();
    let more = json!({
        "typed": fields,
        "errors": errors,
        "summary": problems,
        "done": done,
        "sent": sent,
        "handed_on": held.draft.handed_on,
        "back": if sent { "/notify/done" } else { "/notify/check" },
    });
    merge(&mut context, more);
    web.templates.page(status, "notify/code.html", context)
}

pub(super) async fn mail(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (held, form) = match both(&web, &headers, body, "/notify/code/mail").await {
        Ok(b) => b,
        Err(r) => return r,
    };
    match web.service.mail_draft_code(&held.code, form.get("_mail")).await {
        Ok(()) => see_other("/notify/code?done=mailed"),
        Err(e) => again(&web, &held, &form, e),
    }
}

pub(super) async fn hand_on(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (held, form) = match both(&web, &headers, body, "/notify/code/hand-on").await {
        Ok(b) => b,
        Err(r) => return r,
    };
    match web.service.hand_draft_on(&held.code, form.get("_from"), form.get("_to")).await {
        Ok(_) => see_other("/notify/code?done=handed"),
        Err(e) => again(&web, &held, &form, e),
    }
}

async fn both(
    web: &Web,
    headers: &HeaderMap,
    body: Body,
    action: &str,
) -> Result<(Held, Form), Response> {
    let form = session::posted(web, headers, body).await?;
    Ok((session::held_for(web, headers, &form, action).await?, form))
}

fn again(web: &Web, held: &Held, form: &Form, e: ServiceError) -> Response {
    match e {
        ServiceError::Invalid(p) => {
            shown(web, held, form, "", StatusCode::UNPROCESSABLE_ENTITY, &said(&p))
        }
        e => failed(web, e),
    }
}
