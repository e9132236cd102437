//! One's own account: how one signs in, and where one is signed in.

mod app;
mod outside;
mod passkeys;
mod password;
mod sessions;

use super::{Frame, change_at_all, failed, signed_in_at_all};
use crate::auth::enter::{Added, In};
use crate::auth::session::{self, Session, Stage};
use crate::store::StoreError;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::visitor::{Cookie, From};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/account", get(show))
        .route("/account/password", get(password::show).post(password::send))
        .route("/account/app", get(app::show).post(app::confirm))
        .route("/account/app/remove", post(app::remove))
        .route("/account/codes", post(app::codes))
        .route("/account/passkeys", post(passkeys::offer))
        .route("/account/passkeys/answer", post(passkeys::answer))
        .route("/account/passkeys/remove", post(passkeys::remove))
        .route("/account/with/{provider}", get(outside::link))
        .route("/account/unlink", post(outside::unlink))
        .route("/account/sessions/end", post(sessions::end))
        .route("/account/sessions/end-others", post(sessions::end_others))
}

async fn show(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in_at_all(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match context(&web, &session, &frame).await {
        Ok(c) => web.templates.page(StatusCode::OK, "account.html", c),
        Err(e) => failed(&web, e.into()),
    }
}

async fn context(web: &Web, s: &Session, frame: &Frame) -> Result<Value, StoreError> {
    let (store, now) = (&web.service.store, web.service.clock.now());
    let has = store.factors(s.user).await?;
    let password = store.user(s.user).await?.is_some_and(|u| !u.password_hash.is_empty());
    let passkeys: Vec<_> = store
        .passkeys_of(s.user)
        .await?
        .into_iter()
        .map(|p| json!({ "id": p.id, "name": p.name, "created_at": p.created_at, "used_at": p.used_at }))
        .collect();
    let linked = store.outsides_of(s.user).await?;
    let providers: Vec<_> = web
        .door
        .providers
        .iter()
        .map(|p| {
            let link = linked.iter().find(|l| l.provider == p.id());
            json!({ "id": p.id(), "label": p.label(), "linked_at": link.map(|l| l.linked_at) })
        })
        .collect();
    let sessions: Vec<_> = session::list(store, s.user, now, web.door.limits)
        .await?
        .into_iter()
        .map(|l| {
            json!({
                "key": crate::platform::crypt::hex(&l.digest),
                "here": l.digest == s.digest,
                "device": l.device,
                "how": how(web, &l.how),
                "created_at": l.created_at,
                "seen_at": l.seen_at,
            })
        })
        .collect();
    Ok(json!({
        "frame": frame,
        "email": s.email,
        "enrol": s.stage == Stage::Enrol,
        "required": web.door.required,
        "fresh": is_fresh(web, s),
        "has": has,
        "password": password,
        "passkeys": passkeys,
        "can_passkey": web.door.passkeys.is_some(),
        "providers": providers,
        "sessions": sessions,
    }))
}

/// How a session was opened, in words.
fn how(web: &Web, text: &str) -> String {
    text.split('+')
        .map(|part| match part {
            "password" => "password",
            "code" => "app code",
            "recovery" => "recovery code",
            "passkey" => "passkey",
            "invitation" => "invitation",
            other => web.door.provider(other).map_or("another service", |p| p.label()),
        })
        .collect::<Vec<_>>()
        .join(" and ")
}

fn is_fresh(web: &Web, s: &Session) -> bool {
    s.stage == Stage::Enrol || s.is_fresh(web.service.clock.now())
}

/// A change of how one signs in: only shortly after a sign-in, so that a browser left open does not
/// give an account away.
async fn sensitive(
    web: &Web,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Session, Frame, Form), Response> {
    let found = change_at_all(web, headers, body).await?;
    if is_fresh(web, &found.0) { Ok(found) } else { Err(stale(web)) }
}

fn stale(web: &Web) -> Response {
    web.templates.error(
        StatusCode::FORBIDDEN,
        "Sign in again first",
        "To change how you sign in, sign out and in again: your last sign-in is more than 20 minutes ago. Nothing was changed.",
    )
}

/// After something was set up: the session that could only do that becomes a whole one.
async fn complete(
    web: &Web,
    s: &Session,
    headers: &HeaderMap,
    visitor: &From,
    added: Added,
) -> Result<Option<In>, StoreError> {
    let cookie = Cookie::Session.read(web, headers).unwrap_or_default();
    let now = web.service.clock.now();
    web.door.complete(&web.service.store, s, &cookie, added, &visitor.0, now).await
}
