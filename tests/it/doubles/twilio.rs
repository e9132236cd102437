//! Twilio's REST API of 2010-04-01: Messages and Calls.

use super::xml::{self, Element};
use super::{broken, client, hang, json as reply, mac, serve};
use aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use child_death_review::config;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use uuid::Uuid;

pub const SID: &str = "AC0123456789abcdef0123456789abcdef";
pub const TOKEN: &str = "synthetic-twilio-auth-token";
pub const FROM_SMS: &str = "+447700900900";
pub const FROM_VOICE: &str = "+441632960900";
/// Has texted STOP.
pub const STOPPED: &str = "+447700900610";
/// Takes no text messages.
pub const LANDLINE: &str = "+441632960614";

/// What the next request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Hang,
    StoreThenHang,
    StoreThenBreak,
    /// 429, error 20429.
    SlowDown,
    /// Status and error number in Twilio's shape.
    Error(u16, u32),
    /// Something in between answers.
    Proxy(u16),
}

/// A message or call taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub sid: String,
    pub form: Vec<(String, String)>,
    /// The elements of a call's TwiML.
    pub twiml: Vec<Element>,
}

impl Taken {
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.form.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    pub fn get(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} is given {} times", all.len());
        all[0]
    }

    pub fn element(&self, name: &str) -> &Element {
        self.twiml.iter().find(|e| e.name == name).unwrap()
    }
}

#[derive(Default)]
struct Inner {
    taken: Vec<Taken>,
    /// The numbers of all requests that were let in, one by one.
    asked: Vec<String>,
    /// Numbers that are always refused, with the error number.
    refused: BTreeMap<String, u32>,
    faults: VecDeque<Fault>,
}

#[derive(Clone)]
pub struct TwilioDouble {
    pub port: u16,
    inner: Arc<Mutex<Inner>>,
}

/// A refusal: status, error number, message.
type Refusal = (u16, u32, &'static str);

fn refuse((status, code, message): Refusal) -> Response {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    reply(status, json!({ "code": code, "message": message, "more_info": more, "status": status }))
}

/// The `X-Twilio-Signature` of a form posted to `url`.
pub fn sign(token: &str, url: &str, form: &[(&str, &str)]) -> String {
    let mut sorted = form.to_vec();
    sorted.sort_unstable();
    let text = sorted.iter().fold(url.to_owned(), |t, (n, v)| t + n + v);
    STANDARD.encode(mac(HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes(), text.as_bytes()))
}

impl TwilioDouble {
    pub async fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let shared = inner.clone();
        let port = serve(move |port| {
            let double = Self { port, inner: shared };
            Router::new()
                .route("/2010-04-01/Accounts/{sid}/{what}", post(receive))
                .with_state(double)
        })
        .await;
        Self { port, inner }
    }

    /// Settings that reach this double.
    pub fn config(&self) -> config::Twilio {
        config::Twilio {
            base_url: format!("http://127.0.0.1:{}", self.port),
            account_sid: SID.to_owned(),
            auth_token: TOKEN.into(),
            from_sms: FROM_SMS.to_owned(),
            from_voice: FROM_VOICE.to_owned(),
        }
    }

    pub fn fault_next(&self, fault: Fault) {
        self.inner.lock().unwrap().faults.push_back(fault);
    }

    /// Refuses a number from now on, with 400 and this error number.
    pub fn refuse(&self, to: &str, code: u32) {
        self.inner.lock().unwrap().refused.insert(to.to_owned(), code);
    }

    /// How often a number was asked for.
    pub fn asked(&self, to: &str) -> usize {
        self.inner.lock().unwrap().asked.iter().filter(|n| *n == to).count()
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.inner.lock().unwrap().taken.clone()
    }

    /// Posts a signed call-back; status and body of the answer.
    pub async fn post(&self, url: &str, form: &[(&str, &str)]) -> (u16, String) {
        self.post_signed(url, form, &sign(TOKEN, url, form)).await
    }

    /// Posts a call-back under any signature.
    pub async fn post_signed(
        &self,
        url: &str,
        form: &[(&str, &str)],
        signature: &str,
    ) -> (u16, String) {
        let body: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let answer = client(Duration::from_secs(15))
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-twilio-signature", signature)
            .body(body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The person who was called presses a key: posted where the call's TwiML says.
    pub async fn press(&self, call: &Taken, key: &str) -> (u16, String) {
        let url = call.element("Gather").attribute("action").unwrap().to_owned();
        let form = [
            ("CallSid", call.sid.as_str()),
            ("AccountSid", SID),
            ("CallStatus", "in-progress"),
            ("To", call.get("To")),
            ("Digits", key),
        ];
        self.post(&url, &form).await
    }

    /// How a call or message stands: posted where it was asked for.
    pub async fn status(&self, taken: &Taken, word: &str) -> (u16, String) {
        let voice = taken.sid.starts_with("CA");
        let (id, status) =
            if voice { ("CallSid", "CallStatus") } else { ("MessageSid", "MessageStatus") };
        let form = [(id, taken.sid.as_str()), ("AccountSid", SID), (status, word)];
        self.post(taken.get("StatusCallback"), &form).await
    }

    fn take(&self, what: &str, form: Vec<(String, String)>) -> Result<Taken, Refusal> {
        let has = |n: &str| form.iter().any(|(k, v)| k == n && !v.is_empty());
        let one =
            |n: &str| form.iter().find(|(k, _)| k == n).map(|(_, v)| v.as_str()).unwrap_or("");
        let international = |n: &str| {
            n.strip_prefix('+').is_some_and(|d| {
                (8..=15).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit())
            })
        };
        let known: &[&str] = if what == "Calls" {
            &[
                "To",
                "From",
                "Twiml",
                "StatusCallback",
                "StatusCallbackMethod",
                "StatusCallbackEvent",
            ]
        } else {
            &["To", "From", "MessagingServiceSid", "Body", "StatusCallback"]
        };
        assert!(form.iter().all(|(n, _)| known.contains(&n.as_str())), "{form:?}");
        if !has("To") {
            return Err((400, 21604, "A 'To' phone number is required."));
        }
        let refused = {
            let mut s = self.inner.lock().unwrap();
            s.asked.push(one("To").to_owned());
            s.refused.get(one("To")).copied()
        };
        if let Some(code) = refused {
            return Err((400, code, "scripted"));
        }
        if !international(one("To")) {
            return Err((400, 21211, "Invalid 'To' Phone Number"));
        }
        for url in ["StatusCallback"] {
            if has(url) && !one(url).starts_with("http") {
                return Err((400, 21609, "The StatusCallback URL is not valid."));
            }
        }
        let mut twiml = Vec::new();
        let prefix = if what == "Calls" {
            if one("From") != FROM_VOICE {
                return Err((400, 21210, "'From' phone number not verified"));
            }
            twiml = xml::parse(one("Twiml")).map_err(|_| (400, 21205, "Url is not valid"))?;
            if twiml[0].name != "Response" || one("Twiml").chars().count() > 4000 {
                return Err((400, 21205, "Twiml is not valid"));
            }
            let events = ["initiated", "ringing", "answered", "completed"];
            let mut asked = form.iter().filter(|(n, _)| n == "StatusCallbackEvent");
            if !asked.all(|(_, v)| events.contains(&v.as_str())) {
                return Err((400, 21626, "Invalid StatusCallbackEvent"));
            }
            "CA"
        } else {
            if !(has("MessagingServiceSid") || one("From") == FROM_SMS) {
                return Err((400, 21606, "The 'From' phone number is not a message-capable one"));
            }
            if one("To") == STOPPED {
                return Err((400, 21610, "Attempt to send to unsubscribed recipient"));
            }
            if one("To") == LANDLINE {
                return Err((400, 21614, "'To' number is not a valid mobile number"));
            }
            if !has("Body") {
                return Err((400, 21602, "Message body is required."));
            }
            if one("Body").chars().count() > 1600 {
                return Err((400, 21617, "The message body exceeds the 1600 character limit."));
            }
            "SM"
        };
        let sid = format!("{prefix}{}", Uuid::new_v4().simple());
        let taken = Taken { sid, form, twiml };
        self.inner.lock().unwrap().taken.push(taken.clone());
        Ok(taken)
    }
}

async fn receive(
    State(d): State<TwilioDouble>,
    Path((sid, what)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let expected = format!("Basic {}", STANDARD.encode(format!("{SID}:{TOKEN}")));
    let offered = headers.get("authorization").and_then(|h| h.to_str().ok());
    if offered != Some(expected.as_str()) {
        return refuse((401, 20003, "Authenticate"));
    }
    let Some(what) = what.strip_suffix(".json").filter(|w| ["Messages", "Calls"].contains(w))
    else {
        return refuse((404, 20404, "The requested resource was not found"));
    };
    if sid != SID {
        return refuse((404, 20404, "The requested resource was not found"));
    }
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    let fault = d.inner.lock().unwrap().faults.pop_front();
    match fault {
        Some(Fault::Hang) => return hang().await,
        Some(Fault::SlowDown) => return refuse((429, 20429, "Too Many Requests")),
        Some(Fault::Error(status, code)) => return refuse((status, code, "scripted")),
        Some(Fault::Proxy(status)) => {
            return (StatusCode::from_u16(status).unwrap(), "<html>").into_response();
        }
        Some(Fault::StoreThenHang | Fault::StoreThenBreak) | None => {}
    }
    let form = form_urlencoded::parse(&body).into_owned().collect();
    match (d.take(what, form), fault) {
        (Err(refusal), _) => refuse(refusal),
        (Ok(_), Some(Fault::StoreThenHang)) => hang().await,
        (Ok(_), Some(Fault::StoreThenBreak)) => broken(201),
        (Ok(t), _) => reply(
            201,
            json!({ "sid": t.sid, "account_sid": SID, "status": "queued", "to": t.get("To"), "error_code": null }),
        ),
    }
}
