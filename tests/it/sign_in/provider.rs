//! A real OpenID Connect provider on this machine, behind a door that asks for the proof of PKCE
//! (RFC 7636), which the provider itself does not.

use crate::doubles::serve;
use crate::reach::{free_port, interpreter};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use child_death_review::platform::crypt::sha256;
use serde_json::Value;
use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub struct Oidc {
    child: Child,
    pub url: String,
}

/// Passes everything on, and remembers which challenge each code was given for.
#[derive(Clone)]
struct Door {
    behind: Arc<AtomicU16>,
    challenges: Arc<Mutex<HashMap<String, String>>>,
    http: reqwest::Client,
}

/// The value of a name in a query or a form.
fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    pairs.find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
}

impl Door {
    async fn pass(
        State(door): State<Self>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let form = String::from_utf8_lossy(&body).into_owned();
        if let Some(code) = field(&form, "code") {
            let proof = field(&form, "code_verifier").unwrap_or_default();
            let proven = URL_SAFE_NO_PAD.encode(sha256(&[proof.as_bytes()]));
            let asked = door.challenges.lock().unwrap().remove(&code);
            if asked.is_none_or(|a| a != proven) {
                let json = [("content-type", "application/json")];
                return (StatusCode::BAD_REQUEST, json, r#"{"error":"invalid_grant"}"#)
                    .into_response();
            }
        }
        let url = format!("http://127.0.0.1:{}{uri}", door.behind.load(Ordering::SeqCst));
        // The host too: the provider calls itself by the name it is asked under.
        let sent = door.http.request(method, url).headers(headers).body(body).send().await.unwrap();
        let to = sent.headers().get("location").map(|l| l.to_str().unwrap().to_owned());
        let query = to.as_deref().and_then(|t| t.split_once('?')).map_or("", |(_, q)| q);
        if let Some(code) = field(query, "code") {
            let asked = uri.query().unwrap_or_default();
            let method = field(asked, "code_challenge_method");
            let challenge =
                field(asked, "code_challenge").filter(|_| method.as_deref() == Some("S256"));
            door.challenges.lock().unwrap().insert(code, challenge.unwrap_or_default());
        }
        let (status, mut passed) = (sent.status(), sent.headers().clone());
        passed.remove("transfer-encoding");
        (status, passed, sent.bytes().await.unwrap()).into_response()
    }
}

impl Oidc {
    pub async fn start() -> Self {
        // Between finding a port free and taking it another test may take it: then once more.
        for _ in 0..5 {
            if let Some(up) = Self::try_start().await {
                return up;
            }
        }
        panic!("the provider does not start: run tests/run");
    }

    async fn try_start() -> Option<Self> {
        let behind = Arc::new(AtomicU16::new(0));
        let there = behind.clone();
        let front = serve(move |_| {
            let http =
                reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
            let challenges = Arc::default();
            let door = Door { behind: there, challenges, http: http.build().unwrap() };
            Router::new().fallback(Door::pass).with_state(door)
        })
        .await;
        // Only now: the door would else be opened at this very port.
        let port = free_port();
        behind.store(port, Ordering::SeqCst);
        let child = Command::new(interpreter())
            .args(["-W", "ignore", "-m", "oidc_provider_mock", "--require-nonce", "true", "--port"])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python: run tests/run");
        let mut up = Self { child, url: format!("http://127.0.0.1:{front}") };
        let described = format!("{}/.well-known/openid-configuration", up.url);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let there = format!("http://127.0.0.1:{port}/.well-known/openid-configuration");
            if reqwest::get(&there).await.is_err() {
                if up.child.try_wait().unwrap().is_some() {
                    return None;
                }
                continue;
            }
            let said = async { reqwest::get(&described).await.ok()?.json::<Value>().await.ok() };
            let ours = said.await.is_some_and(|d| d["issuer"] == up.url.as_str());
            if up.child.try_wait().unwrap().is_some() {
                return None;
            }
            if ours {
                return Some(up);
            }
        }
        None
    }

    /// What the provider says of somebody; in the ID token too.
    pub async fn set(&self, subject: &str, claims: Value) {
        let url = format!("{}/users/{subject}", self.url);
        let r = reqwest::Client::new()
            .put(url)
            .header("content-type", "application/json")
            .body(claims.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(r.status(), 204);
    }

    /// Signs in there; where the browser is sent back to.
    pub async fn approve(&self, http: &reqwest::Client, to: &str, subject: &str) -> String {
        assert!(to.starts_with(&self.url), "{to}");
        let r = http
            .post(to)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("sub={subject}"))
            .send()
            .await
            .unwrap();
        let back = r.headers().get("location").map(|l| l.to_str().unwrap().to_owned());
        back.unwrap_or_else(|| panic!("{} not sent back", r.status()))
    }
}

impl Drop for Oidc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
