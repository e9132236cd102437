//! Accounts elsewhere: linking and unlinking.

use super::{sensitive, stale};
use crate::auth::session::note;
use crate::store::StoreError;
use crate::web::Web;
use crate::web::pages::sign::begin_outside;
use crate::web::pages::{failed, is_ours, signed_in_at_all};
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

pub(super) async fn link(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(provider): Path<String>,
) -> Response {
    let (session, _) = match signed_in_at_all(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if !super::is_fresh(&web, &session) {
        return stale(&web);
    }
    // Another site could send a browser here in which somebody else is signed in at the provider,
    // and theirs would open this account. The link on the page is pressed by its owner.
    if !is_ours(&headers) {
        return see_other("/account");
    }
    begin_outside(&web, &provider, Some(session.user)).await
}

pub(super) async fn unlink(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, _, form) = match sensitive(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let (store, now) = (&web.service.store, web.service.clock.now());
    let done = async {
        let has = store.factors(session.user).await?;
        let password = store.user(session.user).await?.is_some_and(|u| !u.password_hash.is_empty());
        if has.passkeys == 0
            && has.outside < 2
            && !(password && (has.apps > 0 || !web.door.required))
        {
            return Ok(false);
        }
        let line = note(session.user, "outside_account_unlinked", now);
        store.remove_outside(session.user, form.get("provider").to_owned(), line).await?;
        Ok::<_, StoreError>(true)
    };
    match done.await {
        Ok(true) => see_other("/account"),
        Ok(false) => web.templates.error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "That was not done",
            "Add another way to sign in first: this is the last one.",
        ),
        Err(e) => failed(&web, e.into()),
    }
}
