//! Signing in and out: password, code, passkey, another service, invitation.

mod code;
mod invitation;
mod outside;
pub(super) mod passkey;

pub(super) use outside::begin as begin_outside;

use super::{arrived, change_at_all, is_ours};
use crate::auth::enter::{Entered, In};
use crate::auth::session;
use crate::web::Web;
use crate::web::render::see_other;
use crate::web::visitor::{Cookie, From};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

/// How long a browser is known.
const DEVICE_SECONDS: i64 = 365 * 24 * 3600;
/// How long a sign-in may be half way through.
pub(super) const STEP_SECONDS: i64 = 600;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/sign-in", get(show).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/sign-in/code", get(code::show).post(code::send))
        .route("/sign-in/passkey", post(passkey::ask))
        .route("/sign-in/passkey/answer", post(passkey::answer))
        .route("/sign-in/with/{provider}", get(outside::sign_in))
        .route("/sign-in/back/{provider}", get(outside::back))
        .route("/invitation/{token}", get(invitation::show).post(invitation::send))
}

/// The sign-in page with what was typed, never the password.
pub(super) fn page(web: &Web, status: StatusCode, email: &str, error: Option<&str>) -> Response {
    let providers: Vec<_> =
        web.door.providers.iter().map(|p| json!({ "id": p.id(), "label": p.label() })).collect();
    let errors = error.map(|e| json!({ "email": e }));
    let c = json!({
        "typed": { "email": email },
        "error": error,
        "errors": errors.unwrap_or_else(|| json!({})),
        "passkeys": web.door.passkeys.is_some(),
        "providers": providers,
    });
    web.templates.page(status, "sign_in.html", c)
}

/// Sets the cookies of a session that was opened and goes on.
pub(super) fn welcome(web: &Web, opened: &In, mut answer: Response) -> Response {
    let lasts = web.door.limits.absolute.num_seconds();
    let h = answer.headers_mut();
    h.append(header::SET_COOKIE, Cookie::Session.set(web, &opened.session, lasts));
    h.append(header::SET_COOKIE, Cookie::Step.set(web, "", 0));
    if let Some(word) = &opened.device {
        h.append(header::SET_COOKIE, Cookie::Device.set(web, word, DEVICE_SECONDS));
    }
    answer
}

/// Where a session that was opened begins.
pub(super) fn first_page(opened: &In) -> &'static str {
    if opened.enrol { "/account" } else { "/" }
}

pub(super) const WAIT: &str = "Too many attempts from here. Wait a minute and try again, or sign in another way. Browsers that you have signed in with before are not affected by what others try";

async fn show(State(web): State<Web>) -> Response {
    page(&web, StatusCode::OK, "", None)
}

async fn sign_in(
    State(web): State<Web>,
    From(visitor): From,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let form = match arrived(&web, body).await {
        Ok(f) => f,
        Err(page) => return page,
    };
    let email = form.get("email");
    if !is_ours(&headers) {
        return page(&web, StatusCode::FORBIDDEN, email, Some("Sign in from this page"));
    }
    // Not trimmed: a password is what it is.
    let typed = form.typed().get("password").cloned().unwrap_or_default();
    let now = web.service.clock.now();
    let store = &web.service.store;
    match web.door.password(store, email, typed, &visitor, now).await {
        Ok(Entered::In(opened)) => welcome(&web, &opened, see_other(first_page(&opened))),
        Ok(Entered::Second(word)) => {
            let mut r = see_other("/sign-in/code");
            let cookie = Cookie::Step.set(&web, &word, STEP_SECONDS);
            r.headers_mut().append(header::SET_COOKIE, cookie);
            r
        }
        Ok(Entered::Wait) => page(&web, StatusCode::TOO_MANY_REQUESTS, email, Some(WAIT)),
        Ok(Entered::Elsewhere) => {
            let how = "Sign in with the account that is linked to this one: its second factor is asked for there. If it is gone, ask the panel office for a new invitation";
            page(&web, StatusCode::FORBIDDEN, email, Some(how))
        }
        Ok(Entered::Wrong | Entered::Stale) => {
            let wrong = "The e-mail address or the password is not right";
            page(&web, StatusCode::UNAUTHORIZED, email, Some(wrong))
        }
        Err(e) => super::failed(&web, e.into()),
    }
}

async fn sign_out(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let session = match change_at_all(&web, &headers, body).await {
        Ok((s, _, _)) => s,
        Err(r) => return r,
    };
    let now = web.service.clock.now();
    if let Err(e) = session::sign_out(&web.service.store, &session, now).await {
        return super::failed(&web, e.into());
    }
    let mut r = see_other("/sign-in");
    r.headers_mut().append(header::SET_COOKIE, Cookie::Session.set(&web, "", 0));
    r
}
