//! What the tests share: databases of both engines, a running service, receivers with moods.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use child_death_review::app::{self, Running};
use child_death_review::auth::policy::TokenScope;
use child_death_review::auth::{password, token};
use child_death_review::config::area::{self, Directory};
use child_death_review::config::{self, Config, MailTls};
use child_death_review::domain::alert::{AlertKind, ContactPoint, Desk, Recipient};
use child_death_review::domain::case::Context;
use child_death_review::platform::clock::{SharedClock, SystemClock};
use child_death_review::platform::crypt::Key;
use child_death_review::store::UserRow;
use serde_json::{Value, json};
use sqlx::{Connection, Executor};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Runs one test body on both engines, as two tests.
macro_rules! on_both {
    ($(async fn $name:ident($db:ident: Db) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($db: $crate::support::Db) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                body($crate::support::Db::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                body($crate::support::Db::postgres().await).await;
            }
        }
    )+};
}
pub(crate) use on_both;

/// A database of one test.
pub struct Db {
    pub url: String,
    pub dir: TempDir,
}

impl Db {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite://{}", dir.path().join("t.sqlite").display()), dir }
    }

    /// A missing PostgreSQL fails the test: `tests/run` installs and starts one.
    pub async fn postgres() -> Self {
        let admin = std::env::var("CDR_TEST_POSTGRES").expect(
            "CDR_TEST_POSTGRES is not set: run tests/run, or tests/with-postgres cargo nextest run",
        );
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        let mut c = sqlx::PgConnection::connect(&admin).await.unwrap();
        c.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let url = admin.replacen("/postgres?", &format!("/{name}?"), 1);
        Self { url, dir: tempfile::tempdir().unwrap() }
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    /// Runs plain SQL behind the service's back.
    pub async fn run(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        Ok(if self.is_sqlite() {
            let mut c = sqlx::SqliteConnection::connect(&self.url).await?;
            c.execute(sqlx::raw_sql(sql)).await?.rows_affected()
        } else {
            let mut c = sqlx::PgConnection::connect(&self.url).await?;
            c.execute(sqlx::raw_sql(sql)).await?.rows_affected()
        })
    }

    /// One value of a SQLite database, as text; empty if there is none.
    pub async fn text(&self, sql: &str) -> String {
        let sql = sqlx::AssertSqlSafe(format!("SELECT CAST(({sql}) AS TEXT)"));
        let mut c = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
        let value: Option<String> = sqlx::query_scalar(sql).fetch_one(&mut c).await.unwrap();
        value.unwrap_or_default()
    }

    pub async fn number(&self, sql: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        if self.is_sqlite() {
            let mut c = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut c).await.unwrap()
        } else {
            let mut c = sqlx::PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut c).await.unwrap()
        }
    }
}

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    Status(u16),
    Hang,
    Redirect,
    Endless,
    /// 429 with this Retry-After.
    SlowDown(u32),
    /// Fails this many times, then is well.
    FailsFirst(u32),
}

#[derive(Clone, Debug)]
pub struct Got {
    pub agency: String,
    pub headers: HashMap<String, String>,
    pub body: String,
    pub at: Instant,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

/// Receivers of webhooks, one path per agency.
#[derive(Clone, Default)]
pub struct Sink {
    pub port: u16,
    moods: Arc<Mutex<HashMap<String, Mood>>>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self { port: listener.local_addr().unwrap().port(), ..Self::default() };
        let router = Router::new().route("/{agency}", post(receive)).with_state(sink.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        sink
    }

    pub fn set(&self, agency: &str, mood: Mood) {
        self.moods.lock().unwrap().insert(agency.to_owned(), mood);
    }

    pub fn got(&self, agency: &str) -> Vec<Got> {
        self.got.lock().unwrap().iter().filter(|g| g.agency == agency).cloned().collect()
    }

    pub fn all(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// What came from the `n`th on.
    pub fn from(&self, n: usize) -> Vec<Got> {
        self.got.lock().unwrap()[n..].to_vec()
    }
}

async fn receive(
    State(sink): State<Sink>,
    Path(agency): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers =
        headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap_or("").to_owned())).collect();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let got = Got { agency: agency.clone(), headers, body, at: Instant::now() };
    sink.got.lock().unwrap().push(got);
    let mood = {
        let mut moods = sink.moods.lock().unwrap();
        let mood = moods.get(&agency).copied().unwrap_or(Mood::Well);
        if let Mood::FailsFirst(n) = mood {
            moods.insert(agency, if n <= 1 { Mood::Well } else { Mood::FailsFirst(n - 1) });
        }
        mood
    };
    match mood {
        Mood::Well => StatusCode::NO_CONTENT.into_response(),
        Mood::Status(s) => StatusCode::from_u16(s).unwrap().into_response(),
        Mood::FailsFirst(_) => StatusCode::BAD_GATEWAY.into_response(),
        Mood::Hang => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            StatusCode::OK.into_response()
        }
        Mood::Redirect => {
            (StatusCode::FOUND, [("location", "http://127.0.0.1:1/elsewhere")]).into_response()
        }
        Mood::SlowDown(s) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", s.to_string())]).into_response()
        }
        Mood::Endless => {
            let more = futures_util::stream::repeat_with(|| {
                Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 8192]))
            });
            axum::body::Body::from_stream(more).into_response()
        }
    }
}

pub const AGENCIES: [&str; 5] =
    ["police", "social_care", "designated_doctor", "jar_nurse", "cdop_office"];

/// An area whose agencies all have a webhook at the sink, or other contacts if given.
pub fn area_text(sink: &Sink, extra: &str) -> String {
    let mut t = format!(
        "id = \"northshire\"\nname = \"Northshire\"\ncall_back = \"01632 960100\"\n{extra}\n"
    );
    for a in AGENCIES {
        let told = if a == "cdop_office" { ", \"death_notified\"" } else { "" };
        let acknowledge = a != "cdop_office";
        t.push_str(&format!(
            "[[agency]]\nid = \"{a}\"\nname = \"The {a}\"\nring = \"01632 960101\"\nacknowledge = {acknowledge}\ntold_of = [\"jar_triggered\", \"jar_provisional\", \"jar_upgraded\"{told}]\n[[agency.contact]]\nid = \"hook\"\nchannel = \"webhook\"\naddress = \"http://127.0.0.1:{}/{a}\"\nsecret = \"{SECRET}\"\n",
            sink.port
        ));
    }
    t
}

pub const SECRET: &str = "whsec_dGVzdC1zZWNyZXQtb2YtMzItYnl0ZXMtbG9uZyE=";

pub fn config_for(db: &Db) -> Config {
    let mut c = config::load(None).unwrap();
    c.database.url = db.url.clone().into();
    let key_file = db.dir.path().join("master.key");
    let key = std::fs::read_to_string(&key_file).unwrap_or_else(|_| {
        let key = format!("test:{}", Key::random().unwrap().to_base64());
        std::fs::write(&key_file, &key).unwrap();
        key
    });
    c.crypt.master_key = key.into();
    c.webhooks.allow_private_targets = true;
    c.webhooks.timeout_seconds = 2;
    c.mail.timeout_seconds = 5;
    c.mail.tls = MailTls::None;
    c.journal.seal_seconds = 1;
    c.sign_in.second_factor = config::SecondFactor::Optional;
    // The daily word and the weekly test come when a test asks for them.
    c.watch.tonight_at = chrono::NaiveTime::from_hms_opt(23, 59, 59).unwrap();
    c.watch.test_at = c.watch.tonight_at;
    // Most tests notify one made-up child many times over and mean many children.
    c.duplicates.on_arrival = config::OnArrival::Off;
    c.duplicates.look_seconds = 0;
    c
}

/// A service of one test.
pub struct App {
    pub url: String,
    pub http: reqwest::Client,
    pub token: String,
    pub sink: Sink,
    pub running: Option<Running>,
    pub db: Db,
}

impl App {
    pub async fn start(db: Db) -> Self {
        let sink = Sink::start().await;
        let text = area_text(&sink, "");
        Self::with(db, sink, &text, |_| {}, Arc::new(SystemClock)).await
    }

    pub async fn with(
        db: Db,
        sink: Sink,
        area: &str,
        change: impl FnOnce(&mut Config),
        clock: SharedClock,
    ) -> Self {
        Self::with_areas(db, sink, &[area], change, clock).await
    }

    pub async fn with_areas(
        db: Db,
        sink: Sink,
        areas: &[&str],
        change: impl FnOnce(&mut Config),
        clock: SharedClock,
    ) -> Self {
        let mut config = config_for(&db);
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Passkeys want a name; tests of them ask for it.
        let named = config.server.public_url == "http://localhost";
        let host = if named { "localhost" } else { "127.0.0.1" };
        let url = url.replace("127.0.0.1", host);
        // Behind a proxy that speaks TLS, the service itself is reached by plain HTTP.
        if !config.server.public_url.starts_with("https://") {
            config.server.public_url.clone_from(&url);
        }
        let areas = areas.iter().map(|a| ("test".into(), area::parse("test", a).unwrap()));
        let directory = Arc::new(Directory::from_areas(areas.collect()).unwrap());
        let running = app::start(&config, directory, listener, clock.clone(), None).await.unwrap();
        let scopes: Vec<TokenScope> =
            TokenScope::WORDS.iter().filter_map(|w| TokenScope::parse(w)).collect();
        let token = token::issue(&running.service.store, "test", &scopes, "*", None, clock.now())
            .await
            .unwrap();
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { url, http, token, sink, running: Some(running), db }
    }

    pub fn service(&self) -> &child_death_review::service::Service {
        &self.running.as_ref().unwrap().service
    }

    pub async fn stop(&mut self) {
        if let Some(r) = self.running.take() {
            r.stop().await;
        }
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut r =
            self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(b) = body {
            r = r.header("content-type", "application/json").body(b.to_string());
        }
        let answer = r.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send("POST", path, Some(body)).await
    }

    /// Posts a notification and returns its answer.
    pub async fn notify(&self, body: Value) -> Value {
        let (status, answer) = self.post("/api/v1/notifications", body).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    pub async fn raw(&self, path: &str, body: &[u8], headers: &[(&str, &str)]) -> (u16, Value) {
        let mut r = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
        for (n, v) in headers {
            r = r.header(*n, *v);
        }
        let answer = r.body(body.to_vec()).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn add_user(&self, email: &str, role: &str, area: &str, agency: Option<&str>) {
        let row = UserRow {
            id: uuid::Uuid::new_v4(),
            email: email.to_owned(),
            name: format!("Name of {role}"),
            role: role.to_owned(),
            area: area.to_owned(),
            agency: agency.map(str::to_owned),
            password_hash: password::hash("correct horse battery".into()).await.unwrap(),
            created_at: chrono::Utc::now(),
            disabled_at: None,
        };
        assert!(self.service().store.add_user(row).await.unwrap());
    }

    /// Signs in by the page; the session cookie.
    pub async fn sign_in(&self, email: &str) -> String {
        let r = self
            .http
            .post(format!("{}/sign-in", self.url))
            .body(format!("email={email}&password=correct+horse+battery"))
            .send()
            .await
            .unwrap();
        assert_eq!(r.status(), 303);
        let cookie = r.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    pub async fn page(&self, path: &str, cookie: &str) -> (u16, String) {
        let r = self
            .http
            .get(format!("{}{path}", self.url))
            .header("cookie", cookie)
            .send()
            .await
            .unwrap();
        (r.status().as_u16(), r.text().await.unwrap())
    }

    pub async fn form(
        &self,
        path: &str,
        cookie: &str,
        fields: &[(&str, &str)],
    ) -> (u16, String, String) {
        let body: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let r = self
            .http
            .post(format!("{}{path}", self.url))
            .header("cookie", cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap();
        let status = r.status().as_u16();
        let to =
            r.headers().get("location").map_or(String::new(), |l| l.to_str().unwrap().to_owned());
        (status, to, r.text().await.unwrap())
    }
}

pub fn csrf(page: &str) -> String {
    page.split("name=\"_csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// Waits until something is so; fails the test after 20 seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let started = Instant::now();
    while !so().await {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A notification that triggers a response, with marks that must never leak.
pub fn triggering() -> Value {
    json!({
        "event": "death",
        "child": { "given_names": "Zephyrine", "family_name": "Quorlswick", "nhs_number": "999 000 0018", "date_of_birth": "2024-03-01", "sex": "female", "ethnicity": "A", "live_born": "yes", "address": { "lines": ["7 Marker Lane"], "postcode": "ZZ97 3QX" } },
        "death": { "date": "2026-02-20", "time": "03:15", "place": { "type": "emergency_department", "name": "Marker Infirmary" }, "circumstances": "Found unresponsive, markercircumstance.", "expected": "no", "detention": "none" },
        "jar_answers": { "external_cause": "no", "sudden_no_apparent_cause": "yes", "custody_or_detention": "no", "suspicion_not_natural": "no", "unattended_stillbirth": "no" },
        "notifier": { "name": "Dr Markernotifier", "role": "Registrar", "organisation": "Marker Infirmary", "telephone": "07700 900987", "email": "marker@nhs.example" },
        "household": [ { "relationship": "mother", "name": "Markermother Quorlswick", "age_or_date_of_birth": "29" } ],
        "professionals": [ { "agency": "GP", "name": "Dr Markergp", "role": "GP", "telephone": "01632 960777", "email": "gp@gp.example" } ]
    })
}

/// Lets a rule decide by itself, in an area that tells these recipients.
pub fn by_rules<T>(
    recipients: &dyn Fn(AlertKind) -> Vec<Recipient>,
    usable: &dyn Fn(&ContactPoint) -> bool,
    f: impl FnOnce(&mut Context<'_>) -> T,
) -> T {
    let desk = Desk { area: "a".into(), area_name: "A".into(), call_back: "01632 960100".into() };
    f(&mut Context {
        new_id: &mut uuid::Uuid::new_v4,
        recipients,
        desk: &desk,
        extra: &[],
        opened: &|_| false,
        usable,
    })
}

/// Texts of [`triggering`] that may stand nowhere in the clear. Each is too long, or holds a
/// character too many, to turn up by chance in a nonce, a token or a cipher text.
pub const MARKS: &[&str] = &[
    "Zephyrine",
    "Quorlswick",
    "9990000018",
    "999 000 0018",
    "ZZ97 3QX",
    "ZZ973QX",
    "ZZ97%203QX",
    "ZZ97+3QX",
    " ZZ97",
    "\"ZZ97",
    ">ZZ97",
    "Marker Lane",
    "markercircumstance",
    "Markernotifier",
    "900987",
    "Markermother",
    "Markergp",
    "960777",
    "2024-03-01",
];

pub fn all_no() -> Value {
    let mut b = triggering();
    b["jar_answers"]["sudden_no_apparent_cause"] = json!("no");
    b
}
