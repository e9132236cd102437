//! A browser as far as signing in needs one: cookies, a user agent, an address.

use crate::support::App;
use std::collections::BTreeMap;
use std::sync::Mutex;

pub struct Browser<'a> {
    app: &'a App,
    cookies: Mutex<BTreeMap<String, String>>,
    agent: &'static str,
    address: &'static str,
}

pub struct Answer {
    pub status: u16,
    pub to: String,
    pub text: String,
    pub set: Vec<String>,
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a App, address: &'static str) -> Self {
        let agent = "Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36";
        Self { app, cookies: Mutex::default(), agent, address }
    }

    pub async fn get(&self, path: &str) -> Answer {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.app.url)
        };
        self.send(self.app.http.get(url)).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let r = self.app.http.post(format!("{}{path}", self.app.url)).body(body);
        self.send(r.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// Posts a form of a signed-in page.
    pub async fn change(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let word = self.csrf().await;
        let mut all = vec![("_csrf", word.as_str())];
        all.extend_from_slice(fields);
        self.post(path, &all).await
    }

    pub async fn csrf(&self) -> String {
        crate::support::csrf(&self.get("/account").await.text)
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.post("/sign-in", &[("email", email), ("password", password)]).await
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    async fn send(&self, r: reqwest::RequestBuilder) -> Answer {
        let cookies: Vec<String> =
            self.cookies.lock().unwrap().iter().map(|(n, v)| format!("{n}={v}")).collect();
        let r = r
            .header("cookie", cookies.join("; "))
            .header("user-agent", self.agent)
            .header("x-forwarded-for", format!("203.0.113.66, {}", self.address));
        let answer = r.send().await.unwrap();
        let set: Vec<String> = answer
            .headers()
            .get_all("set-cookie")
            .into_iter()
            .map(|v| v.to_str().unwrap().to_owned())
            .collect();
        for line in &set {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let mut jar = self.cookies.lock().unwrap();
            if value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        let to = answer.headers().get("location").map(|l| l.to_str().unwrap().to_owned());
        Answer {
            status: answer.status().as_u16(),
            to: to.unwrap_or_default(),
            text: answer.text().await.unwrap(),
            set,
        }
    }
}
