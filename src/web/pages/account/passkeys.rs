//! Adding and removing passkeys.

use super::{complete, sensitive};
use crate::auth::enter::Added;
use crate::auth::passkey::named;
use crate::auth::session::note;
use crate::platform::fresh;
use crate::store::{PasskeyRow, StoreError};
use crate::web::Web;
use crate::web::json_answer;
use crate::web::pages::failed;
use crate::web::pages::sign::passkey::{no, none_here};
use crate::web::pages::sign::{STEP_SECONDS, first_page, welcome};
use crate::web::render::see_other;
use crate::web::visitor::{Cookie, From};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::json;

pub(super) async fn offer(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, _, _) = match sensitive(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let Some(passkeys) = &web.door.passkeys else { return none_here() };
    let (store, now) = (&web.service.store, web.service.clock.now());
    match passkeys.offer(store, session.user, &session.email, &session.name, now).await {
        Ok((offer, word)) => {
            let mut r = json_answer(&offer);
            let cookie = Cookie::Step.set(&web, &word, STEP_SECONDS);
            r.headers_mut().append(header::SET_COOKIE, cookie);
            r
        }
        Err(e) => failed(&web, e.into()),
    }
}

pub(super) async fn answer(
    State(web): State<Web>,
    visitor: From,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (session, _, form) = match sensitive(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let Some(passkeys) = &web.door.passkeys else { return none_here() };
    let Some(word) = Cookie::Step.read(&web, &headers) else {
        return no(StatusCode::FORBIDDEN, "This took too long. Begin again.");
    };
    let (store, now) = (&web.service.store, web.service.clock.now());
    let done = async {
        let answer = form.get("answer");
        let Some((credential, data)) =
            passkeys.accept(store, session.user, &word, answer, now).await?
        else {
            return Ok(None);
        };
        let others = store.passkeys_of(session.user).await?;
        let row = PasskeyRow {
            id: fresh::id(),
            user_id: session.user,
            credential,
            name: named(form.get("name"), &visitor.0.agent, &others),
            data,
            created_at: now,
            used_at: None,
        };
        if !store.add_passkey(row, note(session.user, "passkey_added", now)).await? {
            return Ok(None);
        }
        let opened = complete(&web, &session, &headers, &visitor, Added::Factor).await?;
        Ok::<_, StoreError>(Some(opened))
    };
    match done.await {
        Ok(Some(Some(opened))) => {
            let to = json_answer(&json!({ "to": first_page(&opened) }));
            welcome(&web, &opened, to)
        }
        Ok(Some(None)) => json_answer(&json!({ "to": "/account" })),
        Ok(None) => no(
            StatusCode::UNPROCESSABLE_ENTITY,
            "That passkey could not be added: it is known here already, or did not prove itself. Begin again.",
        ),
        Err(e) => failed(&web, e.into()),
    }
}

pub(super) async fn remove(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, _, form) = match sensitive(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let Ok(id) = form.get("passkey").parse() else {
        return failed(&web, crate::service::ServiceError::NotFound);
    };
    let (store, now) = (&web.service.store, web.service.clock.now());
    let done = async {
        let has = store.factors(session.user).await?;
        let password = store.user(session.user).await?.is_some_and(|u| !u.password_hash.is_empty());
        // A way in must be left, with two factors where two are asked for.
        let left = has.passkeys > 1
            || has.outside > 0
            || (password && (has.apps > 0 || !web.door.required));
        if !left {
            return Ok(Err("Add another way to sign in first: this is the last one."));
        }
        let line = note(session.user, "passkey_removed", now);
        store.remove_passkey(session.user, id, line).await?;
        Ok::<_, StoreError>(Ok(()))
    };
    match done.await {
        Ok(Ok(())) => see_other("/account"),
        Ok(Err(why)) => {
            web.templates.error(StatusCode::UNPROCESSABLE_ENTITY, "That was not done", why)
        }
        Err(e) => failed(&web, e.into()),
    }
}
