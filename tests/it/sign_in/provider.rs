//! A real OpenID Connect provider on this machine.

use crate::reach::{free_port, interpreter};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Oidc {
    child: Child,
    pub url: String,
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
        let port = free_port();
        let child = Command::new(interpreter())
            .args(["-W", "ignore", "-m", "oidc_provider_mock", "--require-nonce", "true", "--port"])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python: run tests/run");
        let mut up = Self { child, url: format!("http://127.0.0.1:{port}") };
        let described = format!("{}/.well-known/openid-configuration", up.url);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(200)).await;
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
