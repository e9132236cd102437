//! Signing in by an account elsewhere, and linking one.

use super::{first_page, page, welcome};
use crate::auth::enter::{Added, Entered};
use crate::auth::outside::{Back, Turned, Vouched};
use crate::auth::session::{Stage, note};
use crate::store::OutsideRow;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::{failed, signed_in_at_all};
use crate::web::render::see_other;
use crate::web::visitor::{Cookie, From};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use uuid::Uuid;

/// Sends the browser to a provider.
pub(in crate::web::pages) async fn begin(web: &Web, id: &str, link: Option<Uuid>) -> Response {
    let Some(provider) = web.door.provider(id) else {
        return failed(web, crate::service::ServiceError::NotFound);
    };
    match provider.begin(&web.service.store, link, web.service.clock.now()).await {
        Ok((to, word)) => {
            let mut r = see_other(&to);
            let cookie = Cookie::Step.set(web, &word, super::STEP_SECONDS);
            r.headers_mut().append(header::SET_COOKIE, cookie);
            r
        }
        Err(e) => turned(web, e),
    }
}

/// Why nothing was opened, on the sign-in page.
fn turned(web: &Web, e: Turned) -> Response {
    let status = match &e {
        Turned::Store(_) => {
            let Turned::Store(e) = e else { return page(web, StatusCode::OK, "", None) };
            return failed(web, e.into());
        }
        Turned::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
        Turned::Stale => StatusCode::BAD_REQUEST,
        Turned::Refused(_) | Turned::Unproven(_) => StatusCode::UNAUTHORIZED,
        Turned::Tenant | Turned::Assurance(_) => StatusCode::FORBIDDEN,
    };
    page(web, status, "", Some(&e.to_string()))
}

pub(super) async fn sign_in(State(web): State<Web>, Path(id): Path<String>) -> Response {
    begin(&web, &id, None).await
}

pub(super) async fn back(
    State(web): State<Web>,
    visitor: From,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(provider) = web.door.provider(&id) else {
        return failed(&web, crate::service::ServiceError::NotFound);
    };
    let said = Form::parse(query.unwrap_or_default().as_bytes());
    let part = |name: &str| said.typed().get(name).cloned();
    let back =
        Back { code: part("code"), state: part("state"), error: part("error"), iss: part("iss") };
    let Some(word) = Cookie::Step.read(&web, &headers) else {
        return turned(&web, Turned::Stale);
    };
    let (store, now) = (&web.service.store, web.service.clock.now());
    let vouched = match provider.finish(store, &word, &back, now).await {
        Ok(v) => v,
        Err(e) => return turned(&web, e),
    };
    if let Some(user) = vouched.link {
        return link(&web, &id, visitor, &headers, user, vouched).await;
    }
    let user = match store.outside(&vouched.issuer, &vouched.subject).await {
        Ok(u) => u,
        Err(e) => return failed(&web, e.into()),
    };
    let Some(user) = user else {
        let words = format!(
            "Your account at {} is not linked to one here. Open the link in your invitation, or sign in another way and link it on the page \"Your account\"",
            provider.label()
        );
        return page(&web, StatusCode::FORBIDDEN, "", Some(&words));
    };
    let kept = store.used_outside(vouched.issuer, vouched.subject, now).await;
    let entered = match kept {
        Ok(()) => web.door.vouched(store, provider, user, &visitor.0, now).await,
        Err(e) => Err(e),
    };
    match entered {
        Ok(Entered::In(opened)) => welcome(&web, &opened, see_other(first_page(&opened))),
        Ok(Entered::Second(word)) => {
            let mut r = see_other("/sign-in/code");
            let cookie = Cookie::Step.set(&web, &word, super::STEP_SECONDS);
            r.headers_mut().append(header::SET_COOKIE, cookie);
            r
        }
        Ok(_) => page(
            &web,
            StatusCode::FORBIDDEN,
            "",
            Some("Your account here is closed. Ask the panel office if you need it"),
        ),
        Err(e) => failed(&web, e.into()),
    }
}

/// Links an account elsewhere to the one that is signed in, which must be the one that began it.
async fn link(
    web: &Web,
    provider: &str,
    From(visitor): From,
    headers: &HeaderMap,
    user: Uuid,
    vouched: Vouched,
) -> Response {
    let (session, _) = match signed_in_at_all(web, headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if session.user != user {
        return turned(web, Turned::Stale);
    }
    let (store, now) = (&web.service.store, web.service.clock.now());
    let row = OutsideRow {
        issuer: vouched.issuer,
        subject: vouched.subject,
        user_id: user,
        provider: provider.to_owned(),
        linked_at: now,
        used_at: None,
    };
    match store.add_outside(row, note(user, "outside_account_linked", now)).await {
        Ok(true) => {}
        Ok(false) => {
            return web.templates.error(
                StatusCode::CONFLICT,
                "That was not done",
                "That account is linked already, to this one or to another here. Nothing was changed.",
            );
        }
        Err(e) => return failed(web, e.into()),
    }
    let theirs = web.door.provider(provider).is_some_and(|p| !p.asks_ours());
    if session.stage == Stage::Enrol && theirs {
        let cookie = Cookie::Session.read(web, headers).unwrap_or_default();
        let done = web.door.complete(store, &session, &cookie, Added::Outside, &visitor, now).await;
        match done {
            Ok(Some(opened)) => return welcome(web, &opened, see_other(first_page(&opened))),
            Ok(None) => {}
            Err(e) => return failed(web, e.into()),
        }
    }
    see_other("/account")
}
