//! Doubles of the providers: real HTTP servers that hold us to the provider's contract, written
//! from its documentation and sharing no code with our clients.

pub mod gateway;
pub mod mail;
pub mod notify;
pub mod notify_rules;
pub mod twilio;
pub mod xml;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpListener;

/// Serves a router on a free port of this machine.
pub async fn serve(router: impl FnOnce(u16) -> Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = router(port);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

pub fn json(status: u16, body: Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

pub async fn hang() -> Response {
    tokio::time::sleep(Duration::from_secs(600)).await;
    StatusCode::OK.into_response()
}

/// A success whose body breaks off.
pub fn broken(status: u16) -> Response {
    // Later, so that status and headers are on the wire before.
    let cut = futures_util::stream::once(async { Ok(bytes::Bytes::from_static(b"{\"id\": \"")) })
        .chain(futures_util::stream::once(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Err(std::io::Error::other("cut"))
        }));
    (StatusCode::from_u16(status).unwrap(), Body::from_stream(cut)).into_response()
}

/// A success whose body would do but is longer than anybody should read.
pub fn long(status: u16) -> Response {
    let pad = "x".repeat(70 * 1024);
    let body = serde_json::json!({ "id": uuid::Uuid::new_v4(), "notifications": [], "pad": pad });
    let body = body.to_string();
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

pub fn mac(algorithm: hmac::Algorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
}

pub fn client(timeout: Duration) -> reqwest::Client {
    reqwest::Client::builder().timeout(timeout).no_proxy().build().unwrap()
}
