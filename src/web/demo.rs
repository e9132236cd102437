//! The demo's catchers: every message that would have left is kept here and shown.

use super::Web;
use super::request;
use crate::alerts::gateway;
use crate::config::area::decode_secret;
use crate::domain::directory::Hidden;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

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
    /// For texts and calls: what call-backs are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Uuid>,
}

/// Where caught messages are kept, newest last.
pub struct DemoBox {
    caught: Mutex<VecDeque<Caught>>,
    /// What the demo's own telephone network signs with; `whsec_…`.
    secret: String,
    /// Where its call-backs go.
    base: String,
}

impl DemoBox {
    /// An empty box whose telephone network signs with `secret` and calls back to `base`.
    #[must_use]
    pub fn new(secret: String, base: String) -> Self {
        Self { caught: Mutex::default(), secret, base }
    }

    pub fn add(&self, c: Caught) {
        let mut all = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back(c);
    }

    #[must_use]
    pub fn all(&self) -> Vec<Caught> {
        self.caught.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
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
        .route("/demo/gateway", post(take_order))
        .route("/demo/phone", post(phone))
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
            message_id: None,
        });
    }
    StatusCode::NO_CONTENT.into_response()
}

/// The demo's telephone network: takes texts and calls by our own gateway contract, and says a
/// moment later that they were delivered.
async fn take_order(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let Some(demo) = web.demo.clone() else { return StatusCode::NOT_FOUND.into_response() };
    let bytes = match request::bytes(&web, body).await {
        Ok(b) => b,
        Err(p) => return p.into_response(),
    };
    let header = |n: &str| headers.get(n).and_then(|v| v.to_str().ok()).unwrap_or("");
    let signed = gateway::Signed {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    if gateway::verify(&web.hooks.gateway, signed, &bytes, web.service.clock.now()).is_err() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let order: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |n: &str| order[n].as_str().unwrap_or_default().to_owned();
    let voice = order["type"] == "voice";
    let said = text(if voice { "say" } else { "text" });
    let id = Uuid::try_parse(&text("id")).ok();
    demo.add(Caught {
        channel: if voice { "voice" } else { "sms" },
        to: text("to"),
        at: web.service.clock.now(),
        subject: if voice { "Call".to_owned() } else { "Text".to_owned() },
        links: links_in(&said),
        text: said,
        headers: BTreeMap::new(),
        message_id: id,
    });
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        call_back(&demo, &json!({ "message_id": id, "event": "delivered" })).await;
    });
    super::json_answer(&json!({ "provider_id": id }))
}

/// A key or a reply, as somebody at the demo's outbox presses it.
async fn phone(State(web): State<Web>, body: Body) -> Response {
    let Some(demo) = web.demo.clone() else { return StatusCode::NOT_FOUND.into_response() };
    let bytes = match request::bytes(&web, body).await {
        Ok(b) => b,
        Err(p) => return p.into_response(),
    };
    let form = super::form::Form::parse(&bytes);
    let event = if form.get("key").is_empty() {
        json!({ "event": "reply", "from": form.get("from"), "text": form.get("text") })
    } else {
        json!({ "event": "key", "message_id": form.get("id"), "key": form.get("key") })
    };
    call_back(&demo, &event).await;
    super::render::see_other("/demo/outbox")
}

async fn call_back(demo: &DemoBox, event: &Value) {
    let Some(key) = decode_secret(&Hidden(demo.secret.clone())) else { return };
    let body = event.to_string();
    let id = format!("demo_{}", Uuid::new_v4());
    // The real clock: signatures are about now.
    let at = Utc::now().timestamp();
    let signature = crate::alerts::signature(&[key], &id, at, body.as_bytes());
    let sent = reqwest::Client::new()
        .post(format!("{}/hooks/gateway", demo.base))
        .header("webhook-id", id)
        .header("webhook-timestamp", at.to_string())
        .header("webhook-signature", signature)
        .body(body)
        .send()
        .await;
    if let Err(e) = sent {
        tracing::warn!(error = %e, "the demo's telephone network could not call back");
    }
}
