//! The authenticator app and the recovery codes.

use super::{complete, sensitive, stale};
use crate::auth::enter::{self, Added};
use crate::auth::session::{Session, note};
use crate::auth::{recovery, totp};
use crate::store::{ServiceKey, StoreError};
use crate::web::Web;
use crate::web::pages::sign::{WAIT, welcome};
use crate::web::pages::{Frame, failed, signed_in_at_all};
use crate::web::render::see_other;
use crate::web::visitor::From;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

/// A new secret, which waits to be confirmed; none if one is in use. Never the one that was shown
/// before: whoever saw that would have the owner's codes.
async fn propose(web: &Web, s: &Session) -> Result<Option<Vec<u8>>, StoreError> {
    let (store, place) = (&web.service.store, totp::place(s.user));
    if store.totp(s.user).await?.is_some_and(|row| row.confirmed_at.is_some()) {
        return Ok(None);
    }
    let secret = totp::secret()?;
    let sealed = store.service_key(ServiceKey::SignIn).seal(&place, &secret)?;
    store.propose_totp(s.user, sealed).await?;
    Ok(Some(secret))
}

/// The secret that waits to be confirmed. None if one is in use, or if none was shown.
async fn proposed(web: &Web, s: &Session) -> Result<Option<Vec<u8>>, StoreError> {
    let (store, place) = (&web.service.store, totp::place(s.user));
    match store.totp(s.user).await? {
        Some(row) if row.confirmed_at.is_none() => {
            Ok(Some(store.service_key(ServiceKey::SignIn).open(&place, &row.sealed)?))
        }
        _ => Ok(None),
    }
}

fn page(web: &Web, s: &Session, frame: &Frame, secret: &[u8], error: Option<&str>) -> Response {
    let uri = totp::uri(secret, &s.email);
    let base32 = totp::base32(secret);
    let groups: Vec<&str> =
        base32.as_bytes().chunks(4).filter_map(|c| std::str::from_utf8(c).ok()).collect();
    let errors = error.map_or_else(|| json!({}), |e| json!({ "code": e }));
    let c = json!({
        "frame": frame,
        "square": totp::square(&uri),
        "uri": uri,
        "secret": groups.join(" "),
        "typed": {},
        "errors": errors,
    });
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    web.templates.page(status, "account_app.html", c)
}

pub(super) async fn show(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in_at_all(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if !super::is_fresh(&web, &session) {
        return stale(&web);
    }
    match propose(&web, &session).await {
        Ok(Some(secret)) => page(&web, &session, &frame, &secret, None),
        Ok(None) => see_other("/account"),
        Err(e) => failed(&web, e.into()),
    }
}

pub(super) async fn confirm(
    State(web): State<Web>,
    visitor: From,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (session, frame, form) = match sensitive(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let secret = match proposed(&web, &session).await {
        Ok(Some(s)) => s,
        Ok(None) => return see_other("/account"),
        Err(e) => return failed(&web, e.into()),
    };
    let (store, now) = (&web.service.store, web.service.clock.now());
    let Some(step) = totp::fits(&secret, form.get("code"), now) else {
        let wrong = "The code does not fit. Enter the one that the app shows now";
        return page(&web, &session, &frame, &secret, Some(wrong));
    };
    let made = async {
        let (codes, digests) = fresh_codes(&web)?;
        let line = note(session.user, "app_added", now);
        let confirmed = store.confirm_totp(session.user, step, digests, line).await?;
        if !confirmed {
            return Ok(None);
        }
        let opened = complete(&web, &session, &headers, &visitor, Added::Factor).await?;
        Ok::<_, StoreError>(Some((codes, opened)))
    };
    match made.await {
        Ok(Some((codes, opened))) => {
            let r = codes_page(&web, &frame, &codes);
            match opened {
                Some(opened) => welcome(&web, &opened, r),
                None => r,
            }
        }
        Ok(None) => see_other("/account"),
        Err(e) => failed(&web, e.into()),
    }
}

fn fresh_codes(web: &Web) -> Result<(Vec<String>, Vec<Vec<u8>>), StoreError> {
    let key = web.service.store.service_key(ServiceKey::SignIn);
    let codes = recovery::make()?;
    let digests = codes.iter().map(|c| recovery::digest(key, c)).collect();
    Ok((codes, digests))
}

/// Shown once: what is kept of them cannot be shown again.
fn codes_page(web: &Web, frame: &Frame, codes: &[String]) -> Response {
    // The forms around the page would carry the word of a session that was replaced.
    let frame = Frame { enrol: true, ..frame.clone() };
    let c = json!({ "frame": frame, "codes": codes });
    web.templates.page(StatusCode::OK, "account_codes.html", c)
}

pub(super) async fn codes(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, frame, _) = match sensitive(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let now = web.service.clock.now();
    let made = async {
        let (codes, digests) = fresh_codes(&web)?;
        let line = note(session.user, "recovery_codes_made", now);
        web.service.store.set_codes(session.user, digests, line).await?;
        Ok::<_, StoreError>(codes)
    };
    match made.await {
        Ok(codes) => codes_page(&web, &frame, &codes),
        Err(e) => failed(&web, e.into()),
    }
}

/// Takes the app off, with a code of it: a browser left open is not enough.
pub(super) async fn remove(
    State(web): State<Web>,
    From(visitor): From,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (session, _, form) = match sensitive(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let (store, now) = (&web.service.store, web.service.clock.now());
    let done = async {
        let has = store.factors(session.user).await?;
        if web.door.required && has.passkeys == 0 {
            return Ok(Err("Add a passkey first: every account here has a second factor."));
        }
        let Some(spent) = crate::auth::throttle::code(store, session.user, &visitor, now).await?
        else {
            return Ok(Err(WAIT));
        };
        if !enter::takes_code(store, session.user, form.get("code"), now).await? {
            store.note(note(session.user, "second_factor_failed", now)).await?;
            return Ok(Err(
                "The code does not fit, or was used before. Go back and enter the one that the app shows now.",
            ));
        }
        crate::auth::throttle::give_back(store, spent).await?;
        store.remove_totp(session.user, note(session.user, "app_removed", now)).await?;
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
