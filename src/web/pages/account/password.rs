//! A new password: every other session ends.

use super::{complete, stale};
use crate::auth::enter::Added;
use crate::auth::session::{Session, note};
use crate::auth::{password, throttle};
use crate::web::Web;
use crate::web::pages::sign::{WAIT, first_page, welcome};
use crate::web::pages::{Frame, change_at_all, failed, signed_in_at_all};
use crate::web::render::see_other;
use crate::web::visitor::From;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

fn page(web: &Web, s: &Session, frame: &Frame, has: bool, errors: &Value) -> Response {
    let bad = errors.as_object().is_some_and(|o| !o.is_empty());
    let status = if bad { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let c = json!({ "frame": frame, "email": s.email, "has_password": has, "typed": {}, "errors": errors, "shortest": password::SHORTEST });
    web.templates.page(status, "account_password.html", c)
}

pub(super) async fn show(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (session, frame) = match signed_in_at_all(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match web.service.store.user(session.user).await {
        Ok(user) => {
            let has = user.is_some_and(|u| !u.password_hash.is_empty());
            page(&web, &session, &frame, has, &json!({}))
        }
        Err(e) => failed(&web, e.into()),
    }
}

pub(super) async fn send(
    State(web): State<Web>,
    visitor: From,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (session, frame, form) = match change_at_all(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let (store, now) = (&web.service.store, web.service.clock.now());
    let user = match store.user(session.user).await {
        Ok(Some(u)) => u,
        Ok(None) => return see_other("/sign-in"),
        Err(e) => return failed(&web, e.into()),
    };
    let has = !user.password_hash.is_empty();
    // Not trimmed: a password is what it is.
    let raw = |name: &str| form.typed().get(name).cloned().unwrap_or_default();
    if !has && !super::is_fresh(&web, &session) {
        return stale(&web);
    }
    if has {
        let spent =
            match throttle::password(store, &user.email, Some(user.id), &visitor.0, now).await {
                Ok(Some(s)) => s,
                Ok(None) => return page(&web, &session, &frame, has, &json!({ "current": WAIT })),
                Err(e) => return failed(&web, e.into()),
            };
        if !password::fits(raw("current"), Some(user.password_hash.clone())).await {
            return page(
                &web,
                &session,
                &frame,
                has,
                &json!({ "current": "This is not your password" }),
            );
        }
        if let Err(e) = throttle::give_back(store, spent).await {
            return failed(&web, e.into());
        }
    }
    let new = raw("new");
    if new != raw("again") {
        let errors = json!({ "again": "This is not the same as the one above" });
        return page(&web, &session, &frame, has, &errors);
    }
    if let Err(weak) = web.door.judge(new.clone(), &user).await {
        return page(&web, &session, &frame, has, &json!({ "new": weak.to_string() }));
    }
    let hash = match password::hash(new).await {
        Ok(h) => h,
        Err(e) => return page(&web, &session, &frame, has, &json!({ "new": e.to_string() })),
    };
    let line = note(user.id, "password_changed", now);
    if let Err(e) = store.set_password(user.id, hash, Some(session.digest.clone()), line).await {
        return failed(&web, e.into());
    }
    match complete(&web, &session, &headers, &visitor, Added::Password).await {
        Ok(Some(opened)) => welcome(&web, &opened, see_other(first_page(&opened))),
        Ok(None) => see_other("/account"),
        Err(e) => failed(&web, e.into()),
    }
}
