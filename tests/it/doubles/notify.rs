//! GOV.UK Notify's REST API, version 2, as documented.

use super::notify_rules::{self as rules, Refusal, Template};
use super::{broken, client, hang, json as reply, long, serve};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use child_death_review::config;
use child_death_review::platform::clock::{SharedClock, SystemClock};
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use uuid::Uuid;

pub const SERVICE: &str = "5b1d2f8e-0c11-4c53-9f0a-0d6f6a2b7c11";
pub const SECRET: &str = "0f7c9d1e-3a52-4d7b-8b64-2f1f5f9f4e22";
pub const SMS_TEMPLATE: &str = "6fa7a0a2-64a1-4b06-95e1-3a8a3e6f3d42";
pub const EMAIL_TEMPLATE: &str = "b6a4f3d0-5c38-4d0c-a6c1-7e0f7c0d9e55";
pub const CALLBACK_TOKEN: &str = "synthetic-callback-token-0001";

/// What the next request meets instead of, or after, being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not stored, never answered.
    Hang,
    /// Stored, then never answered.
    StoreThenHang,
    /// Stored; the answer breaks off after its status.
    StoreThenBreak,
    /// Stored; the answer is endless.
    StoreThenLong,
    /// 500 in Notify's shape.
    Fails,
    /// Too many requests in a minute.
    RateLimit,
    /// The day's messages are used up.
    DailyLimit,
    /// Trial mode and other settings.
    BadRequest(&'static str),
    /// Something in between answers, not in Notify's shape.
    Proxy(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Test,
    /// Team and guest list: [`NotifyDouble::guests`] only.
    Team,
    Live,
}

/// A stored message.
#[derive(Clone, Debug)]
pub struct Sent {
    pub id: String,
    pub kind: &'static str,
    pub to: String,
    pub reference: Option<String>,
    pub subject: Option<String>,
    pub body: String,
    pub template: String,
    pub status: &'static str,
    pub created_at: String,
}

struct Inner {
    kind: KeyKind,
    revoked: bool,
    skew: i64,
    guests: Vec<String>,
    templates: Vec<Template>,
    sent: Vec<Sent>,
    requests: Vec<(String, Value)>,
    tokens: Vec<String>,
    queries: Vec<String>,
    deaf: bool,
    send_faults: VecDeque<Fault>,
    lookup_faults: VecDeque<Fault>,
}

#[derive(Clone)]
pub struct NotifyDouble {
    pub port: u16,
    inner: Arc<Mutex<Inner>>,
    clock: SharedClock,
}

impl NotifyDouble {
    /// A service with a test key and one template of each kind.
    pub async fn start() -> Self {
        Self::by(Arc::new(SystemClock)).await
    }

    /// One that lives by this clock.
    pub async fn by(clock: SharedClock) -> Self {
        let template = |id: &str, kind, subject: Option<&str>| Template {
            id: id.to_owned(),
            kind,
            subject: subject.map(str::to_owned),
            body: "((text))".to_owned(),
            deleted: false,
        };
        let inner = Arc::new(Mutex::new(Inner {
            kind: KeyKind::Test,
            revoked: false,
            skew: 0,
            guests: Vec::new(),
            templates: vec![
                template(SMS_TEMPLATE, "sms", None),
                template(EMAIL_TEMPLATE, "email", Some("((subject))")),
            ],
            sent: Vec::new(),
            requests: Vec::new(),
            tokens: Vec::new(),
            queries: Vec::new(),
            deaf: false,
            send_faults: VecDeque::new(),
            lookup_faults: VecDeque::new(),
        }));
        let (shared, time) = (inner.clone(), clock.clone());
        let port = serve(move |port| {
            let double = Self { port, inner: shared, clock: time };
            Router::new()
                .route("/v2/notifications/sms", post(sms))
                .route("/v2/notifications/email", post(email))
                .route("/v2/notifications/{id}", get(one))
                .route("/v2/notifications", get(list))
                .route("/v2/template/{id}", get(template_of))
                .route("/v2/template/{id}/preview", post(preview))
                .with_state(double)
        })
        .await;
        Self { port, inner, clock }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Settings that reach this double.
    pub fn config(&self) -> config::GovukNotify {
        config::GovukNotify {
            base_url: format!("http://127.0.0.1:{}", self.port),
            api_key: format!("key-of-the-tests-{SERVICE}-{SECRET}").into(),
            sms_template: SMS_TEMPLATE.to_owned(),
            email_template: EMAIL_TEMPLATE.to_owned(),
            callback_token: CALLBACK_TOKEN.into(),
        }
    }

    pub fn fault_next(&self, fault: Fault) {
        self.lock().send_faults.push_back(fault);
    }

    pub fn fault_next_lookup(&self, fault: Fault) {
        self.lock().lookup_faults.push_back(fault);
    }

    pub fn key_kind(&self, kind: KeyKind, guests: &[&str]) {
        let mut s = self.lock();
        s.kind = kind;
        s.guests = guests.iter().map(|g| (*g).to_owned()).collect();
    }

    pub fn revoke_key(&self) {
        self.lock().revoked = true;
    }

    /// Seconds by which Notify's clock is ahead of this machine's.
    pub fn skew_clock(&self, seconds: i64) {
        self.lock().skew = seconds;
    }

    pub fn change_template(&self, id: &str, change: impl FnOnce(&mut Template)) {
        let mut s = self.lock();
        change(s.templates.iter_mut().find(|t| t.id == id).unwrap());
    }

    /// Messages stored, the oldest first, from the `n`th on.
    pub fn sent_from(&self, n: usize) -> Vec<Sent> {
        self.lock().sent[n..].to_vec()
    }

    /// Messages stored, the oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.lock().sent.clone()
    }

    /// Path and body of every sending request whose token was good.
    pub fn requests(&self) -> Vec<(String, Value)> {
        self.lock().requests.clone()
    }

    /// Every bearer token seen.
    pub fn tokens(&self) -> Vec<String> {
        self.lock().tokens.clone()
    }

    /// The query of every look-up of messages.
    pub fn queries(&self) -> Vec<String> {
        self.lock().queries.clone()
    }

    /// Look-ups lose their query on the way and list every message.
    pub fn lose_queries(&self, lose: bool) {
        self.lock().deaf = lose;
    }

    /// Lets the networks finish a message; returns its final status.
    pub fn settle(&self, id: &str) -> &'static str {
        let mut s = self.lock();
        let m = s.sent.iter_mut().find(|m| m.id == id).unwrap();
        m.status = rules::fate(&m.to);
        m.status
    }

    /// The delivery receipt of a message, as it stands or as if it stood at `status`.
    pub fn receipt_body(&self, id: &str, status: Option<&str>) -> Value {
        let s = self.lock();
        let m = s.sent.iter().find(|m| m.id == id).unwrap();
        json!({
            "id": m.id,
            "reference": m.reference,
            "to": m.to,
            "status": status.unwrap_or(m.status),
            "created_at": m.created_at,
            "completed_at": m.created_at,
            "sent_at": m.created_at,
            "notification_type": m.kind,
            "template_id": m.template,
            "template_version": 1,
        })
    }

    /// Posts a receipt with `token` and waits five seconds as Notify does; nothing on silence.
    pub async fn send_receipt(
        &self,
        url: &str,
        token: &str,
        id: &str,
        status: Option<&str>,
    ) -> Option<u16> {
        let body = self.receipt_body(id, status).to_string();
        Self::post_callback(url, token, body).await
    }

    /// Posts what a person texted back.
    pub async fn send_reply(&self, url: &str, token: &str, from: &str, text: &str) -> Option<u16> {
        let body = json!({
            "id": Uuid::new_v4(),
            // Notify writes numbers without the plus sign here.
            "source_number": from.trim_start_matches('+'),
            "destination_number": "447700900999",
            "message": text,
            "date_received": self.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true),
        });
        Self::post_callback(url, token, body.to_string()).await
    }

    async fn post_callback(url: &str, token: &str, body: String) -> Option<u16> {
        let sent = client(Duration::from_secs(5))
            .post(url)
            .header("content-type", "application/json")
            .bearer_auth(token)
            .body(body)
            .send()
            .await;
        sent.ok().map(|r| r.status().as_u16())
    }

    fn authorise(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let header = headers.get("authorization").map(|h| h.to_str().unwrap_or(""));
        let mut s = self.lock();
        s.tokens.extend(header.and_then(|h| h.strip_prefix("Bearer ")).map(str::to_owned));
        rules::token(header, SERVICE, SECRET, self.clock.now().timestamp() + s.skew)?;
        if s.revoked {
            return Err((403, "AuthError", "Invalid token: API key revoked".to_owned()));
        }
        Ok(())
    }

    fn accept(&self, kind: &'static str, body: &Value) -> Result<Value, Refusal> {
        let address = if kind == "sms" { "phone_number" } else { "email_address" };
        let extra: &[&str] = if kind == "sms" {
            &["sms_sender_id"]
        } else {
            &["email_reply_to_id", "one_click_unsubscribe_url", "sanitise_content_for"]
        };
        let mut s = self.lock();
        s.requests.push((format!("/v2/notifications/{kind}"), body.clone()));
        rules::schema(body, address, extra)?;
        let to = body[address].as_str().unwrap().to_owned();
        if s.kind == KeyKind::Team && !s.guests.contains(&to) {
            let why = "Can\u{2019}t send to this recipient using a team-only API key";
            return Err((400, "BadRequestError", why.to_owned()));
        }
        let id = body["template_id"].as_str().unwrap();
        let template = s.templates.iter().find(|t| t.id == id);
        let none = Map::new();
        let given = body["personalisation"].as_object().unwrap_or(&none);
        let (subject, text) = rules::content(template, kind, given)?;
        let m = Sent {
            id: Uuid::new_v4().to_string(),
            kind,
            to: to.clone(),
            reference: body["reference"].as_str().map(str::to_owned),
            subject: subject.clone(),
            body: text.clone(),
            template: id.to_owned(),
            status: "created",
            created_at: self.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true),
        };
        let content = if kind == "sms" {
            json!({ "body": text, "from_number": "GOVUK" })
        } else {
            json!({ "subject": subject, "body": text, "from_email": "cdr@notifications.example", "one_click_unsubscribe_url": null })
        };
        let base = format!("http://127.0.0.1:{}", self.port);
        let answer = json!({
            "id": m.id,
            "reference": m.reference,
            "content": content,
            "uri": format!("{base}/v2/notifications/{}", m.id),
            // The server's own path, which is not the documented one.
            "template": { "id": id, "version": 1, "uri": format!("{base}/services/{SERVICE}/templates/{id}") },
            "scheduled_for": null,
        });
        if !rules::is_smoke(&to) {
            s.sent.push(m);
        }
        Ok(answer)
    }

    async fn send(&self, kind: &'static str, headers: &HeaderMap, body: &Bytes) -> Response {
        if let Err(refusal) = self.authorise(headers) {
            return refuse(&refusal);
        }
        let fault = self.lock().send_faults.pop_front();
        if let Some(f) = fault
            && let Some(answer) = stand_in(f).await
        {
            return answer;
        }
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let accepted = self.accept(kind, &body);
        match (accepted, fault) {
            (Err(refusal), _) => refuse(&refusal),
            (Ok(_), Some(Fault::StoreThenHang)) => hang().await,
            (Ok(_), Some(Fault::StoreThenBreak)) => broken(201),
            (Ok(_), Some(Fault::StoreThenLong)) => long(201),
            (Ok(answer), _) => reply(201, answer),
        }
    }

    async fn look(
        &self,
        headers: &HeaderMap,
        serve: impl FnOnce(&Inner) -> Result<Value, Refusal>,
    ) -> Response {
        if let Err(refusal) = self.authorise(headers) {
            return refuse(&refusal);
        }
        let fault = self.lock().lookup_faults.pop_front();
        if let Some(f) = fault
            && let Some(answer) = stand_in(f).await
        {
            return answer;
        }
        if fault == Some(Fault::StoreThenLong) {
            return long(200);
        }
        match serve(&self.lock()) {
            Ok(v) => reply(200, v),
            Err(refusal) => refuse(&refusal),
        }
    }
}

fn refuse(refusal: &Refusal) -> Response {
    reply(refusal.0, rules::shape(refusal))
}

/// The answer of faults that stand in place of being served.
async fn stand_in(fault: Fault) -> Option<Response> {
    let refusal = match fault {
        Fault::StoreThenHang | Fault::StoreThenBreak | Fault::StoreThenLong => return None,
        Fault::Hang => return Some(hang().await),
        Fault::Proxy(status) => {
            let status = axum::http::StatusCode::from_u16(status).unwrap();
            return Some((status, "<html>a proxy speaks</html>").into_response());
        }
        Fault::Fails => (500, "Exception", "Internal server error".to_owned()),
        Fault::RateLimit => (
            429,
            "RateLimitError",
            "Exceeded rate limit for key type TEST of 3000 requests per 60 seconds".to_owned(),
        ),
        Fault::DailyLimit => {
            (429, "TooManyRequestsError", "Exceeded send limits (50) for today".to_owned())
        }
        Fault::BadRequest(why) => (400, "BadRequestError", why.to_owned()),
    };
    Some(refuse(&refusal))
}

fn shown(m: &Sent) -> Value {
    let (phone, mail) = if m.kind == "sms" { (Some(&m.to), None) } else { (None, Some(&m.to)) };
    json!({
        "id": m.id, "reference": m.reference, "phone_number": phone, "email_address": mail,
        "line_1": null, "line_2": null, "line_3": null, "line_4": null, "line_5": null,
        "line_6": null, "postcode": null, "type": m.kind, "status": m.status,
        "template": { "id": m.template, "version": 1, "uri": "/v2/template" },
        "body": m.body, "subject": m.subject, "created_at": m.created_at,
        "created_by_name": null, "sent_at": null, "completed_at": null, "scheduled_for": null,
    })
}

fn not_found() -> Refusal {
    (404, "NoResultFound", "No result found".to_owned())
}

async fn sms(State(d): State<NotifyDouble>, h: HeaderMap, body: Bytes) -> Response {
    d.send("sms", &h, &body).await
}

async fn email(State(d): State<NotifyDouble>, h: HeaderMap, body: Bytes) -> Response {
    d.send("email", &h, &body).await
}

async fn one(State(d): State<NotifyDouble>, Path(id): Path<String>, h: HeaderMap) -> Response {
    d.look(&h, |s| {
        if Uuid::parse_str(&id).is_err() {
            return Err((400, "ValidationError", "notification_id is not a valid UUID".to_owned()));
        }
        s.sent.iter().find(|m| m.id == id).map(shown).ok_or_else(not_found)
    })
    .await
}

async fn list(State(d): State<NotifyDouble>, RawQuery(q): RawQuery, h: HeaderMap) -> Response {
    let q = q.unwrap_or_default();
    d.lock().queries.push(q.clone());
    let mut query: Vec<(String, String)> =
        form_urlencoded::parse(q.as_bytes()).into_owned().collect();
    if d.lock().deaf {
        query.clear();
    }
    d.look(&h, |s| {
        let known = ["reference", "template_type", "status", "older_than", "include_jobs"];
        if let Some((name, _)) = query.iter().find(|(n, _)| !known.contains(&n.as_str())) {
            let why = format!("Additional properties are not allowed ({name} was unexpected)");
            return Err((400, "ValidationError", why));
        }
        let wanted = query.iter().find(|(n, _)| n == "reference").map(|(_, v)| v.as_str());
        let fits = |m: &&Sent| wanted.is_none_or(|w| m.reference.as_deref() == Some(w));
        let all: Vec<Value> = s.sent.iter().rev().filter(fits).take(250).map(shown).collect();
        Ok(json!({ "notifications": all, "links": { "current": "/v2/notifications" } }))
    })
    .await
}

async fn template_of(
    State(d): State<NotifyDouble>,
    Path(id): Path<String>,
    h: HeaderMap,
) -> Response {
    d.look(&h, |s| {
        let t = s.templates.iter().find(|t| t.id == id && !t.deleted).ok_or_else(not_found)?;
        Ok(json!({
            "id": t.id, "name": "Alert", "type": t.kind, "version": 1, "body": t.body,
            "subject": t.subject, "created_at": "2026-01-05T09:00:00.000000Z", "updated_at": null,
            "created_by": "operator@cdr.example", "letter_contact_block": null,
        }))
    })
    .await
}

async fn preview(
    State(d): State<NotifyDouble>,
    Path(id): Path<String>,
    method: Method,
    h: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!(method, Method::POST);
    d.look(&h, |s| {
        let t = s.templates.iter().find(|t| t.id == id && !t.deleted).ok_or_else(not_found)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let given = body["personalisation"].as_object().cloned().unwrap_or_default();
        let (subject, body) = t.fill(&given)?;
        Ok(json!({ "id": t.id, "type": t.kind, "version": 1, "subject": subject, "body": body }))
    })
    .await
}
