//! The real program under faults: killed at every step, killed at random, disk full, two nodes.
//!
//! After each: no acknowledged notification is missing or twice, every alert is there and was
//! delivered under one id, the journal is whole.

use crate::support::{Db, Got, Sink, area_text, on_both, triggering, until};
use child_death_review::platform::crypt::{Key, Keyring};
use child_death_review::platform::failpoint::Point;
use child_death_review::platform::metrics::Metrics;
use child_death_review::store::{Store, Target};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The program with a configuration of its own.
pub struct Program {
    pub dir: std::path::PathBuf,
    pub port: u16,
    pub key: String,
    url: String,
    pub token: String,
    pub child: Option<Child>,
    /// What is set for it beside its configuration.
    pub env: Vec<(&'static str, String)>,
}

impl Program {
    pub fn new(db: &Db, sink: &Sink, key: Option<&str>) -> Self {
        let dir = db.dir.path().join(uuid::Uuid::new_v4().simple().to_string());
        std::fs::create_dir(&dir).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::write(dir.join("area.toml"), area_text(sink, "")).unwrap();
        let key =
            key.map_or_else(|| format!("t:{}", Key::random().unwrap().to_base64()), str::to_owned);
        std::fs::write(dir.join("cdr.toml"), format!("[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:9\"\n[database]\nurl = \"{}\"\n[areas]\nfiles = [\"{}\"]\n[webhooks]\nallow_private_targets = true\ntimeout_seconds = 3\n[mail]\ntimeout_seconds = 3\n[dispatch]\nlease_seconds = 20\n[watch]\ntonight_at = \"23:59:59\"\ntest_at = \"23:59:59\"\n[journal]\nseal_seconds = 1\n[duplicates]\non_arrival = \"off\"\n[log]\nlevel = \"error\"\n", db.url, dir.join("area.toml").display())).unwrap();
        let mut me = Self {
            dir,
            port,
            key,
            url: db.url.clone(),
            token: String::new(),
            child: None,
            env: Vec::new(),
        };
        let out = me
            .command(&["token", "add", "--name", "t", "--scopes", "notify,read,metrics"])
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        me.token = String::from_utf8(out.stdout).unwrap().trim().to_owned();
        me
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_cdr"));
        c.arg("--config")
            .arg(self.dir.join("cdr.toml"))
            .args(args)
            .env("CDR__CRYPT__MASTER_KEY", &self.key)
            .env_remove("CDR_DIE_AT")
            .envs(self.env.iter().map(|(n, v)| (n, v)));
        c
    }

    pub fn start(&mut self, die_at: Option<String>) {
        let log =
            std::fs::File::options().create(true).append(true).open(self.dir.join("log")).unwrap();
        let mut c = self.command(&["serve"]);
        c.stderr(log).stdout(Stdio::null());
        if let Some(p) = die_at {
            c.env("CDR_DIE_AT", p);
        }
        self.child = Some(c.spawn().unwrap());
    }

    /// Starts it in a shell after what is said there, a limit for instance, with more set.
    pub fn start_after(&mut self, first: &str, more: &[(&str, &str)]) {
        let log =
            std::fs::File::options().create(true).append(true).open(self.dir.join("log")).unwrap();
        let plain = self.command(&["serve"]);
        let mut c = Command::new("sh");
        c.args(["-c", &format!("{first}; exec \"$@\""), "sh"])
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(&self.dir)
            .stderr(log)
            .stdout(Stdio::null());
        for (k, v) in plain.get_envs() {
            match v {
                Some(v) => c.env(k, v),
                None => c.env_remove(k),
            };
        }
        self.child = Some(c.envs(more.iter().copied()).spawn().unwrap());
    }

    /// Waits until it answers; false if it ended instead.
    pub async fn ready(&mut self) -> bool {
        let started = Instant::now();
        loop {
            if self.child.as_mut().is_some_and(|c| c.try_wait().unwrap().is_some()) {
                return false;
            }
            let r = reqwest::get(format!("http://127.0.0.1:{}/health/live", self.port)).await;
            if r.is_ok() {
                return true;
            }
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "not ready: {}",
                std::fs::read_to_string(self.dir.join("log")).unwrap()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut c) = self.child.take() {
            let _ = c.kill();
            let _ = c.wait();
        }
    }

    /// Posts under a key until it is answered 201, over restarts; the answer.
    pub async fn post_once(&self, http: &reqwest::Client, key: &str) -> Option<Value> {
        let r = http
            .post(format!("http://127.0.0.1:{}/api/v1/notifications", self.port))
            .bearer_auth(&self.token)
            .header("idempotency-key", key)
            .timeout(Duration::from_secs(5))
            .body(triggering().to_string())
            .send()
            .await
            .ok()?;
        let status = r.status();
        let text = r.text().await.ok()?;
        assert!(status == 201 || status == 503, "{status} {text}");
        (status == 201).then(|| serde_json::from_str(&text).unwrap())
    }

    pub async fn store(&self) -> Store {
        let keyring = Keyring::parse(&self.key.clone().into()).unwrap();
        Store::open(Target::parse(&self.url).unwrap(), keyring, 2, 1, Arc::new(Metrics::default()))
            .await
            .unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// I1 to I4, from what clients saw, what receivers saw and what the database says.
async fn check(p: &Program, db: &Db, sink: &Sink, acknowledged: &BTreeMap<String, Value>) {
    let store = p.store().await;
    until("everything is delivered", || async {
        store.outbox_figures().await.unwrap().waiting == 0
    })
    .await;
    let references: BTreeSet<&str> =
        acknowledged.values().map(|a| a["reference"].as_str().unwrap()).collect();
    assert_eq!(references.len(), acknowledged.len(), "one case per key");
    for a in acknowledged.values() {
        let reference =
            child_death_review::domain::id::Reference::parse(a["reference"].as_str().unwrap())
                .unwrap();
        let (id, _) =
            store.find(&reference).await.unwrap().expect("an acknowledged notification is missing");
        let alerts = store.alerts(id).await.unwrap();
        assert_eq!(alerts.len(), 5);
        assert!(alerts.iter().all(|x| x.state == "accepted"), "{alerts:?}");
    }
    // First messages only: on a slow machine a minute passes, and the watcher rightly tells the
    // office that messages wait, or a ladder goes on.
    assert_eq!(
        db.number("SELECT COUNT(*) FROM delivery WHERE state = 'done' AND step = 0 AND alert_id IN (SELECT id FROM alert)").await,
        db.number("SELECT COUNT(*) FROM alert").await
    );
    let all: Vec<Got> = sink.all();
    let mut bodies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for g in &all {
        bodies.entry(g.id().to_owned()).or_default().insert(g.body.clone());
        assert_eq!(
            g.json()["data"]["agency"],
            g.agency.as_str(),
            "no partner sees another's alert"
        );
    }
    assert!(bodies.values().all(|b| b.len() == 1), "repeats carry the same body");
    let seen: BTreeSet<(String, String)> = all
        .iter()
        .map(|g| (g.json()["subject"].as_str().unwrap().to_owned(), g.agency.clone()))
        .collect();
    for r in references {
        for a in crate::support::AGENCIES {
            assert!(seen.contains(&(r.to_owned(), a.to_owned())), "{a} never heard of {r}");
        }
    }
    let ids = i64::try_from(bodies.len()).unwrap();
    assert_eq!(
        ids,
        db.number("SELECT COUNT(*) FROM delivery").await,
        "whoever drops repeats by id sees each exactly once"
    );
    let report = store.verify(&[]).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

async fn every_step(db: Db) {
    let sink = Sink::start().await;
    let mut p = Program::new(&db, &sink, None);
    let http = reqwest::Client::new();
    let mut acknowledged = BTreeMap::new();
    for (n, point) in Point::ALL.into_iter().enumerate() {
        // Opening a database passes the first points too; die a little later than that.
        let after = if n < 8 { 2 } else { 1 };
        p.start(Some(format!("{point:?}:{after}")));
        // What the last round left behind is sent at once, so it may die before it answers anybody.
        p.ready().await;
        for i in 0..3 {
            let key = format!("{point:?}-{i}");
            if let Some(a) = p.post_once(&http, &key).await {
                acknowledged.insert(key, a);
            }
        }
        let started = Instant::now();
        while p.child.as_mut().unwrap().try_wait().unwrap().is_none() {
            assert!(started.elapsed() < Duration::from_secs(10), "{point:?} was never passed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        p.kill();
        // Up again without a hand: the repeats get their answers, one case per key.
        p.start(None);
        assert!(p.ready().await);
        for i in 0..3 {
            let key = format!("{point:?}-{i}");
            let a = p.post_once(&http, &key).await.expect("answered after the restart");
            if let Some(before) = acknowledged.insert(key, a.clone()) {
                assert_eq!(before, a, "the first answer again");
            }
        }
        p.kill();
    }
    p.start(None);
    assert!(p.ready().await);
    check_slowly(&p, &db, &sink, &acknowledged).await;
}

/// On PostgreSQL a dead node's messages wait for its leases to run out.
async fn check_slowly(p: &Program, db: &Db, sink: &Sink, acknowledged: &BTreeMap<String, Value>) {
    if !db.is_sqlite() {
        let store = p.store().await;
        let started = Instant::now();
        while store.outbox_figures().await.unwrap().waiting > 0
            && started.elapsed() < Duration::from_secs(40)
        {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    check(p, db, sink, acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_every_step_on_sqlite() {
    every_step(Db::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_every_step_on_postgres() {
    every_step(Db::postgres().await).await;
}

/// Kills at random moments under load; `CDR_KILLS` for more than the usual hundred.
async fn kills(db: Db) {
    let n = std::env::var("CDR_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    stops(db, "-9", n).await;
}

/// Ends the process `kills` times under load by a signal; then everything must be there.
async fn stops(db: Db, signal: &str, kills: u32) {
    let sink = Sink::start().await;
    let mut p = Program::new(&db, &sink, None);
    let http = reqwest::Client::new();
    let mut acknowledged: BTreeMap<String, Value> = BTreeMap::new();
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..kills {
        p.start(None);
        assert!(p.ready().await);
        let die_in = Duration::from_millis(random.u64(5..150));
        let (first, answered) = tokio::sync::watch::channel(false);
        let load = futures_util::future::join_all((0..8).map(|i| {
            let (p, http, first) = (&p, &http, &first);
            async move {
                let mut mine = Vec::new();
                for n in 0..1000 {
                    let key = format!("{round}-{i}-{n}");
                    match p.post_once(http, &key).await {
                        Some(a) => mine.push((key, a)),
                        None => break,
                    }
                    first.send_replace(true);
                }
                mine
            }
        }));
        let pid = p.child.as_ref().unwrap().id();
        let killer = async {
            // Every other time not before something was accepted, so that there is something to
            // lose on a slow machine too.
            if round % 2 == 0 {
                let mut answered = answered.clone();
                let _ = answered.wait_for(|a| *a).await;
            }
            tokio::time::sleep(die_in).await;
            assert!(
                Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success()
            );
        };
        let (done, ()) = tokio::join!(load, killer);
        acknowledged.extend(done.into_iter().flatten());
        if signal == "-TERM" {
            // A soft stop ends by itself, and well.
            let ended = p.child.take().unwrap().wait().unwrap();
            assert!(ended.success(), "{ended}");
        }
        p.kill();
    }
    assert!(
        acknowledged.len() >= kills as usize / 2,
        "{} acknowledged is too little load",
        acknowledged.len()
    );
    p.start(None);
    assert!(p.ready().await);
    check_slowly(&p, &db, &sink, &acknowledged).await;
    let log = std::fs::read_to_string(p.dir.join("log")).unwrap();
    assert!(crate::support::MARKS.iter().all(|m| !log.contains(m)), "nothing personal in the log");
    println!("{kills} kills, {} acknowledged, none lost", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_under_load_on_sqlite() {
    kills(Db::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_under_load_on_postgres() {
    kills(Db::postgres().await).await;
}

/// A PostgreSQL of one test's own, which it may crash.
struct Cluster {
    dir: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let me = Self { dir: tempfile::tempdir_in("/tmp").unwrap() };
        if is_root() {
            let done = Command::new("chown").arg("postgres").arg(me.dir.path()).status().unwrap();
            assert!(done.success());
        }
        me.run("initdb", &["-U", "cdr", "--auth=trust", "-E", "UTF8", "--locale=C"]);
        me.up();
        me
    }

    fn up(&self) {
        let dir = self.dir.path().display();
        let options = format!("-k {dir} -c listen_addresses='' -c max_connections=100");
        self.run("pg_ctl", &["-w", "-l", &format!("{dir}/log"), "-o", &options, "start"]);
    }

    /// As a power cut: nothing is written, nobody is waited for.
    fn crash(&self) {
        self.run("pg_ctl", &["-m", "immediate", "-w", "stop"]);
    }

    fn url(&self) -> String {
        format!("postgres://cdr@localhost/postgres?host={}", self.dir.path().display())
    }

    fn run(&self, program: &str, args: &[&str]) {
        let bin = std::env::var("CDR_TEST_PGBIN").expect("run by tests/with-postgres");
        let mut c = if is_root() {
            let mut c = Command::new("runuser");
            c.args(["-u", "postgres", "--"]).arg(format!("{bin}/{program}"));
            c
        } else {
            Command::new(format!("{bin}/{program}"))
        };
        c.arg("-D").arg(self.dir.path().join("data")).args(args).current_dir(self.dir.path());
        // Not our pipes: the server would hold them open after its starter has ended.
        let done = c.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(done.success(), "{program} {args:?}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.crash();
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

/// The database crashes twice under load and comes back. Meanwhile nothing is accepted that is not
/// stored, and the service lives on; afterwards every open alert has its next step.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_crashes_and_comes_back_loses_and_closes_nothing() {
    let cluster = Cluster::start();
    let db = Db { url: cluster.url(), dir: tempfile::tempdir().unwrap() };
    let sink = Sink::start().await;
    let mut p = Program::new(&db, &sink, None);
    p.start(None);
    assert!(p.ready().await);
    let http = reqwest::Client::new();
    let over = std::sync::atomic::AtomicBool::new(false);
    let load = futures_util::future::join_all((0..6).map(|i| {
        let (p, http, over) = (&p, &http, &over);
        async move {
            let (mut mine, mut refused) = (Vec::new(), 0);
            let mut n = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                // The same key until it is taken: what was stored before the crash is not stored
                // again.
                let key = format!("{i}-{n}");
                match p.post_once(http, &key).await {
                    Some(a) => {
                        mine.push((key, a));
                        n += 1;
                    }
                    None => {
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
            (mine, refused)
        }
    }));
    let crashes = async {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            tokio::task::block_in_place(|| cluster.crash());
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            tokio::task::block_in_place(|| cluster.up());
        }
        // Taking again, by itself.
        until("stores again", || async { p.post_once(&http, "after").await.is_some() }).await;
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (done, ()) = tokio::join!(load, crashes);
    assert!(p.child.as_mut().unwrap().try_wait().unwrap().is_none(), "it lives on");
    let refused: usize = done.iter().map(|d| d.1).sum();
    assert!(refused > 0, "no crash was noticed");
    let mut acknowledged: BTreeMap<String, Value> = done.into_iter().flat_map(|d| d.0).collect();
    acknowledged.insert("after".to_owned(), p.post_once(&http, "after").await.unwrap());
    check_slowly(&p, &db, &sink, &acknowledged).await;
    let cases = db.number("SELECT COUNT(*) FROM cases").await;
    let asked = db.number("SELECT COUNT(*) FROM alert WHERE acknowledge").await;
    let open = "SELECT COUNT(*) FROM alert WHERE acknowledge AND phase = 'climbing' AND step_at IS NOT NULL";
    assert!(asked >= cases && db.number(open).await == asked, "an obligation was closed or lost");
    println!("{} accepted, {refused} refused over two crashes", acknowledged.len());
}

/// The value of a hidden field, as it stands in the page.
fn value_of<'a>(page: &'a str, name: &str) -> &'a str {
    let at = format!("name=\"{name}\" value=\"");
    page.split(&at)
        .nth(1)
        .unwrap_or_else(|| panic!("no {name} in {page}"))
        .split('"')
        .next()
        .unwrap()
}

/// A form sent without following where it leads: status, the first cookie set, the page.
async fn http_plain(form: reqwest::RequestBuilder) -> (u16, String, String) {
    let (client, request) =
        form.header("content-type", "application/x-www-form-urlencoded").build_split();
    drop(client);
    let plain =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let r = plain.execute(request.unwrap()).await.unwrap();
    let cookie = r.headers().get("set-cookie").map_or("", |c| c.to_str().unwrap());
    let cookie = cookie.split(';').next().unwrap().to_owned();
    (r.status().as_u16(), cookie, r.text().await.unwrap())
}

/// A file system of a few megabytes, filled and freed.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_gets_well_by_itself() {
    let sink = Sink::start().await;
    let mut db = Db::sqlite();
    let mount = db.dir.path().join("small");
    std::fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
        .arg(&mount)
        .status()
        .unwrap();
    assert!(mounted.success(), "this test needs to mount a tmpfs (run as root)");
    db.url = format!("sqlite://{}", mount.join("t.sqlite").display());
    let mut p = Program::new(&db, &sink, None);
    p.start(None);
    assert!(p.ready().await);
    let http = reqwest::Client::new();
    let mut acknowledged = BTreeMap::new();
    for n in 0..5 {
        acknowledged.insert(format!("a{n}"), p.post_once(&http, &format!("a{n}")).await.unwrap());
    }
    // Somebody is in the middle of a notification, page by page, without a script.
    let pages = format!("http://127.0.0.1:{}", p.port);
    let begun = reqwest::get(format!("{pages}/notify")).await.unwrap().text().await.unwrap();
    let form = http.post(format!("{pages}/notify/what"));
    let form = form.body(format!("_key={}&_version=0&event=death", value_of(&begun, "_key")));
    let begun = http_plain(form).await;
    assert_eq!(begun.0, 303, "{}", begun.2);
    let filler = mount.join("filler");
    let _ = Command::new("dd")
        .args(["if=/dev/zero", "bs=64k"])
        .arg(format!("of={}", filler.display()))
        .stderr(Stdio::null())
        .status();
    let mut refused = None;
    for n in 0..400 {
        let r = http
            .post(format!("http://127.0.0.1:{}/api/v1/notifications", p.port))
            .bearer_auth(&p.token)
            .header("idempotency-key", format!("b{n}"))
            .body(triggering().to_string())
            .send()
            .await
            .unwrap();
        if r.status() == 503 {
            assert!(r.headers().contains_key("retry-after"));
            refused = Some((n, r.text().await.unwrap()));
            break;
        }
        assert_eq!(r.status(), 201);
        acknowledged.insert(format!("b{n}"), r.json().await.unwrap());
    }
    let (n, said) = refused.expect("the disk was never full");
    let who = |body: String| {
        http_plain(http.post(format!("{pages}/notify/who")).header("cookie", &begun.1).body(body))
    };
    let (status, _, page) =
        who("_version=1&child.family_name=Quorlswick%20%26%20Co".to_owned()).await;
    assert_eq!(status, 503, "{page}");
    assert!(
        page.contains("Not saved yet") && page.contains("<dd>Quorlswick &amp; Co</dd>"),
        "{page}"
    );
    assert_eq!(value_of(&page, "child.family_name"), "Quorlswick &amp; Co");
    assert!(said.contains("disk") && said.contains("full"), "{said}");
    let ready = reqwest::get(format!("http://127.0.0.1:{}/health/ready", p.port)).await.unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("disk"));
    std::fs::remove_file(&filler).unwrap();
    let key = format!("b{n}");
    until("stores again", || async { p.post_once(&http, &key).await.is_some() }).await;
    // "Try again" on the page that came back.
    let again =
        format!("_version={}&child.family_name=Quorlswick%20%26%20Co", value_of(&page, "_version"));
    assert_eq!(who(again).await.0, 303);
    let answer = p.post_once(&http, &key).await.unwrap();
    acknowledged.insert(key, answer);
    check(&p, &db, &sink, &acknowledged).await;
    p.kill();
    let _ = Command::new("umount").arg("-l").arg(&mount).status();
}

/// Two nodes on one PostgreSQL: each alert is sent once; a node that freezes past its lease may
/// repeat under the same id, and cannot record over the new owner.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_send_each_alert_once_and_one_takes_over_from_the_other() {
    let db = Db::postgres().await;
    let sink = Sink::start().await;
    let mut one = Program::new(&db, &sink, None);
    let mut two = Program::new(&db, &sink, Some(&one.key.clone()));
    one.start(None);
    two.start(None);
    assert!(one.ready().await && two.ready().await);
    let http = reqwest::Client::new();
    let mut acknowledged = BTreeMap::new();
    for n in 0..60 {
        let p = if n % 2 == 0 { &one } else { &two };
        let key = format!("k{n}");
        acknowledged.insert(key.clone(), p.post_once(&http, &key).await.unwrap());
    }
    check(&one, &db, &sink, &acknowledged).await;
    assert_eq!(sink.all().len(), 300, "each once, no repeats");
    // Refused at first, so that messages wait; then one node freezes with some in its hands.
    for a in crate::support::AGENCIES {
        sink.set(a, crate::support::Mood::FailsFirst(3));
    }
    for n in 60..70 {
        let key = format!("k{n}");
        acknowledged.insert(key.clone(), one.post_once(&http, &key).await.unwrap());
    }
    let pid = one.child.as_ref().unwrap().id().to_string();
    assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    let store = two.store().await;
    let started = Instant::now();
    while store.outbox_figures().await.unwrap().waiting > 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "the other node does not take over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(Command::new("kill").args(["-CONT", &pid]).status().unwrap().success());
    tokio::time::sleep(Duration::from_secs(2)).await;
    check(&two, &db, &sink, &acknowledged).await;
}

on_both! {
    async fn the_master_key_is_changed_while_notifications_are_taken(db: Db) {
        let sink = Sink::start().await;
        let mut p = Program::new(&db, &sink, None);
        p.start(None);
        assert!(p.ready().await);
        let http = reqwest::Client::new();
        let mut acknowledged = BTreeMap::new();
        for n in 0..100 {
            let key = format!("before{n}");
            acknowledged.insert(key.clone(), p.post_once(&http, &key).await.unwrap());
        }
        assert_eq!(db.number("SELECT COUNT(*) FROM stream WHERE key_name = 't'").await, 100);
        p.kill();
        // A new key in front of the old one, and a restart.
        let new = format!("next:{}", Key::random().unwrap().to_base64());
        p.key = format!("{new} {}", p.key);
        p.start(None);
        assert!(p.ready().await);
        let mut rewrap = p.command(&["keys", "rewrap"]).stdout(Stdio::null()).spawn().unwrap();
        let mut during = 0;
        loop {
            let ended = rewrap.try_wait().unwrap();
            let key = format!("during{during}");
            acknowledged.insert(key.clone(), p.post_once(&http, &key).await.expect("refused while keys are changed"));
            during += 1;
            if let Some(status) = ended {
                assert!(status.success());
                break;
            }
        }
        assert!(during > 1);
        assert_eq!(db.number("SELECT COUNT(*) FROM stream WHERE key_name = 't'").await, 0);
        assert_eq!(db.number("SELECT COUNT(*) FROM service_key WHERE key_name = 't'").await, 0);
        // The old key is taken away: everything is still there and read.
        p.kill();
        p.key = new;
        p.start(None);
        assert!(p.ready().await);
        check(&p, &db, &sink, &acknowledged).await;
        for a in acknowledged.values() {
            let url = format!("http://127.0.0.1:{}/api/v1/cases/{}", p.port, a["reference"].as_str().unwrap());
            let r = http.get(url).bearer_auth(&p.token).send().await.unwrap();
            assert_eq!(r.status(), 200);
            assert!(r.text().await.unwrap().contains("Quorlswick"));
        }
    }
}

/// What makes a program believe that its machine's clock is `off` seconds off.
fn with_the_clock_off_by(off: i64) -> Vec<(&'static str, String)> {
    let libraries = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let all = libraries.map(|d| d.path().join("faketime/libfaketime.so.1"));
    let library = all.into_iter().find(|p| p.exists()).expect("the package libfaketime");
    let env = vec![
        ("LD_PRELOAD", library.to_string_lossy().into_owned()),
        ("FAKETIME", format!("{off:+}s")),
    ];
    let out = Command::new("date").arg("+%s").envs(env.clone()).output().unwrap();
    let told: i64 = String::from_utf8(out.stdout).unwrap().trim().parse().unwrap();
    let apart = told - chrono::Utc::now().timestamp();
    assert!((apart - off).abs() < 5, "a program is told a time {apart} s off");
    env
}

#[tokio::test]
async fn nodes_whose_machines_tell_different_times_go_by_the_databases() {
    for off in [-86_400, -300, 3600, 86_400] {
        let (db, sink) = (Db::postgres().await, Sink::start().await);
        let mut right = Program::new(&db, &sink, None);
        let mut wrong = Program::new(&db, &sink, Some(&right.key.clone()));
        wrong.env = with_the_clock_off_by(off);
        right.start(None);
        wrong.start(None);
        assert!(right.ready().await && wrong.ready().await);
        let http = reqwest::Client::new();
        let mut acknowledged = BTreeMap::new();
        // While one of them waits for an answer, the other must not believe that its lease is over.
        sink.set("police", crate::support::Mood::Hang);
        for (key, p) in [("one", &wrong), ("two", &right)] {
            let before = chrono::Utc::now();
            let answer = p.post_once(&http, key).await.unwrap();
            let at: chrono::DateTime<chrono::Utc> =
                answer["received_at"].as_str().unwrap().parse().unwrap();
            let late = (at - before).num_milliseconds();
            assert!((-1_000..5_000).contains(&late), "{key}, {off}: {late} ms off");
            acknowledged.insert(key.to_owned(), answer);
        }
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert_eq!(sink.got("police").len(), 2, "{off}: each in one hand");
        sink.set("police", crate::support::Mood::Well);
        check(&right, &db, &sink, &acknowledged).await;
    }
}

#[tokio::test]
async fn one_sqlite_file_is_served_once_and_unsafe_settings_are_refused() {
    let (db, sink) = (Db::sqlite(), Sink::start().await);
    let mut p = Program::new(&db, &sink, None);
    p.start(None);
    assert!(p.ready().await);
    let second = p.command(&["serve"]).env("CDR__SERVER__LISTEN", "127.0.0.1:0").output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another process already serves"));
    for (name, value, said) in [
        ("CDR__CRYPT__MASTER_KEY", "", "crypt.master_key is not set"),
        ("CDR__SERVER__LISTEN", "0.0.0.0:8080", "plain HTTP beyond this machine"),
        ("CDR__WEBHOOKS__ALLOW_PRIVATE_TARGETS", "false", "only https is allowed"),
        ("CDR__DISPATCH__LEASE_SECONDS", "5", "dispatch.lease_seconds"),
        ("CDR__AREAS__FILES", "[\"config/area.example.toml\"]", "secret printed in the example"),
        ("CDR__SERVER__LISTN", "x", "listn"),
    ] {
        let out = p.command(&["check-config"]).env(name, value).output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && text.contains(said), "{name}: {text}");
    }
    assert!(p.command(&["check-config"]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_stop_under_load_loses_nothing_and_ends_well() {
    stops(Db::sqlite(), "-TERM", 5).await;
}
