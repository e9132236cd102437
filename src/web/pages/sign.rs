//! Signing in and out.

use super::{change, is_ours};
use crate::auth::session;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::render::see_other;
use crate::web::request;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

#[derive(Serialize)]
struct Context<'a> {
    email: &'a str,
    error: Option<&'a str>,
}

fn name(web: &Web) -> &'static str {
    if web.secure { "__Host-cdr_session" } else { "cdr_session" }
}

/// The session id a browser sent.
pub(super) fn cookie(web: &Web, headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let mut pairs = all.flat_map(|v| v.split(';')).filter_map(|p| p.trim().split_once('='));
    pairs.find(|(n, _)| *n == name(web)).map(|(_, v)| v.to_owned())
}

fn set_cookie(web: &Web, value: &str, seconds: i64) -> HeaderValue {
    let secure = if web.secure { "; Secure" } else { "" };
    let text =
        format!("{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}", name(web));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

pub(super) async fn show(State(web): State<Web>) -> Response {
    web.templates.page(StatusCode::OK, "sign_in.html", Context { email: "", error: None })
}

pub(super) async fn sign_in(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let bytes = match request::bytes(&web, body).await {
        Ok(b) => b,
        Err(p) => return p.into_response(),
    };
    let form = Form::parse(&bytes);
    let again = |status, error| {
        let context = Context { email: form.get("email"), error: Some(error) };
        web.templates.page(status, "sign_in.html", context)
    };
    if !is_ours(&headers) {
        return again(StatusCode::FORBIDDEN, "Sign in from this page");
    }
    // Not trimmed: a password is what it is.
    let password = form.typed().get("password").cloned().unwrap_or_default();
    let now = web.service.clock.now();
    let email = form.get("email");
    match session::sign_in(&web.service.store, email, password, now, web.sessions).await {
        Ok(Some(id)) => {
            let mut r = see_other("/");
            let cookie = set_cookie(&web, &id, web.sessions.absolute.num_seconds());
            r.headers_mut().insert(header::SET_COOKIE, cookie);
            r
        }
        Ok(None) => {
            again(StatusCode::UNAUTHORIZED, "The e-mail address or the password is not right")
        }
        Err(e) => super::failed(&web, e.into()),
    }
}

pub(super) async fn sign_out(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    if let Err(r) = change(&web, &headers, body).await {
        return r;
    }
    if let Some(id) = cookie(&web, &headers)
        && let Err(e) = session::sign_out(&web.service.store, &id).await
    {
        return super::failed(&web, e.into());
    }
    let mut r = see_other("/sign-in");
    r.headers_mut().insert(header::SET_COOKIE, set_cookie(&web, "", 0));
    r
}
