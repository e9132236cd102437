//! The page behind the link of an invitation. Looking at it uses nothing up: mail scanners look at
//! every link. Pressing its button opens a session that can set up a sign-in, and nothing else; the
//! link works until that is done.

use super::{WAIT, first_page, welcome};
use crate::auth::throttle;
use crate::store::UserRow;
use crate::web::Web;
use crate::web::pages::{failed, is_ours};
use crate::web::render::see_other;
use crate::web::visitor::From;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

async fn open(web: &Web, visitor: &From, token: &str) -> Result<UserRow, Response> {
    let (store, now) = (&web.service.store, web.service.clock.now());
    let spent = match throttle::other(store, &visitor.0, now).await {
        Ok(Some(s)) => s,
        Ok(None) => {
            return Err(web.templates.error(StatusCode::TOO_MANY_REQUESTS, "Wait a moment", WAIT));
        }
        Err(e) => return Err(failed(web, e.into())),
    };
    let found = async {
        let Some(id) = web.links.open_invitation(token) else { return Ok(None) };
        let live = store.invitation(id).await?.filter(|i| i.used_at.is_none() && now < i.ends_at);
        let Some(invitation) = live else { return Ok(None) };
        Ok(store.user(invitation.user_id).await?.filter(|u| u.disabled_at.is_none()))
    };
    let found: Result<Option<UserRow>, crate::store::StoreError> = found.await;
    match found {
        Ok(Some(user)) => match throttle::give_back(store, spent).await {
            Ok(()) => Ok(user),
            Err(e) => Err(failed(web, e.into())),
        },
        Ok(None) => Err(web.templates.error(
            StatusCode::NOT_FOUND,
            "This link cannot be used any more",
            "It was used before, a newer one was sent, or it is too old. Ask whoever invited you for another.",
        )),
        Err(e) => Err(failed(web, e.into())),
    }
}

pub(super) async fn show(
    State(web): State<Web>,
    visitor: From,
    Path(token): Path<String>,
) -> Response {
    match open(&web, &visitor, &token).await {
        Ok(user) => {
            let c = json!({ "name": user.name, "email": user.email });
            web.templates.page(StatusCode::OK, "invitation.html", c)
        }
        Err(r) => r,
    }
}

pub(super) async fn send(
    State(web): State<Web>,
    visitor: From,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Response {
    let user = match open(&web, &visitor, &token).await {
        Ok(u) => u,
        Err(r) => return r,
    };
    if !is_ours(&headers) {
        return web.templates.error(
            StatusCode::FORBIDDEN,
            "Not from this page",
            "Open the link in the e-mail again and press the button there.",
        );
    }
    let (store, now) = (&web.service.store, web.service.clock.now());
    match web.door.invited(store, user.id, &visitor.0, now).await {
        Ok(opened) => welcome(&web, &opened, see_other(first_page(&opened))),
        Err(e) => failed(&web, e.into()),
    }
}
