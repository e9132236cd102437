//! A gateway that speaks our contract for calls and text messages.

use super::{client, hang, json as reply, mac, serve};
use aws_lc_rs::hmac::HMAC_SHA256;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use child_death_review::config;
use child_death_review::platform::clock::{SharedClock, SystemClock};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use uuid::Uuid;

pub const SECRET: &str = "whsec_c3ludGhldGljLWdhdGV3YXktc2VjcmV0LTAwMDAwMDE=";

/// What the next request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Hang,
    /// Carried out, never answered.
    AcceptThenHang,
    Status(u16),
    /// Refused with this status, and the number named as the fault.
    BadNumber(u16),
    /// 429 with this Retry-After.
    SlowDown(u32),
    /// Carried out; answered 204 with no body.
    Silent,
}

#[derive(Default)]
struct Inner {
    orders: Vec<Value>,
    hits: usize,
    faults: VecDeque<Fault>,
    /// Faults that last, by the type of message (`sms`, `voice`) or the number.
    moods: BTreeMap<String, Fault>,
    refused: Vec<String>,
}

#[derive(Clone)]
pub struct GatewayDouble {
    pub port: u16,
    inner: Arc<Mutex<Inner>>,
    /// Signatures hold for minutes, so both ends must agree on the time.
    clock: SharedClock,
    /// One for all call-backs: making one reads every root certificate of the machine.
    http: reqwest::Client,
}

fn key(secret: &str) -> Vec<u8> {
    STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap()
}

fn sign(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    format!("v1,{}", STANDARD.encode(mac(HMAC_SHA256, &key(secret), &signed)))
}

impl GatewayDouble {
    pub async fn start() -> Self {
        Self::by(Arc::new(SystemClock)).await
    }

    /// One that lives by this clock.
    pub async fn by(clock: SharedClock) -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let http = client(Duration::from_secs(10));
        let (shared, time, one) = (inner.clone(), clock.clone(), http.clone());
        let port = serve(move |port| {
            let double = Self { port, inner: shared, clock: time, http: one };
            Router::new().route("/messages", post(receive)).with_state(double)
        })
        .await;
        Self { port, inner, clock, http }
    }

    /// Settings that reach this double.
    pub fn config(&self) -> config::Gateway {
        config::Gateway {
            url: format!("http://127.0.0.1:{}/messages", self.port),
            secrets: SECRET.into(),
        }
    }

    pub fn fault_next(&self, fault: Fault) {
        self.inner.lock().unwrap().faults.push_back(fault);
    }

    /// How it behaves from now on to a type of message (`sms`, `voice`) or a number.
    pub fn set(&self, what: &str, mood: Option<Fault>) {
        let mut s = self.inner.lock().unwrap();
        match mood {
            Some(m) => s.moods.insert(what.to_owned(), m),
            None => s.moods.remove(what),
        };
    }

    /// Messages carried out from the `n`th on.
    pub fn orders_from(&self, n: usize) -> Vec<Value> {
        self.inner.lock().unwrap().orders[n..].to_vec()
    }

    /// Messages carried out: repeats of one id count once.
    pub fn orders(&self) -> Vec<Value> {
        self.inner.lock().unwrap().orders.clone()
    }

    /// Requests that were signed as they must be.
    pub fn hits(&self) -> usize {
        self.inner.lock().unwrap().hits
    }

    /// Why requests were refused.
    pub fn refused(&self) -> Vec<String> {
        self.inner.lock().unwrap().refused.clone()
    }

    /// Posts an event, signed now; the status it was answered with.
    pub async fn post(&self, url: &str, event: &Value) -> u16 {
        let id = format!("evt_{}", Uuid::new_v4());
        let now = self.clock.now().timestamp();
        self.post_as(url, SECRET, &id, now, event.to_string().as_bytes()).await
    }

    /// Posts any bytes under any secret, id and time.
    pub async fn post_as(
        &self,
        url: &str,
        secret: &str,
        id: &str,
        timestamp: i64,
        body: &[u8],
    ) -> u16 {
        let timestamp = timestamp.to_string();
        let send = || {
            self.http
                .post(url)
                .header("content-type", "application/json")
                .header("webhook-id", id)
                .header("webhook-timestamp", &timestamp)
                .header("webhook-signature", sign(secret, id, &timestamp, body))
                .body(body.to_vec())
                .send()
        };
        // As gateways do: a connection that broke (the other side had just closed it for lying
        // idle) is no answer, and the event is posted again under its id.
        match send().await {
            Ok(answer) => answer.status().as_u16(),
            Err(_) => send().await.unwrap().status().as_u16(),
        }
    }

    /// The person who was called presses a key.
    pub async fn press(&self, order: &Value, key: &str) -> u16 {
        let event = json!({ "message_id": order["id"], "event": "key", "key": key });
        self.post(order["callback"].as_str().unwrap(), &event).await
    }

    /// The person who was texted answers.
    pub async fn reply(&self, order: &Value, text: &str) -> u16 {
        let event = json!({ "message_id": order["id"], "event": "reply", "from": order["to"], "text": text });
        self.post(order["callback"].as_str().unwrap(), &event).await
    }

    /// What became of a message: `delivered`, `permanent_failure`, …
    pub async fn receipt(&self, order: &Value, event: &str) -> u16 {
        let event = json!({ "message_id": order["id"], "event": event });
        self.post(order["callback"].as_str().unwrap(), &event).await
    }

    /// # Errors
    /// Status and reason of the refusal.
    fn check(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, (u16, String)> {
        let get = |n: &str| headers.get(n).and_then(|h| h.to_str().ok()).unwrap_or("");
        let (id, timestamp) = (get("webhook-id"), get("webhook-timestamp"));
        let expected = sign(SECRET, id, timestamp, body);
        if !get("webhook-signature").split(' ').any(|s| s == expected) {
            return Err((401, "signature".into()));
        }
        let seconds: i64 = timestamp.parse().unwrap_or(0);
        if (self.clock.now().timestamp() - seconds).abs() > 300 {
            return Err((401, "timestamp".into()));
        }
        let order: Value =
            serde_json::from_slice(body).map_err(|_| (400, "not JSON".to_owned()))?;
        self.fits(&order, id).map_err(|why| (400, why))?;
        Ok(order)
    }

    fn fits(&self, o: &Value, id: &str) -> Result<(), String> {
        let all = o.as_object().ok_or("not an object")?;
        let known = ["id", "type", "to", "text", "say", "keys", "callback", "drill"];
        if let Some(n) = all.keys().find(|k| !known.contains(&k.as_str())) {
            return Err(format!("{n} is not in the contract"));
        }
        if o["id"].as_str() != Some(id) {
            return Err("id is not webhook-id".into());
        }
        let said = |n: &str| o[n].as_str().is_some_and(|t| !t.is_empty());
        match o["type"].as_str() {
            Some("sms") if said("text") && !said("say") => {}
            Some("voice") if said("say") && !said("text") => {}
            _ => return Err("type does not fit text and say".into()),
        }
        if !o["to"].as_str().is_some_and(|t| t.starts_with('+')) {
            return Err("to is not in international form".into());
        }
        if !o["callback"].as_str().is_some_and(|c| c.starts_with("http")) {
            return Err("callback is not a URL".into());
        }
        let keys_fit = match &o["keys"] {
            Value::Null => true,
            Value::Object(k) => k.iter().all(|(k, v)| k.len() == 1 && v.is_string()),
            _ => false,
        };
        if !keys_fit || !o["drill"].is_boolean() {
            return Err("keys or drill".into());
        }
        Ok(())
    }
}

async fn receive(State(d): State<GatewayDouble>, headers: HeaderMap, body: Bytes) -> Response {
    let order = match d.check(&headers, &body) {
        Ok(o) => o,
        Err((status, why)) => {
            d.inner.lock().unwrap().refused.push(why.clone());
            return reply(status, json!({ "error": why }));
        }
    };
    let fault = {
        let mut s = d.inner.lock().unwrap();
        s.hits += 1;
        let mood = |w: &str| order[w].as_str().and_then(|w| s.moods.get(w)).copied();
        let lasting = mood("to").or_else(|| mood("type"));
        let fault = s.faults.pop_front().or(lasting);
        let carried_out = matches!(fault, None | Some(Fault::AcceptThenHang | Fault::Silent));
        if carried_out && !s.orders.iter().any(|o| o["id"] == order["id"]) {
            s.orders.push(order.clone());
        }
        fault
    };
    match fault {
        None => {
            reply(202, json!({ "provider_id": format!("gw-{}", order["id"].as_str().unwrap()) }))
        }
        Some(Fault::Silent) => StatusCode::NO_CONTENT.into_response(),
        Some(Fault::Hang | Fault::AcceptThenHang) => hang().await,
        Some(Fault::BadNumber(s)) => reply(s, json!({ "error": "scripted", "at_fault": "number" })),
        Some(Fault::Status(s)) => reply(s, json!({ "error": "scripted" })),
        Some(Fault::SlowDown(s)) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", s.to_string())]).into_response()
        }
    }
}
