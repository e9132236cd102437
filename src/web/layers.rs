//! What surrounds every answer: headers, figures, a net under panics.

use super::Web;
use super::assets;
use super::ended::telling;
use super::problem::Problem;
use crate::platform::metrics::Answered;
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;

/// Headers of every answer.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

pub(super) fn around(router: Router, web: Web) -> Router {
    router
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a handler panicked");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "something went wrong here; it has been logged",
            )
            .into_response()
        }))
        .layer(from_fn_with_state(web.clone(), super::limits::limited))
        .layer(from_fn_with_state(web, headers))
}

/// Longer than it takes to find out that somebody may not see a case. What is not theirs and what
/// does not exist are answered alike, and after the same time: how long a look took is an answer too.
const NOT_FOUND: Duration = Duration::from_millis(10);
/// Longer than a notification takes to be compared with those that are there and kept with one of
/// them, and how much of it is chance.
const RECEIVED: (u64, u64) = (40, 20);

/// An answer that must not tell by its time what was found on the way to it.
#[derive(Clone, Copy)]
pub(super) struct Evened;

async fn headers(State(web): State<Web>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    if !is_utf8_path(request.uri().path()) {
        let mut r = Problem::not_found().into_response();
        r.headers_mut().extend(
            HEADERS.map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))),
        );
        return r;
    }
    let route = request.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned());
    let packs = assets::takes_gzip(request.headers()) && assets::is_own_request(request.headers());
    // Whoever sends the head first and the rest later must not have its time pass meanwhile.
    let whole = Arc::new(OnceLock::new());
    let request = request.map(|body| {
        let whole = whole.clone();
        telling(body, move || {
            let _ = whole.set(Instant::now());
        })
    });
    let mut answer = next.run(request).await;
    let begun = whole.get().copied().unwrap_or(begun);
    if packs && is_page(&answer) {
        answer = packed(answer).await;
    }
    let status = answer.status().as_u16();
    if answer.extensions_mut().remove::<Evened>().is_some() {
        let (least, chance) = RECEIVED;
        let ms = Duration::from_micros(1000 * least + fastrand::u64(0..1000 * chance));
        tokio::time::sleep_until(begun + ms).await;
    } else if status == 404 && route.is_some() {
        tokio::time::sleep_until(begun + NOT_FOUND).await;
    }
    // The route's pattern, never the path: a path may hold a reference or a token.
    let route = route.unwrap_or_else(|| "none".to_owned());
    web.service.metrics.requests.get_or_create(&Answered { route, status }).inc();
    let h = answer.headers_mut();
    for (name, value) in HEADERS {
        // A page has a policy of its own, with its scripts' nonce.
        h.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    h.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if web.secure {
        h.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
    answer
}

fn is_page(answer: &Response) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    kind.is_some_and(|k| k.starts_with("text/html"))
}

/// The page compressed; as it was, should that fail.
async fn packed(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let Ok(whole) = body.collect().await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the page broke off")
            .into_response();
    };
    let plain = whole.to_bytes();
    let Some(gzip) = assets::packed(&plain) else {
        return Response::from_parts(parts, Body::from(plain));
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, sec-fetch-site"));
    Response::from_parts(parts, Body::from(gzip))
}

/// A path that is not text leads nowhere.
fn is_utf8_path(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(b) = rest.next() {
        if b != b'%' {
            bytes.push(b);
            continue;
        }
        let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match (hex(rest.next()), hex(rest.next())) {
            (Some(h), Some(l)) => bytes.push(u8::try_from(h * 16 + l).unwrap_or(0)),
            _ => return false,
        }
    }
    std::str::from_utf8(&bytes).is_ok_and(|t| !t.contains('\0'))
}

pub(super) async fn not_found(State(web): State<Web>, request: Request) -> Response {
    if request.uri().path().starts_with("/api/") {
        return Problem::not_found().into_response();
    }
    web.templates.error(
        StatusCode::NOT_FOUND,
        "Page not found",
        "Check the address, or start again from the first page.",
    )
}

pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "this address does not take that method; see the Allow header",
    )
}
