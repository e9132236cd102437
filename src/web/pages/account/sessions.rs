//! Where one is signed in, and ending it.

use crate::auth::session::note;
use crate::web::Web;
use crate::web::pages::{change, failed};
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

pub(super) async fn end(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let Some(digest) = unhex(form.get("session")) else {
        return failed(&web, crate::service::ServiceError::NotFound);
    };
    let line = note(session.user, "session_ended", web.service.clock.now());
    match web.service.store.end_session_of(session.user, digest, line).await {
        Ok(true) => see_other("/account"),
        // Somebody else's, or gone: the same answer.
        Ok(false) => failed(&web, crate::service::ServiceError::NotFound),
        Err(e) => failed(&web, e.into()),
    }
}

pub(super) async fn end_others(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, _, _) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let line = note(session.user, "other_sessions_ended", web.service.clock.now());
    let but = Some(session.digest.clone());
    match web.service.store.end_other_sessions(session.user, but, line).await {
        Ok(_) => see_other("/account"),
        Err(e) => failed(&web, e.into()),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()).collect()
}
