//! Little memory, large bodies, slow pages, a crash: what is kept, what is said, what is left behind.

use crate::faults::Program;
use crate::support::{App, Db, MARKS, Sink, area_text, triggering};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A notification that is larger by so many KiB, and as good as the small one.
fn larger_by(kib: usize) -> String {
    let mut v = triggering();
    v["death"]["circumstances"] = "x ".repeat(512 * kib).into();
    v.to_string()
}

/// The program with no more memory of its own than `kib`, as it would have in a container.
fn start_within(p: &mut Program, kib: u64) {
    // What the allocator would only set aside counts here too.
    p.start_after(&format!("ulimit -v {kib}"), &[("MIMALLOC_ARENA_RESERVE", "8192")]);
}

/// KiB of address space that the program takes once it serves.
async fn taken(p: &mut Program) -> u64 {
    assert!(p.ready().await);
    let pid = p.child.as_ref().unwrap().id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmPeak")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// F19: with so little memory that it cannot do all it is asked, it refuses, or ends and is started
/// again; what it said was stored is stored, whole.
#[tokio::test(flavor = "multi_thread")]
async fn out_of_memory_it_never_half_commits() {
    let (db, sink) = (Db::sqlite(), Sink::start().await);
    let mut p = Program::new(&db, &sink, None);
    start_within(&mut p, 64 * 1024 * 1024);
    let usual = taken(&mut p).await;
    p.kill();
    let http = reqwest::Client::new();
    let (mut accepted, mut refused, mut ended) = (Vec::new(), 0, 0);
    // Less and less, until it was short a few times.
    for share in (40..=105).rev().step_by(5) {
        if ended > 2 {
            break;
        }
        start_within(&mut p, usual / 100 * share);
        if !p.ready().await {
            // Too little even to begin is no half thing either.
            p.kill();
            ended += 1;
            continue;
        }
        let tries = futures_util::future::join_all((0..40).map(|n| {
            let (p, http) = (&p, &http);
            async move {
                let key = format!("k{share}-{n}");
                let body = if n % 4 == 0 { triggering().to_string() } else { larger_by(700) };
                let sent = http
                    .post(format!("http://127.0.0.1:{}/api/v1/notifications", p.port))
                    .bearer_auth(&p.token)
                    .header("idempotency-key", &key)
                    .timeout(Duration::from_secs(20))
                    .body(body)
                    .send()
                    .await;
                let status = sent.map_or(0, |r| r.status().as_u16());
                (key, status)
            }
        }))
        .await;
        for (key, status) in tries {
            match status {
                201 => accepted.push(key),
                0 | 422 | 503 => refused += 1,
                other => panic!("{other}: {}", std::fs::read_to_string(p.dir.join("log")).unwrap()),
            }
        }
        ended += i32::from(p.child.as_mut().unwrap().try_wait().unwrap().is_some());
        p.kill();
    }
    println!("{} accepted, {refused} refused or lost, ended {ended} times", accepted.len());
    assert!(ended > 0, "memory was never short: {} accepted", accepted.len());
    p.start(None);
    assert!(p.ready().await);
    // What was accepted is there under its key; what was not can be sent again.
    let before = db.number("SELECT COUNT(*) FROM cases").await;
    assert!(before >= i64::try_from(accepted.len()).unwrap(), "{before}");
    assert!(p.post_once(&http, "after").await.is_some());
    p.kill();
    let cases = db.number("SELECT COUNT(*) FROM cases").await;
    assert_eq!(cases, before + 1);
    assert_eq!(db.number("SELECT COUNT(*) FROM alert").await, cases * 5, "each with its alerts");
    assert_eq!(db.number("SELECT COUNT(*) FROM stream").await, cases);
    assert_eq!(db.number("SELECT COUNT(*) FROM idempotency").await, cases, "each under its key");
    let store = p.store().await;
    assert!(store.verify(&[]).await.unwrap().findings.is_empty());
}

/// A connection over which this was sent.
fn raw(url: &str, head: &str, body: &[u8]) -> TcpStream {
    let mut s = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    s.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    s.write_all(head.as_bytes()).unwrap();
    let _ = s.write_all(body);
    s
}

/// F15: many large bodies at once are refused beyond what memory has room for, and a notification
/// is taken all the while.
#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_keep_no_notification_out() {
    let app = App::start(Db::sqlite()).await;
    let size = 1024 * 1024;
    let head = format!(
        "POST /api/v1/notifications HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {size}\r\n\r\n",
        app.token
    );
    // Each is one byte short, so that none ends.
    let mut held: Vec<TcpStream> =
        (0..30).map(|_| raw(&app.url, &head, &vec![b' '; size - 1])).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    app.notify(triggering()).await;
    // A page that is large waits too, and its sender is told for how long.
    let r = app.http.post(format!("{}/notify/one-page", app.url)).body("x".repeat(600 * 1024));
    let r = r.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert_eq!((r.status().as_u16(), r.headers()["retry-after"].as_bytes()), (503, &b"1"[..]));
    assert!(r.text().await.unwrap().contains("send it again in a moment"));
    let mut refused = 0;
    for s in &mut held {
        s.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut said = [0; 2048];
        let n = s.read(&mut said).unwrap_or(0);
        let said = String::from_utf8_lossy(&said[..n]);
        if said.starts_with("HTTP/1.1 503") {
            assert!(said.contains("retry-after: 1"), "{said}");
            refused += 1;
        } else {
            assert_eq!(n, 0, "{said}");
        }
    }
    assert!((14..=30).contains(&refused), "{refused} of 30 refused");
    drop(held);
    // With room again a large one is read.
    let mut last = 0;
    for _ in 0..50 {
        let r = app.http.post(format!("{}/api/v1/notifications", app.url));
        let r = r.bearer_auth(&app.token).body(larger_by(900)).send().await.unwrap();
        last = r.status().as_u16();
        if last != 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(last == 201 || last == 422, "{last}");
}

/// A page that does not arrive, or is too long, is answered by a page, wherever it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn pages_that_do_not_arrive_are_answered_by_pages() {
    let sink = Sink::start().await;
    let text = area_text(&sink, "");
    let app = App::with(
        Db::sqlite(),
        sink,
        &text,
        |c| c.server.body_timeout_seconds = 1,
        Arc::new(child_death_review::platform::clock::SystemClock),
    )
    .await;
    for path in ["/notify", "/notify/who", "/sign-in", "/sign-in/code", "/notify/one-page"] {
        let url = format!("{}{path}", app.url);
        let r = app.http.post(&url).header("content-type", "application/x-www-form-urlencoded");
        let r = r.body(format!("a={}", "x".repeat(1100 * 1024))).send().await.unwrap();
        let (status, page) = (r.status().as_u16(), r.text().await.unwrap());
        assert_eq!(status, 413, "{path}");
        for said in ["<h1", "Too long", "Nothing was changed"] {
            assert!(page.contains(said), "{path}: {page}");
        }
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 500\r\n\r\na=b"
        );
        let (mut s, mut said) = (raw(&app.url, &head, b""), String::new());
        s.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("HTTP/1.1 408"), "{path}: {said}");
        for words in ["<h1", "did not arrive whole", "nothing was changed", "Go back"] {
            assert!(said.contains(words), "{path}: {said}");
        }
    }
}

/// Nothing of a case stands in the most talkative log there is, nor in what a crash leaves behind.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_is_in_a_trace_or_left_by_a_crash() {
    let (db, sink) = (Db::sqlite(), Sink::start().await);
    let mut p = Program::new(&db, &sink, None);
    p.env.push(("CDR__LOG__LEVEL", "trace".into()));
    p.start_after("ulimit -c unlimited", &[]);
    assert!(p.ready().await);
    let http = reqwest::Client::new();
    let answer: Value = p.post_once(&http, "k").await.unwrap();
    let reference = answer["reference"].as_str().unwrap().to_owned();
    let form = [
        ("child.family_name", "Quorlswick"),
        ("child.given_names", "Zephyrine"),
        ("child.nhs_number", "999 000 0018"),
        ("death.circumstances", "markercircumstance"),
        ("notifier.name", "Dr Markernotifier"),
    ];
    let base = format!("http://127.0.0.1:{}", p.port);
    let mut typed = form_urlencoded_of(&form);
    typed.push_str("&death.date=2026-02-31");
    for path in ["/notify", "/notify/who", "/notify/one-page"] {
        let r = http.post(format!("{base}{path}")).body(typed.clone());
        let r = r.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        assert!(r.status().as_u16() < 500);
    }
    let r = http.get(format!("{base}/api/v1/cases/{reference}")).bearer_auth(&p.token);
    assert!(r.send().await.unwrap().text().await.unwrap().contains("Quorlswick"));
    let pid = p.child.as_ref().unwrap().id();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    let killed = Command::new("kill").args(["-ABRT", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
    let ended = p.child.as_mut().unwrap().wait().unwrap();
    use std::os::unix::process::ExitStatusExt;
    assert!(ended.signal() == Some(6) && !ended.core_dumped(), "{ended:?}");
    let log = std::fs::read_to_string(p.dir.join("log")).unwrap();
    assert!(log.contains("\"level\":\"TRACE\""), "it was as talkative as it can be");
    for mark in MARKS.iter().chain([&p.token.as_str(), &p.key.split_once(':').unwrap().1]) {
        let found = log.lines().find(|l| l.contains(mark));
        assert!(found.is_none(), "{mark}: {found:?}");
    }
    for entry in std::fs::read_dir(&p.dir).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!name.starts_with("core"), "{name}");
    }
}

fn form_urlencoded_of(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The build's own program, as cargo made it for this crate.
fn build_program() -> PathBuf {
    let out = Path::new(env!("OUT_DIR"));
    let builds = out.parent().and_then(Path::parent).unwrap();
    let all = std::fs::read_dir(builds).unwrap().flatten();
    let of_ours =
        all.filter(|d| d.file_name().to_string_lossy().starts_with(env!("CARGO_PKG_NAME")));
    let programs = of_ours.map(|d| d.path().join("build-script-build")).filter(|p| p.exists());
    let made = |p: &PathBuf| std::fs::metadata(p).and_then(|m| m.modified()).unwrap();
    programs.max_by_key(made).expect("the build's program")
}

/// On a machine without Node the build says what is missing and both ways on.
#[test]
fn a_build_without_node_says_what_to_do() {
    let out = tempfile::tempdir().unwrap();
    let nowhere = tempfile::tempdir().unwrap();
    let build = |folder: Option<&Path>| {
        let mut c = Command::new(build_program());
        c.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear().env("OUT_DIR", out.path());
        c.env("PATH", nowhere.path());
        if let Some(f) = folder {
            c.env("CDR_ASSETS_DIR", f);
        }
        let done = c.output().unwrap();
        (done.status.success(), String::from_utf8(done.stdout).unwrap())
    };
    let (well, said) = build(None);
    assert!(!well);
    let errors: Vec<&str> = said.lines().filter(|l| l.starts_with("cargo::error=")).collect();
    let errors = errors.join("\n");
    for words in [
        "npm cannot be started",
        "Install Node 18",
        "CDR_ASSETS_DIR",
        "npm ci --ignore-scripts --prefix assets",
    ] {
        assert!(errors.contains(words), "{words}: {said}");
    }
    let (well, said) = build(Some(nowhere.path()));
    assert!(!well && said.contains("does not hold govuk-frontend"), "{said}");
    // With the folder that somebody else filled it needs no Node.
    let package = Path::new(env!("CDR_GOVUK_FRONTEND"));
    let (well, said) = build(package.parent());
    assert!(well, "{said}");
    assert!(out.path().join("assets.rs").exists());
}
