//! The demo's catchers: every message that would have left is kept here and shown.

use super::Web;
use super::request;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Messages kept at most; older ones make room.
const MOST: usize = 2_000;

/// One caught message.
#[derive(Clone, Debug, Serialize)]
pub struct Caught {
    pub channel: &'static str,
    pub to: String,
    pub at: DateTime<Utc>,
    pub subject: String,
    pub text: String,
    pub headers: BTreeMap<String, String>,
    pub links: Vec<String>,
}

/// Where caught messages are kept, newest last.
#[derive(Default)]
pub struct DemoBox(Mutex<VecDeque<Caught>>);

impl DemoBox {
    pub fn add(&self, c: Caught) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back(c);
    }

    #[must_use]
    pub fn all(&self) -> Vec<Caught> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Addresses of web pages in a text.
#[must_use]
pub fn links_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>'));
    words
        .filter(|w| w.starts_with("http://") || w.starts_with("https://"))
        .map(str::to_owned)
        .collect()
}

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/demo/outbox", get(page))
        .route("/demo/outbox.json", get(list))
        .route("/demo/hooks/{name}", post(hook))
}

async fn page(State(web): State<Web>) -> Response {
    let mut caught = web.demo.as_ref().map(|d| d.all()).unwrap_or_default();
    caught.reverse();
    web.templates.page(StatusCode::OK, "outbox.html", serde_json::json!({ "caught": caught }))
}

async fn list(State(web): State<Web>) -> Response {
    let all = web.demo.as_ref().map(|d| d.all()).unwrap_or_default();
    super::json_answer(&serde_json::json!(all))
}

async fn hook(
    State(web): State<Web>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let bytes = match request::bytes(&web, body).await {
        Ok(b) => b,
        Err(p) => return p.into_response(),
    };
    let event: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let kept = headers
        .iter()
        .filter(|(n, _)| n.as_str().starts_with("webhook-") || n.as_str() == "content-type")
        .map(|(n, v)| (n.to_string(), v.to_str().unwrap_or("").to_owned()))
        .collect();
    if let Some(demo) = &web.demo {
        demo.add(Caught {
            channel: "webhook",
            to: format!("/demo/hooks/{name}"),
            at: web.service.clock.now(),
            subject: event["type"].as_str().unwrap_or("").to_owned(),
            links: links_in(&text),
            text,
            headers: kept,
        });
    }
    StatusCode::NO_CONTENT.into_response()
}
