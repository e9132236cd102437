//! The second factor: a code of an app, or a recovery code.

use super::{WAIT, first_page, welcome};
use crate::auth::enter::Entered;
use crate::store::Factors;
use crate::web::Web;
use crate::web::pages::{arrived, failed, is_ours};
use crate::web::render::see_other;
use crate::web::visitor::{Cookie, From};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

fn page(web: &Web, status: StatusCode, has: Factors, error: Option<&str>) -> Response {
    let errors = error.map(|e| json!({ "code": e }));
    let c = json!({
        "typed": {},
        "error": error,
        "errors": errors.unwrap_or_else(|| json!({})),
        "app": has.apps > 0,
        "codes": has.codes > 0,
        "passkeys": has.passkeys > 0 && web.door.passkeys.is_some(),
    });
    web.templates.page(status, "sign_in_code.html", c)
}

async fn awaited(web: &Web, headers: &HeaderMap) -> Result<(String, Factors), Response> {
    let Some(word) = Cookie::Step.read(web, headers) else { return Err(see_other("/sign-in")) };
    let now = web.service.clock.now();
    match web.door.awaits_second(&web.service.store, &word, now).await {
        Ok(Some(has)) => Ok((word, has)),
        Ok(None) => Err(see_other("/sign-in")),
        Err(e) => Err(failed(web, e.into())),
    }
}

pub(super) async fn show(State(web): State<Web>, headers: HeaderMap) -> Response {
    match awaited(&web, &headers).await {
        Ok((_, has)) => page(&web, StatusCode::OK, has, None),
        Err(r) => r,
    }
}

pub(super) async fn send(
    State(web): State<Web>,
    From(visitor): From,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let form = match arrived(&web, body).await {
        Ok(f) => f,
        Err(page) => return page,
    };
    // Asked first, so that another site is answered the same whether a sign-in is half way or not.
    if !is_ours(&headers) {
        let advice = "Enter the code on the sign-in page itself. Nothing was done.";
        return web.templates.error(StatusCode::FORBIDDEN, "Not from this page", advice);
    }
    let (word, has) = match awaited(&web, &headers).await {
        Ok(a) => a,
        Err(r) => return r,
    };
    let now = web.service.clock.now();
    match web.door.second(&web.service.store, &word, form.get("code"), &visitor, now).await {
        Ok(Entered::In(opened)) => welcome(&web, &opened, see_other(first_page(&opened))),
        Ok(Entered::Wait) => page(&web, StatusCode::TOO_MANY_REQUESTS, has, Some(WAIT)),
        Ok(Entered::Wrong) => {
            let wrong = "The code is not right, or was used before. Wait for the next one";
            page(&web, StatusCode::UNAUTHORIZED, has, Some(wrong))
        }
        Ok(Entered::Stale | Entered::Second(_) | Entered::Elsewhere) => see_other("/sign-in"),
        Err(e) => failed(&web, e.into()),
    }
}
