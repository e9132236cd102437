//! A service with partners around it, told as a story: steps read as sentences, time moves only
//! when the story says so, and a message that nobody expected fails the test.
//!
//! Each node runs on a runtime of its own, so that it can be killed (its tasks are dropped wherever
//! they wait, also between sending and recording) or frozen (its only thread is held).

use crate::doubles::gateway::GatewayDouble;
use crate::doubles::mail::MailDouble;
use crate::doubles::notify::NotifyDouble;
use crate::support::{Db, SECRET, Sink, config_for};
use child_death_review::app::{self, Running};
use child_death_review::auth::policy::{Caller, TokenScope};
use child_death_review::auth::token;
use child_death_review::config::area::{self, Directory};
use child_death_review::config::{Config, Provider};
use child_death_review::domain::case::CaseState;
use child_death_review::domain::event::{Means, Person};
use child_death_review::domain::id::{AlertId, CaseId, Reference};
use child_death_review::platform::clock::ManualClock;
use child_death_review::service::{
    Acknowledgement, AlertDetail, HandOn, JarDecision, Reply, Service, Wish,
};
use child_death_review::work::{escalate_once, watcher};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration as StdDuration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// How long a connection is used again: less than a node, also one that was frozen, keeps it.
const KEPT: StdDuration = StdDuration::from_secs(5);

pub const AMY: &str = "07700 900101";
pub const BEN: &str = "07700 900102";
pub const POLICE_DESK: &str = "01632 960111";
pub const CARE: &str = "07700 900201";
pub const CARE_DESK: &str = "01632 960112";
/// The named human at the end of every ladder.
pub const MANAGER: &str = "07700 900190";
pub const OFFICE: &str = "office@northshire.example";

/// A story in which a death has been notified and everybody has their first messages.
pub async fn first_night(db: Db) -> Story {
    let mut story = Story::begin(db).await;
    story.notify(crate::support::triggering()).await;
    story.expect_first_messages().await;
    story
}

pub fn minutes(n: i64) -> Duration {
    Duration::minutes(n)
}

pub fn seconds(n: i64) -> Duration {
    Duration::seconds(n)
}

/// Police with a rota (Amy, then Ben), a desk telephone and a system; social care with desks only;
/// the office, which is told and need not acknowledge. `more` is put at the end.
pub fn area_text(sink: &Sink, more: &str) -> String {
    let told = "told_of = [\"jar_triggered\", \"jar_provisional\", \"jar_upgraded\"]";
    format!(
        r#"id = "northshire"
name = "Northshire"
call_back = "01632 960100"
[last_step]
name = "Manager on call"
number = "{MANAGER}"
after_seconds = 900
[[last_step.contact]]
id = "manager"
channel = "mobile"
address = "{MANAGER}"
[[agency]]
id = "police"
name = "The police"
ring = "01632 960101"
{told}
[[agency.contact]]
id = "system"
channel = "webhook"
address = "http://127.0.0.1:{port}/police"
secret = "{SECRET}"
[[agency.contact]]
id = "desk"
channel = "landline"
address = "{POLICE_DESK}"
[[agency.person]]
id = "amy"
name = "Amy Exampleton"
role = "DI"
[[agency.person.contact]]
id = "amy-mobile"
channel = "mobile"
address = "{AMY}"
[[agency.person.contact]]
id = "amy-mail"
channel = "email"
address = "amy@police.example"
[[agency.person]]
id = "ben"
name = "Ben Sampleby"
[[agency.person.contact]]
id = "ben-mobile"
channel = "mobile"
address = "{BEN}"
[agency.rota]
id = "di"
name = "Detective inspectors"
[[agency.rota.rotations]]
id = "first"
rank = 0
starts = "2026-01-01"
handover = "09:00:00"
every_days = 7
people = ["amy"]
[[agency.rota.rotations]]
id = "second"
rank = 1
starts = "2026-01-01"
handover = "09:00:00"
every_days = 7
people = ["ben"]
[[agency]]
id = "social_care"
name = "Social care"
ring = "01632 960102"
{told}
[[agency.contact]]
id = "duty"
channel = "duty_number"
address = "{CARE}"
[[agency.contact]]
id = "desk"
channel = "landline"
address = "{CARE_DESK}"
[[agency.contact]]
id = "mail"
channel = "email"
address = "edt@socialcare.example"
[[agency]]
id = "cdop_office"
name = "Panel office"
ring = "01632 960106"
acknowledge = false
told_of = ["jar_triggered", "jar_provisional", "jar_upgraded", "death_notified"]
[[agency.contact]]
id = "mail"
channel = "email"
address = "{OFFICE}"
{more}
"#,
        port = sink.port
    )
}

/// The tests' own look at the database.
#[derive(Clone)]
pub enum Look {
    Lite(sqlx::SqlitePool),
    Pg(sqlx::PgPool),
}

macro_rules! on_look {
    ($look:expr, |$p:ident| $do:expr) => {
        match $look {
            Look::Lite($p) => $do,
            Look::Pg($p) => $do,
        }
    };
}

impl Look {
    pub async fn open(db: &Db) -> Self {
        if db.is_sqlite() {
            Self::Lite(SqlitePoolOptions::new().max_connections(2).connect(&db.url).await.unwrap())
        } else {
            Self::Pg(PgPoolOptions::new().max_connections(2).connect(&db.url).await.unwrap())
        }
    }

    /// Messages that should be on their way at `now`, and steps that should have been taken.
    pub async fn unsettled(&self, now: DateTime<Utc>) -> i64 {
        const SQL: &str = "SELECT (SELECT COUNT(*) FROM delivery WHERE state = 'leased' OR (state = 'due' AND next_at <= $1)) + (SELECT COUNT(*) FROM alert WHERE hurry OR (step_at IS NOT NULL AND step_at <= $1))";
        on_look!(self, |p| sqlx::query_scalar(SQL).bind(now).fetch_one(p).await.unwrap())
    }

    pub async fn steps_due(&self, now: DateTime<Utc>) -> i64 {
        const SQL: &str = "SELECT COUNT(*) FROM alert WHERE hurry OR step_at <= $1";
        on_look!(self, |p| sqlx::query_scalar(SQL).bind(now).fetch_one(p).await.unwrap())
    }

    pub async fn lane(&self, delivery: Uuid) -> Option<(String, Uuid)> {
        const SQL: &str = "SELECT lane, alert_id FROM delivery WHERE id = $1";
        on_look!(self, |p| sqlx::query_as(SQL).bind(delivery).fetch_optional(p).await.unwrap())
    }

    /// What a rebuild must give again, row by row.
    pub async fn alert_rows(&self) -> Vec<(Uuid, String, Option<DateTime<Utc>>, i64, String)> {
        const SQL: &str = "SELECT id, phase, step_at, steps, state FROM alert ORDER BY id";
        on_look!(self, |p| sqlx::query_as(SQL).fetch_all(p).await.unwrap())
    }

    /// When messages of an alert were made for each lane.
    pub async fn made(&self, alert: Uuid) -> Vec<(String, DateTime<Utc>)> {
        const SQL: &str =
            "SELECT lane, created_at FROM delivery WHERE alert_id = $1 ORDER BY lane, created_at";
        on_look!(self, |p| sqlx::query_as(SQL).bind(alert).fetch_all(p).await.unwrap())
    }

    /// Messages that were given up.
    pub async fn given_up(&self) -> Vec<Uuid> {
        const SQL: &str = "SELECT id FROM delivery WHERE state = 'dead' ORDER BY id";
        on_look!(self, |p| sqlx::query_scalar(SQL).fetch_all(p).await.unwrap())
    }

    /// Names of a case's events, in order.
    pub async fn events(&self, case: CaseId) -> Vec<String> {
        const SQL: &str = "SELECT name FROM journal WHERE stream_id = $1 ORDER BY version";
        on_look!(self, |p| sqlx::query_scalar(SQL).bind(case.0).fetch_all(p).await.unwrap())
    }

    pub async fn number(&self, sql: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        on_look!(self, |p| sqlx::query_scalar(sql).fetch_one(p).await.unwrap())
    }
}

/// One node: a service on a runtime of its own.
pub struct Node {
    rt: Option<Runtime>,
    running: Option<Running>,
    pub service: Service,
    pub url: String,
    held: Option<Arc<(Mutex<bool>, Condvar)>>,
}

impl Node {
    pub async fn start(
        config: &Config,
        directory: Arc<Directory>,
        clock: Arc<ManualClock>,
    ) -> Self {
        // One thread, so that holding it holds everything.
        let rt = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut config = config.clone();
        let started = tokio::task::spawn_blocking(move || {
            let up = rt.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let url = format!("http://{}", listener.local_addr().unwrap());
                config.server.public_url.clone_from(&url);
                let running = app::start(&config, directory, listener, clock, None).await.unwrap();
                (running, url)
            });
            (rt, up)
        });
        let (rt, (running, url)) = started.await.unwrap();
        let service = running.service.clone();
        Self { rt: Some(rt), running: Some(running), service, url, held: None }
    }

    /// Does something with this node's service, on this node.
    pub async fn with<T: Send + 'static, F: Future<Output = T>>(
        &self,
        f: impl FnOnce(Service) -> F + Send + 'static,
    ) -> T {
        let (service, rt) = (self.service.clone(), self.rt.as_ref().expect("this node was killed"));
        let handle = rt.handle().clone();
        tokio::task::spawn_blocking(move || handle.block_on(f(service))).await.unwrap()
    }

    /// Ends it as a power cut does: nothing is finished, nothing is recorded.
    pub async fn kill(&mut self) {
        self.thaw();
        if let Some(rt) = self.rt.take() {
            tokio::task::spawn_blocking(move || {
                rt.shutdown_timeout(std::time::Duration::from_secs(5))
            })
            .await
            .unwrap();
        }
        self.running = None;
    }

    /// Holds its only thread until [`Node::thaw`].
    pub fn freeze(&mut self) {
        let held = Arc::new((Mutex::new(true), Condvar::new()));
        let mine = held.clone();
        if let Some(rt) = &self.rt {
            rt.spawn(async move {
                let (still, bell) = &*mine;
                let guard = still.lock().unwrap();
                drop(bell.wait_while(guard, |s| *s).unwrap());
            });
        }
        self.held = Some(held);
    }

    pub fn is_frozen(&self) -> bool {
        self.held.is_some()
    }

    pub fn thaw(&mut self) {
        if let Some(held) = self.held.take() {
            *held.0.lock().unwrap() = false;
            held.1.notify_all();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.thaw();
        if let Some(rt) = self.rt.take() {
            rt.shutdown_background();
        }
    }
}

/// A message as a partner got it.
#[derive(Clone, Debug)]
pub struct Got {
    /// `text`, `call`, `mail` or `hook`.
    pub by: &'static str,
    /// A number in international form, an address, or the path of a system.
    pub to: String,
    pub words: String,
    /// The order at the gateway.
    pub order: Value,
}

/// Everything around the service.
pub struct Story {
    pub db: Db,
    pub look: Look,
    pub clock: Arc<ManualClock>,
    /// Clocks of nodes that go by another than the first one's.
    pub other_clocks: Vec<Arc<ManualClock>>,
    pub sink: Sink,
    pub gateway: GatewayDouble,
    pub mail: MailDouble,
    /// Used by stories that name GOV.UK Notify as a provider.
    pub notify: NotifyDouble,
    pub config: Config,
    pub directory: Arc<Directory>,
    pub nodes: Vec<Node>,
    pub token: String,
    pub http: reqwest::Client,
    pub references: Vec<Reference>,
    /// Got and not yet expected.
    pub pending: Vec<Got>,
    pub all: Vec<Got>,
    seen: [usize; 4],
    pub strict: bool,
}

/// A Friday night.
pub fn night() -> DateTime<Utc> {
    "2026-02-20T04:00:00Z".parse().unwrap()
}

pub fn international(number: &str) -> String {
    let digits: String = number.chars().filter(|c| !c.is_whitespace()).collect();
    digits.strip_prefix('0').map_or(digits.clone(), |d| format!("+44{d}"))
}

impl Story {
    pub async fn begin(db: Db) -> Self {
        Self::with(db, |_| {}, "").await
    }

    pub async fn with(db: Db, change: impl FnOnce(&mut Config), more: &str) -> Self {
        let sink = Sink::start().await;
        let text = area_text(&sink, more);
        Self::in_area(db, sink, &text, change).await
    }

    pub async fn in_area(db: Db, sink: Sink, text: &str, change: impl FnOnce(&mut Config)) -> Self {
        let clock = ManualClock::at(night());
        let gateway = GatewayDouble::by(clock.clone()).await;
        let mail = MailDouble::start().await;
        let notify = NotifyDouble::by(clock.clone()).await;
        let mut config = config_for(&db);
        config.gateway = gateway.config();
        config.channels.sms = vec![Provider::Gateway];
        config.channels.voice = vec![Provider::Gateway];
        config.channels.timeout_seconds = 1;
        config.webhooks.timeout_seconds = 1;
        config.mail.host = "127.0.0.1".into();
        config.mail.port = mail.port;
        config.mail.timeout_seconds = 2;
        // The watcher looks when a story asks it to.
        config.watch.every_seconds = 3600;
        config.journal.seal_seconds = 20;
        change(&mut config);
        let named = |providers: &[Provider]| providers.contains(&Provider::GovukNotify);
        if named(&config.channels.sms) || named(&config.channels.email) {
            config.govuk_notify = notify.config();
        }
        let area = area::parse("story", text).unwrap();
        let directory = Arc::new(Directory::from_areas(vec![("story".into(), area)]).unwrap());
        let node = Node::start(&config, directory.clone(), clock.clone()).await;
        let scopes: Vec<TokenScope> =
            TokenScope::WORDS.iter().filter_map(|w| TokenScope::parse(w)).collect();
        let now = clock_now(&clock);
        let token =
            node.with(move |s| async move {
                token::issue(&s.store, "story", &scopes, "*", None, now).await
            })
            .await
            .unwrap();
        let look = Look::open(&db).await;
        Self {
            db,
            look,
            clock,
            other_clocks: Vec::new(),
            sink,
            gateway,
            mail,
            notify,
            config,
            directory,
            nodes: vec![node],
            token,
            http: reqwest::Client::builder().no_proxy().pool_idle_timeout(KEPT).build().unwrap(),
            references: Vec::new(),
            pending: Vec::new(),
            all: Vec::new(),
            seen: [0; 4],
            strict: true,
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        clock_now(&self.clock)
    }

    pub fn node(&self) -> &Node {
        self.nodes.iter().find(|n| n.rt.is_some() && n.held.is_none()).expect("a live node")
    }

    /// A second node on the same database.
    pub async fn another_node(&mut self) {
        let n = Node::start(&self.config, self.directory.clone(), self.clock.clone()).await;
        self.nodes.push(n);
    }

    /// A second node on the same database whose clock is wrong by so much.
    pub async fn another_node_off_by(&mut self, by: Duration) {
        let clock = ManualClock::at(self.now() + by);
        let n = Node::start(&self.config, self.directory.clone(), clock.clone()).await;
        self.nodes.push(n);
        self.other_clocks.push(clock);
    }

    /// The furthest clock of any node: what is due by it will be done.
    fn latest(&self) -> DateTime<Utc> {
        let others = self.other_clocks.iter().map(clock_now);
        others.fold(self.now(), DateTime::max)
    }

    /// A power cut of a node, and a new one in its place.
    pub async fn kill_and_restart(&mut self, n: usize) {
        self.nodes[n].kill().await;
        self.nodes[n] = Node::start(&self.config, self.directory.clone(), self.clock.clone()).await;
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.node().url);
        let mut r = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(b) = body {
            r = r.header("content-type", "application/json").body(b.to_string());
        }
        let answer = r.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, Some(body)).await
    }

    /// Notifies a death; its reference.
    pub async fn notify(&mut self, body: Value) -> Reference {
        let (status, answer) = self.post("/api/v1/notifications", body).await;
        assert_eq!(status, 201, "{answer}");
        let r = Reference::parse(answer["reference"].as_str().unwrap()).unwrap();
        self.references.push(r.clone());
        r
    }

    pub fn case(&self) -> Reference {
        self.references.last().expect("a case").clone()
    }

    pub async fn id(&self, r: &Reference) -> CaseId {
        let r = r.clone();
        self.node().with(move |s| async move { s.store.find(&r).await }).await.unwrap().unwrap().0
    }

    /// The case as its journal makes it.
    pub async fn state(&self, r: &Reference) -> CaseState {
        let id = self.id(r).await;
        self.node()
            .with(move |s| async move { s.store.load(id).await })
            .await
            .unwrap()
            .unwrap()
            .state
    }

    /// The latest response alert of an agency.
    pub async fn alert(&self, r: &Reference, agency: &str) -> AlertId {
        let s = self.state(r).await;
        let mine = s.alerts.iter().filter(|(_, a)| a.agency == agency && a.kind.is_response());
        *mine.max_by_key(|(_, a)| a.planned_at).expect("an alert").0
    }

    /// Three rungs of both ladders, and then it is time for the named human.
    pub async fn nobody_answers(&mut self) {
        for (rung, wait) in [(1, 180), (2, 180), (3, 240)] {
            self.forward(seconds(wait)).await;
            self.expect_rung("police", rung).await;
            self.expect_rung("social_care", rung).await;
        }
        self.forward(seconds(300)).await;
    }

    /// Presses the button behind a link: status and page.
    pub async fn answer_link(&self, link: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let body: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let r = self
            .http
            .post(format!("{}{link}", self.node().url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap();
        (r.status().as_u16(), r.text().await.unwrap())
    }

    /// How an agency stands on the board of the last case.
    pub async fn detail(&self, agency: &str) -> AlertDetail {
        let (case, agency) = (self.case(), agency.to_owned());
        let look = |s: Service| async move { s.case(&Caller::operator(), &case).await.unwrap() };
        let found = self.node().with(look).await;
        found.alerts.into_iter().find(|a| a.agency == agency).unwrap()
    }

    /// Moves the clock and waits until everything that is due by then has happened.
    pub async fn forward(&mut self, by: Duration) {
        self.settle().await;
        self.clock.forward(by);
        for c in &self.other_clocks {
            c.forward(by);
        }
        self.settle().await;
    }

    /// Waits until nothing is due and nothing is on its way; decided from the database, so that
    /// "nothing came" is known and not waited for.
    pub async fn settle(&mut self) {
        let started = Instant::now();
        loop {
            let now = self.latest();
            if self.look.unsettled(now).await == 0 {
                break;
            }
            assert!(
                started.elapsed() < std::time::Duration::from_secs(30),
                "it does not settle: {} at {now}",
                self.look.unsettled(now).await
            );
            if self.look.steps_due(now).await > 0 {
                self.step().await;
            } else {
                tokio::time::sleep(std::time::Duration::from_millis(8)).await;
            }
        }
        self.absorb();
    }

    /// One look of the escalator, as any node may take it at any time.
    pub async fn step(&self) {
        // A failed look is taken again.
        let _ = self.node().with(move |s| async move { escalate_once(&s).await }).await;
        tokio::time::sleep(std::time::Duration::from_millis(8)).await;
    }

    /// One round of the watcher.
    pub async fn watch(&self) -> watcher::Round {
        self.node()
            .with(move |s| async move {
                s.tell_gaps().await.unwrap();
                let round = watcher::look(&s, true).await.unwrap();
                watcher::raise(&s, &round.findings).await.unwrap();
                round
            })
            .await
    }

    /// Takes over what partners got since.
    pub fn absorb(&mut self) {
        let mut new = Vec::new();
        for order in self.gateway.orders_from(self.seen[0]) {
            let by = if order["type"] == "sms" { "text" } else { "call" };
            let said = if by == "text" { &order["text"] } else { &order["say"] };
            let words = said.as_str().unwrap_or_default().to_owned();
            let to = order["to"].as_str().unwrap().to_owned();
            self.seen[0] += 1;
            new.push(Got { by, to, words, order });
        }
        for m in self.mail.got_from(self.seen[1]) {
            self.seen[1] += 1;
            new.push(Got { by: "mail", to: m.to, words: m.text, order: Value::Null });
        }
        for m in self.notify.sent_from(self.seen[3]) {
            self.seen[3] += 1;
            let by = if m.kind == "sms" { "text" } else { "mail" };
            let order = json!({ "id": m.reference, "notify": m.id });
            new.push(Got { by, to: m.to, words: m.body, order });
        }
        for g in &self.sink.from(self.seen[2]) {
            self.seen[2] += 1;
            // Whoever gets a message under the same id again drops it.
            if self.all.iter().chain(&new).any(|o| o.by == "hook" && o.order["id"] == g.id()) {
                continue;
            }
            new.push(Got {
                by: "hook",
                to: g.agency.clone(),
                words: g.body.clone(),
                order: json!({ "id": g.id() }),
            });
        }
        self.all.extend(new.iter().cloned());
        self.pending.extend(new);
    }

    async fn expect(&mut self, by: &str, to: &str, words: &str) -> Got {
        self.settle().await;
        let to = if to.starts_with('0') { international(to) } else { to.to_owned() };
        let fits = |g: &Got| g.by == by && g.to == to && g.words.contains(words);
        let Some(i) = self.pending.iter().position(fits) else {
            let others: Vec<String> = self.pending.iter().map(short).collect();
            panic!("no {by} to {to} that says {words:?}; there is {others:#?}");
        };
        self.pending.remove(i)
    }

    /// A text came, and it is this agency's.
    pub async fn expect_text(&mut self, agency: &str, to: &str, words: &str) -> Got {
        let got = self.expect("text", to, words).await;
        self.belongs(&got, agency).await;
        got
    }

    pub async fn expect_call(&mut self, agency: &str, to: &str) -> Got {
        let got = self.expect("call", to, "").await;
        self.belongs(&got, agency).await;
        got
    }

    pub async fn expect_mail(&mut self, to: &str, words: &str) -> Got {
        self.expect("mail", to, words).await
    }

    pub async fn expect_hook(&mut self, agency: &str, words: &str) -> Got {
        self.expect("hook", agency, words).await
    }

    async fn belongs(&self, got: &Got, agency: &str) {
        let id = Uuid::parse_str(got.order["id"].as_str().unwrap()).unwrap();
        let (lane, _) = self.look.lane(id).await.expect("a message of ours");
        assert!(lane.starts_with(&format!("northshire/{agency}/")), "{lane} is not {agency}'s");
    }

    pub async fn expect_nothing_more(&mut self) {
        self.settle().await;
        let left: Vec<String> = self.pending.iter().map(short).collect();
        assert!(left.is_empty(), "nobody expected {left:#?}");
    }

    /// The messages of a rung of the usual ladder, each of them, and for the last rung those to
    /// the named human.
    pub async fn expect_rung(&mut self, agency: &str, rung: usize) {
        let (amy, care) = ("amy@police.example", "edt@socialcare.example");
        match (agency, rung) {
            ("police", 0) => {
                self.expect_hook("police", "jar_").await;
                self.expect_mail(amy, "Joint Agency Response").await;
                self.expect_text("police", AMY, "URGENT: Joint Agency Response").await;
            }
            ("police", 1) => {
                self.expect_call("police", AMY).await;
                self.expect_call("police", POLICE_DESK).await;
            }
            ("police", 2) => {
                self.expect_text("police", BEN, "URGENT: Joint Agency Response").await;
                self.expect_call("police", BEN).await;
            }
            ("police", 3) => {
                self.expect_mail(amy, "Joint Agency Response").await;
                self.expect_text("police", AMY, "URGENT: Joint Agency Response").await;
                self.expect_text("police", BEN, "URGENT: Joint Agency Response").await;
                self.expect_call("police", AMY).await;
                self.expect_call("police", BEN).await;
                self.expect_call("police", POLICE_DESK).await;
            }
            ("social_care", 0) => {
                self.expect_mail(care, "Joint Agency Response").await;
                self.expect_text("social_care", CARE, "URGENT: Joint Agency Response").await;
            }
            ("social_care", 1) => {
                self.expect_call("social_care", CARE).await;
                self.expect_call("social_care", CARE_DESK).await;
            }
            ("social_care", 2) => {
                self.expect_text("social_care", CARE, "URGENT: Joint Agency Response").await;
                self.expect_call("social_care", CARE).await;
                self.expect_call("social_care", CARE_DESK).await;
            }
            ("social_care", 3) => {
                self.expect_mail(care, "Joint Agency Response").await;
                self.expect_text("social_care", CARE, "URGENT: Joint Agency Response").await;
                self.expect_call("social_care", CARE).await;
                self.expect_call("social_care", CARE_DESK).await;
            }
            other => panic!("there is no rung {other:?}"),
        }
    }

    /// The named human is told whom to ring, and the agency's last rung goes once more.
    pub async fn expect_human(&mut self, agency: &str) {
        let (name, ring) = rung_by_hand(agency);
        let words = format!("Please ring {name} now on {ring}");
        self.expect_text("last_step", MANAGER, &words).await;
        self.expect_call("last_step", MANAGER).await;
        self.expect_rung(agency, 3).await;
    }

    /// The named human is told of both agencies in one message and one call.
    pub async fn expect_human_for_both(&mut self) {
        let text = self.expect_text("last_step", MANAGER, "Please ring these partners now").await;
        for agency in ["police", "social_care"] {
            let (name, ring) = rung_by_hand(agency);
            assert!(text.words.contains(&format!("{name} {ring}")), "{}", text.words);
        }
        self.expect_call("last_step", MANAGER).await;
        self.expect_rung("police", 3).await;
        self.expect_rung("social_care", 3).await;
    }

    /// Everybody's first messages, the office's word included.
    pub async fn expect_first_messages(&mut self) {
        self.expect_rung("police", 0).await;
        self.expect_rung("social_care", 0).await;
        self.expect_mail(OFFICE, "Joint Agency Response").await;
    }

    /// The last text that went to a number.
    pub fn last_text(&self, to: &str) -> &Got {
        let to = international(to);
        self.all.iter().rev().find(|g| g.by == "text" && g.to == to).expect("a text")
    }

    /// The last call to a number.
    pub fn last_call(&self, to: &str) -> &Got {
        let to = international(to);
        self.all.iter().rev().find(|g| g.by == "call" && g.to == to).expect("a call")
    }

    /// Somebody replies to the last text at their number; `{code}` is the code in it.
    pub async fn reply(&self, from: &str, text: &str) -> u16 {
        let got = self.last_text(from);
        let text = text.replace("{code}", &code_in(&got.words));
        let event = json!({ "event": "reply", "from": international(from), "text": text });
        self.hook(&event).await
    }

    pub async fn press(&self, call: &Got, key: &str) -> u16 {
        self.hook(&json!({ "message_id": call.order["id"], "event": "key", "key": key })).await
    }

    pub async fn receipt(&self, got: &Got, event: &str) -> u16 {
        self.hook(&json!({ "message_id": got.order["id"], "event": event })).await
    }

    /// A signed call-back to whichever node is up.
    pub async fn hook(&self, event: &Value) -> u16 {
        self.gateway.post(&format!("{}/hooks/gateway", self.node().url), event).await
    }

    pub async fn acknowledge(&self, alert: AlertId, reply: Reply) {
        let ack = Acknowledgement {
            person: Person { name: "Pat Exampleton".into(), ..Person::default() },
            note: String::new(),
            means: Means::Themselves,
            reply,
        };
        self.node()
            .with(move |s| async move { s.acknowledge(&Caller::operator(), alert, ack).await })
            .await
            .unwrap();
    }

    pub async fn cannot(&self, alert: AlertId, to: &str, reach: &str) {
        let on = HandOn { to: to.to_owned(), reach: reach.to_owned() };
        self.acknowledge(alert, Reply::Cannot(on)).await;
    }

    async fn change(&self, r: &Reference, wish: Wish) {
        let r = r.clone();
        self.node()
            .with(move |s| async move { s.change(&Caller::operator(), &r, wish, None).await })
            .await
            .unwrap();
    }

    pub async fn stand_down(&self, r: &Reference) {
        self.decide(r, true).await;
    }

    pub async fn call_anew(&self, r: &Reference) {
        self.decide(r, false).await;
    }

    async fn decide(&self, r: &Reference, stand_down: bool) {
        let decided_by = Person { name: "Dr Example".into(), ..Person::default() };
        let wish = Wish::DecideJar(JarDecision {
            stand_down,
            reason: "Explained".into(),
            consulted: vec![decided_by.clone()],
            decided_by: Some(decided_by),
        });
        self.change(r, wish).await;
    }

    pub async fn withdraw(&self, r: &Reference) {
        self.change(r, Wish::Withdraw { reason: "Made in error".into() }).await;
    }

    pub async fn plan(&self, r: &Reference, agency: &str) {
        let person = Person { name: "Pat Exampleton".into(), ..Person::default() };
        let entry = "We attend the home visit".to_owned();
        self.change(r, Wish::Plan { agency: agency.to_owned(), person, entry }).await;
    }

    /// Nothing is left that nobody expected.
    pub async fn finish(mut self) {
        self.expect_nothing_more().await;
        self.strict = false;
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if self.strict && !std::thread::panicking() {
            self.absorb();
            let left: Vec<String> = self.pending.iter().map(short).collect();
            assert!(left.is_empty(), "nobody expected {left:#?}");
        }
    }
}

fn clock_now(clock: &Arc<ManualClock>) -> DateTime<Utc> {
    use child_death_review::platform::clock::Clock;
    clock.now()
}

fn short(g: &Got) -> String {
    let words: String = g.words.chars().filter(|c| *c != '\n').take(160).collect();
    format!("{} to {}: {words}", g.by, g.to)
}

/// The four digits after `YES`.
pub fn code_in(text: &str) -> String {
    text.split("YES ").nth(1).map(|t| t.chars().take(4).collect()).unwrap_or_default()
}

/// The acknowledgement link in a message; its path.
pub fn link_in(text: &str) -> String {
    let at = text.find("/a/").expect("a link");
    text[at..].split(|c: char| c.is_whitespace()).next().unwrap().to_owned()
}

/// What the named human reads: an agency's name and number.
fn rung_by_hand(agency: &str) -> (&'static str, &'static str) {
    match agency {
        "police" => ("The police", "01632 960101"),
        _ => ("Social care", "01632 960102"),
    }
}
