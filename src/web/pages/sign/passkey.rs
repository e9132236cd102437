//! Signing in with a passkey, as the script of the page asks for it.

use super::{WAIT, first_page, welcome};
use crate::auth::enter::Entered;
use crate::auth::throttle;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::is_ours;
use crate::web::problem::Problem;
use crate::web::request;
use crate::web::visitor::{Cookie, From};
use crate::web::{json_answer, pages};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An answer to the script: what it shows to the person.
pub(in crate::web::pages) fn no(status: StatusCode, words: &str) -> Response {
    let mut r = json_answer(&json!({ "error": words }));
    *r.status_mut() = status;
    r
}

pub(in crate::web::pages) fn none_here() -> Response {
    no(StatusCode::CONFLICT, "Passkeys cannot be used at this address. Sign in another way.")
}

pub(super) async fn ask(State(web): State<Web>, headers: HeaderMap) -> Response {
    let Some(passkeys) = &web.door.passkeys else { return none_here() };
    if !is_ours(&headers) {
        return no(StatusCode::FORBIDDEN, "Sign in from the sign-in page.");
    }
    match passkeys.ask(&web.service.store, web.service.clock.now()).await {
        Ok((question, word)) => {
            let mut r = json_answer(&question);
            let cookie = Cookie::Step.set(&web, &word, super::STEP_SECONDS);
            r.headers_mut().append(header::SET_COOKIE, cookie);
            r
        }
        Err(e) => Problem::from(crate::service::ServiceError::from(e)).into_response(),
    }
}

pub(super) async fn answer(
    State(web): State<Web>,
    From(visitor): From,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(passkeys) = &web.door.passkeys else { return none_here() };
    let bytes = match request::bytes(&web, body).await {
        Ok(b) => b,
        Err(p) => return p.into_response(),
    };
    let form = Form::parse(&bytes);
    let (store, now) = (&web.service.store, web.service.clock.now());
    let word = Cookie::Step.read(&web, &headers).filter(|_| is_ours(&headers));
    let Some(word) = word else {
        return no(StatusCode::FORBIDDEN, "This sign-in took too long. Begin again.");
    };
    let tried = async {
        // Nobody guesses a passkey: one that fits is let in whatever others have tried from here.
        // What is counted is the noise of those that do not.
        let Some(used) = passkeys.answer(store, &word, form.get("answer"), now).await? else {
            if throttle::other(store, &visitor, now).await?.is_none() {
                return Ok(Entered::Wait);
            }
            store
                .note(crate::store::Note {
                    at: now,
                    actor: "public".to_owned(),
                    action: "passkey_failed",
                    about: None,
                })
                .await?;
            return Ok(Entered::Wrong);
        };
        web.door.passkey(store, used, &visitor, now).await
    };
    match tried.await {
        Ok(Entered::In(opened)) => {
            let to = json_answer(&json!({ "to": first_page(&opened) }));
            welcome(&web, &opened, to)
        }
        Ok(Entered::Wait) => no(StatusCode::TOO_MANY_REQUESTS, WAIT),
        Ok(_) => no(
            StatusCode::UNAUTHORIZED,
            "That passkey does not open an account here. Use another, or sign in another way.",
        ),
        Err(e) => {
            let e: crate::store::StoreError = e;
            pages::failed(&web, e.into())
        }
    }
}
