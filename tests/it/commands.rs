//! Commands for the hours in which something is wrong: watching from outside, drills, the card, the
//! encrypted copy.

use crate::faults::Program;
use crate::reach::python;
use crate::support::{App, Db, MARKS, Sink, area_text, on_both, triggering, until};
use axum::Router;
use axum::routing::get;
use child_death_review::config::{self, Copies};
use child_death_review::platform::clock::ManualClock;
use child_death_review::work::daily;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Something outside that expects a call while all is well.
async fn heartbeat() -> (String, Arc<AtomicUsize>) {
    let beats = Arc::new(AtomicUsize::new(0));
    let counted = beats.clone();
    let beat = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { "ok" }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/beat", listener.local_addr().unwrap());
    let router = Router::new().route("/beat", get(beat));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, beats)
}

on_both! {
    async fn the_monitor_sees_from_outside_what_is_wrong_and_tells_the_heartbeat_only_when_all_is_well(db: Db) {
        let sink = Sink::start().await;
        let (url, beats) = heartbeat().await;
        let mut p = Program::new(&db, &sink, None);
        p.start(None);
        assert!(p.ready().await);
        let http = reqwest::Client::new();
        p.post_once(&http, "one").await.unwrap();
        until("sent", || async { sink.all().len() == 5 }).await;
        let node = format!("http://127.0.0.1:{}", p.port);
        let look = |p: &Program, node: &str| {
            let out = p
                .command(&["monitor", "--once", "--node", node])
                .env("CDR__WATCH__HEARTBEAT_URL", &url)
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
            (out.status.code().unwrap(), text)
        };
        let (code, said) = look(&p, &node);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("All is well: 4 open alerts"), "{said}");
        assert_eq!(beats.load(Ordering::SeqCst), 1);
        // Nobody serves any more, and a step is long overdue.
        p.kill();
        let long_ago = if db.is_sqlite() { "'2026-01-01T00:00:00.000000Z'" } else { "'2026-01-01T00:00:00Z'" };
        db.run(&format!("UPDATE alert SET step_at = {long_ago} WHERE agency = 'police'")).await.unwrap();
        let (code, said) = look(&p, &node);
        assert_eq!(code, 1);
        assert!(said.contains("the node does not answer"), "{said}");
        assert!(said.contains("1 open alerts: the next step is overdue"), "{said}");
        assert!(MARKS.iter().all(|m| !said.contains(m)), "{said}");
        assert_eq!(beats.load(Ordering::SeqCst), 1, "silence is the alarm");
    }

    async fn accounts_are_added_and_invited_by_command_and_open_the_pages(db: Db) {
        let sink = Sink::start().await;
        let mut p = Program::new(&db, &sink, None);
        let run = |p: &Program, what: &str, email: &str, role: &str, password: &str, more: &[&str]| {
            let mut args = vec!["user", what, "--email", email, "--name", "Name of somebody", "--role", role];
            args.extend(more);
            let out = p.command(&args).env("CDR_PASSWORD", password).output().unwrap();
            let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
            assert!(!said.contains(password) || password.is_empty(), "a password is never printed");
            (out.status.code().unwrap(), said)
        };
        const GOOD: &str = "violet kettle parsnip";
        let who = "somebody@northshire.example";
        // What cannot be: said, and nothing is kept.
        for (role, password, more, words) in [
            ("coordinator", "short", &[][..], "12"),
            ("coordinator", "password1234", &[], ""),
            ("king", GOOD, &[], "must be one of: administrator"),
            ("agency", GOOD, &[], "--agency"),
            ("coordinator", GOOD, &["--agency", "police"], "for role agency only"),
        ] {
            let (code, said) = run(&p, "add", who, role, password, more);
            assert_ne!(code, 0, "{role}: {said}");
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(db.number("SELECT COUNT(*) FROM user_account").await, 0);
        assert_eq!(run(&p, "add", who, "coordinator", GOOD, &[]).0, 0);
        let (code, said) = run(&p, "add", &who.to_uppercase(), "auditor", GOOD, &[]);
        assert!(code != 0 && said.contains("already"), "one account an address: {said}");
        let (code, said) = run(&p, "invite", "chair@northshire.example", "chair", "", &["--print"]);
        assert_eq!(code, 0, "{said}");
        let link = said.split_whitespace().find(|w| w.contains("/invitation/")).expect("a link").to_owned();
        let (code, said) = run(&p, "invite", who, "chair", "", &["--print"]);
        assert_ne!(code, 0, "an account is not invited again: {said}");

        p.start(None);
        assert!(p.ready().await);
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let url = format!("http://127.0.0.1:{}", p.port);
        let sign_in = |password: &'static str| {
            http.post(format!("{url}/sign-in")).body(format!("email={who}&password={}", password.replace(' ', "+"))).send()
        };
        assert_eq!(sign_in("not this one at all").await.unwrap().status(), 401);
        assert_eq!(sign_in(GOOD).await.unwrap().status(), 303);
        let path = link.split("/invitation/").nth(1).unwrap();
        let page = http.get(format!("{url}/invitation/{path}")).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert!(page.text().await.unwrap().contains("chair@northshire.example"));
    }

    async fn a_drill_from_the_command_line_ends_in_a_result(db: Db) {
        let sink = Sink::start().await;
        let mut p = Program::new(&db, &sink, None);
        p.start(None);
        assert!(p.ready().await);
        let drill = {
            let mut c = p.command(&["drill", "--minutes", "1"]);
            tokio::task::spawn_blocking(move || c.output().unwrap())
        };
        until("told", || async { sink.all().len() == 5 }).await;
        assert!(sink.all().iter().all(|g| g.json()["data"]["drill"] == true), "every message says so");
        let out = p.command(&["token", "add", "--name", "a", "--scopes", "acknowledge"]).output().unwrap();
        let token = String::from_utf8(out.stdout).unwrap().trim().to_owned();
        let http = reqwest::Client::new();
        for agency in ["police", "social_care", "designated_doctor", "jar_nurse"] {
            let id = sink.got(agency)[0].json()["data"]["alert_id"].as_str().unwrap().to_owned();
            let done = http
                .post(format!("http://127.0.0.1:{}/api/v1/alerts/{id}/acknowledgements", p.port))
                .bearer_auth(&token)
                .body(json!({ "name": "Duty Exampleby" }).to_string())
                .send()
                .await
                .unwrap();
            assert_eq!(done.status(), 201);
        }
        let out = drill.await.unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert_eq!(out.status.code(), Some(0), "{said}");
        assert!(said.contains("4 of 4 partners reached"), "{said}");
        assert!(said.contains("reached in 0 min") && said.contains("by Duty Exampleby"), "{said}");
        until("told that it is over", || async {
            sink.all().iter().filter(|g| g.json()["type"] == "uk.child-death-review.notification.withdrawn.v1").count() == 5
        })
        .await;
    }
}

#[tokio::test]
async fn the_emergency_card_is_one_page_with_everybody_to_ring() {
    let db = Db::sqlite();
    let sink = Sink::start().await;
    let p = Program::new(&db, &sink, None);
    std::fs::copy("config/area.example.toml", p.dir.join("area.toml")).unwrap();
    let out = p.dir.join("card.pdf");
    let done = p.command(&["card", "--out", out.to_str().unwrap()]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = python(
        "import sys,pypdf\nr=pypdf.PdfReader(sys.argv[1]); print(len(r.pages)); print(r.pages[0].extract_text())",
        &[out.to_str().unwrap()],
    );
    assert!(text.starts_with("1\n"), "one page: {text}");
    for number in [
        "01632 960101",
        "07700 900101",
        "01632 960102",
        "07700 900103",
        "01632 960105",
        "01632 960100",
    ] {
        assert!(text.contains(number), "{number}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_copy_is_encrypted_to_others_keys_and_made_once_a_day() {
    let keys =
        python("import pyrage\ni=pyrage.x25519.Identity.generate(); print(i.to_public(), i)", &[]);
    let (public, secret) = keys.trim().split_once(' ').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copies = Copies {
        folder: Some(folder.path().to_owned()),
        recipients: vec![public.to_owned()],
        ..config::load(None).unwrap().copy
    };
    let sink = Sink::start().await;
    let area = area_text(&sink, "");
    let clock = ManualClock::at("2026-11-25T03:15:00Z".parse().unwrap());
    let app = App::with(Db::sqlite(), sink, &area, |_| {}, clock.clone()).await;
    let a = app.notify(triggering()).await;
    let watch = config::load(None).unwrap().watch;
    daily::once(app.service(), &watch, &copies).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "not before its time");
    clock.forward(chrono::Duration::hours(4));
    daily::once(app.service(), &watch, &copies).await.unwrap();
    let file = folder.path().join("northshire-2026-11-25.json.age");
    let first = std::fs::read(&file).unwrap();
    daily::once(app.service(), &watch, &copies).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), first, "once a day");
    assert!(!first.windows(10).any(|w| w == b"Quorlswick"));
    let open = "import sys,pyrage\nprint(pyrage.decrypt(open(sys.argv[1],'rb').read(),[pyrage.x25519.Identity.from_str(sys.argv[2])]).decode())";
    let text = python(open, &[file.to_str().unwrap(), secret]);
    let copy: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(copy["cases"][0]["reference"], a["reference"]);
    assert_eq!(copy["cases"][0]["facts"]["child"]["family_name"], "Quorlswick");
    assert_eq!(copy["cases"][0]["partners"].as_array().unwrap().len(), 5);
}

/// What `tests/advisories` says and how it ends, with a `cargo deny` that ends so at each step.
fn advisories(fetch: i32, check: i32) -> (bool, String) {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let step = format!(
        "#!/bin/sh\ncase \" $* \" in\n*' fetch '*) exit {fetch};;\n*' check '*) exit {check};;\nesac\nexit 9\n"
    );
    for name in ["cargo", "cargo-deny"] {
        let file = dir.path().join(name);
        std::fs::write(&file, &step).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    let out = std::process::Command::new("tests/advisories")
        .env("PATH", format!("{}:{path}", dir.path().display()))
        .output()
        .unwrap();
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
}

#[test]
fn an_advisory_fails_and_a_missing_database_is_said() {
    let (well, said) = advisories(0, 0);
    assert!(well && said.contains("advisories: checked"), "{said}");
    let (well, said) = advisories(1, 0);
    assert!(well && said.contains("NOT checked: the RustSec database"), "{said}");
    let (well, said) = advisories(0, 1);
    assert!(!well && !said.contains("NOT") && !said.contains(": checked"), "{said}");
}

#[test]
fn the_demo_does_not_pretend_to_have_read_a_file_of_settings() {
    let dir = tempfile::tempdir().unwrap();
    for by_env in [false, true] {
        let mut c = std::process::Command::new(env!("CARGO_BIN_EXE_cdr"));
        c.current_dir(dir.path()).arg("demo");
        if by_env {
            c.env("CDR_CONFIG", "x.toml")
        } else {
            c.args(["--config", "x.toml"])
        };
        let out = c.output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && said.contains("takes no --config"), "{said}");
        assert!(!dir.path().join("demo-data").exists(), "nothing was begun");
    }
}
