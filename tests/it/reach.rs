//! Reaching partners: signed webhooks, mail over TLS, receivers in every mood.

use crate::support::{
    AGENCIES, App, Db, MARKS, Mood, SECRET, Sink, all_no, area_text, on_both, triggering, until,
};
use child_death_review::config::{Config, MailTls};
use child_death_review::platform::clock::SystemClock;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs a script with the tests' Python and returns what it printed.
pub fn python(script: &str, args: &[&str]) -> String {
    let out = Command::new(interpreter())
        .args(["-c", script])
        .args(args)
        .output()
        .expect("python: run tests/run");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

pub fn interpreter() -> String {
    std::env::var("CDR_TEST_PYTHON").unwrap_or_else(|_| "tests/.venv/bin/python".to_owned())
}

pub struct Smtp {
    child: Child,
    out: PathBuf,
}

impl Smtp {
    pub fn start(port: u16, dir: &std::path::Path, mood: &[&str]) -> Self {
        let out = dir.join("mail.jsonl");
        let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        if !cert.exists() {
            let made = Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=localhost",
                    "-addext",
                    "subjectAltName=DNS:localhost",
                    "-addext",
                    "basicConstraints=critical,CA:FALSE",
                    "-keyout",
                ])
                .arg(&key)
                .arg("-out")
                .arg(&cert)
                .output()
                .unwrap();
            assert!(made.status.success());
        }
        let mut child = Command::new(interpreter())
            .arg("tests/support/smtp.py")
            .arg(port.to_string())
            .args([&out, &cert, &key])
            .args(mood)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "up");
        Self { child, out }
    }

    pub fn mails(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.out).unwrap_or_default();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One agency by mail, one by webhook.
pub(crate) async fn app_with_mail(db: Db, port: u16, tls: MailTls) -> App {
    let sink = Sink::start().await;
    let area = format!(
        "id = \"northshire\"\nname = \"Northshire\"\ncall_back = \"01632 960100\"\n[[agency]]\nid = \"social_care\"\nname = \"Social care\"\nring = \"01632 960102\"\ntold_of = [\"jar_triggered\"]\n[[agency.contact]]\nid = \"mail\"\nchannel = \"email\"\naddress = \"duty@socialcare.example\"\n[[agency]]\nid = \"police\"\nname = \"Police\"\nring = \"01632 960101\"\ntold_of = [\"jar_triggered\"]\n[[agency.contact]]\nid = \"hook\"\nchannel = \"webhook\"\naddress = \"http://127.0.0.1:{}/police\"\nsecret = \"{SECRET}\"\n",
        sink.port
    );
    let ca = db.dir.path().join("cert.pem");
    let change = move |c: &mut Config| {
        c.mail.host = "localhost".into();
        c.mail.port = port;
        c.mail.tls = tls;
        c.mail.ca_file = ca.exists().then_some(ca);
        c.mail.timeout_seconds = 3;
    };
    App::with(db, sink, &area, change, Arc::new(SystemClock)).await
}

async fn states(app: &App, a: &Value) -> Vec<(String, String)> {
    let (_, alerts) =
        app.get(&format!("/api/v1/cases/{}/alerts", a["reference"].as_str().unwrap())).await;
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    alerts["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| (text(&x["agency"]), text(&x["state"])))
        .collect()
}

on_both! {
    async fn the_official_verifier_takes_our_signatures(db: Db) {
        let app = App::start(db).await;
        app.notify(triggering()).await;
        until("delivered", || async { app.sink.all().len() == 5 }).await;
        let got = app.sink.got("police").remove(0);
        assert_eq!(got.headers["content-type"], "application/cloudevents+json");
        let script = "import sys,json\nfrom standardwebhooks import Webhook\nh=json.loads(sys.argv[2])\nw=Webhook(sys.argv[1])\nprint(w.verify(sys.argv[3],h)['specversion'])\nfor bad in (sys.argv[3]+' ',):\n  try:\n    w.verify(bad,h); print('forged taken')\n  except Exception as e: print(type(e).__name__)";
        let headers = json!(got.headers).to_string();
        let said = python(script, &[SECRET, &headers, &got.body]);
        assert_eq!(said.lines().collect::<Vec<_>>(), ["1.0", "WebhookVerificationError"]);
    }

    async fn a_failing_receiver_gets_the_same_message_again_and_delays_nobody(db: Db) {
        let app = App::start(db).await;
        app.sink.set("police", Mood::FailsFirst(1));
        app.sink.set("social_care", Mood::Hang);
        app.sink.set("designated_doctor", Mood::Redirect);
        app.sink.set("jar_nurse", Mood::Endless);
        let started = Instant::now();
        let a = app.notify(triggering()).await;
        until("the well one has it", || async { app.sink.got("cdop_office").len() == 1 }).await;
        assert!(app.sink.got("cdop_office")[0].at - started < Duration::from_secs(1), "not delayed by the others");
        until("tried again", || async { app.sink.got("police").len() == 2 }).await;
        let police = app.sink.got("police");
        assert_eq!((police[0].id(), &police[0].body), (police[1].id(), &police[1].body), "same id, same body");
        let waited = (police[1].at - police[0].at).as_secs_f64();
        assert!((4.4..7.5).contains(&waited), "the schedule is kept: {waited}");
        until("states", || async {
            let s = states(&app, &a).await;
            let of = |agency: &str| s.iter().find(|x| x.0 == agency).unwrap().1.clone();
            of("police") == "accepted" && of("jar_nurse") == "accepted" && of("social_care") == "sending" && of("designated_doctor") == "sending"
        })
        .await;
        let (_, t) = app.get(&format!("/api/v1/cases/{}/timeline", a["reference"].as_str().unwrap())).await;
        let t = t.to_string();
        assert!(t.contains("attempt 1 did not go through: the receiver failed (502)"), "{t}");
        assert!(t.contains("no answer in time") && t.contains("redirect, which is not followed (302)"));
    }

    async fn what_is_recalled_while_it_waits_for_its_turn_is_not_sent(db: Db) {
        let sink = Sink::start().await;
        let area = area_text(&sink, "");
        let one_at_a_time = |c: &mut Config| {
            c.dispatch.in_flight_per_target = 1;
            c.webhooks.timeout_seconds = 8;
        };
        let app = App::with(db, sink, &area, one_at_a_time, Arc::new(SystemClock)).await;
        app.sink.set("police", Mood::Hang);
        app.notify(triggering()).await;
        until("it hangs", || async { app.sink.got("police").len() == 1 }).await;
        let mut other = triggering();
        other["child"] = json!({ "family_name": "Oddmoor" });
        let b = app.notify(other).await["reference"].as_str().unwrap().to_owned();
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let (s, said) = app.post(&format!("/api/v1/cases/{b}/withdrawals"), json!({ "reason": "an error" })).await;
        assert_eq!(s, 200, "{said}");
        app.sink.set("police", Mood::Well);
        let told = |kind: &str| {
            let got = app.sink.got("police");
            got.iter().filter(|g| g.json()["subject"] == json!(b) && g.json()["type"].as_str().unwrap().contains(kind)).count()
        };
        until("the word that it was an error", || async { told("withdrawn") == 1 }).await;
        assert_eq!(told("triggered"), 0);
    }

    async fn gone_for_good_is_said_and_can_be_replayed(db: Db) {
        let app = App::start(db).await;
        for a in AGENCIES {
            app.sink.set(a, Mood::Status(410));
        }
        let a = app.notify(triggering()).await;
        until("all failed", || async { states(&app, &a).await.iter().all(|s| s.1 == "failed") }).await;
        // The office's own word of the gaps, and the next rung, may have died by now as well.
        let dead = "SELECT COUNT(*) FROM delivery WHERE state = 'dead' AND step = 0 AND alert_id IN (SELECT id FROM alert)";
        assert_eq!(app.db.number(dead).await, 5);
        app.sink.set("police", Mood::Well);
        let hex = if app.db.is_sqlite() { "lower(hex(id))" } else { "id::text" };
        let id = text(&app.db, &format!("SELECT {hex} FROM delivery WHERE lane LIKE '%police%' AND step = 0 AND alert_id IN (SELECT id FROM alert)")).await;
        let (s, _) = app.post(&format!("/api/v1/deliveries/{id}/replays"), json!({})).await;
        assert_eq!(s, 200);
        until("replayed", || async { states(&app, &a).await.iter().any(|s| s.0 == "police" && s.1 == "accepted") }).await;
        assert_eq!(app.post(&format!("/api/v1/deliveries/{id}/replays"), json!({})).await.0, 404);
    }

    async fn a_receiver_that_asks_to_slow_down_is_heeded_within_bounds(db: Db) {
        let app = App::start(db).await;
        app.sink.set("police", Mood::SlowDown(86_400));
        let a = app.notify(triggering()).await;
        until("planned later", || async {
            let (_, alerts) = app.get(&format!("/api/v1/cases/{}/alerts", a["reference"].as_str().unwrap())).await;
            let police = alerts["items"].as_array().unwrap().iter().find(|x| x["agency"] == "police").unwrap().clone();
            let Some(next) = police["next_attempt_at"].as_str() else { return false };
            let wait = next.parse::<chrono::DateTime<chrono::Utc>>().unwrap() - chrono::Utc::now();
            assert!((13..=15).contains(&wait.num_minutes()), "a day's wait is cut to a quarter of an hour: {wait}");
            true
        })
        .await;
    }

    async fn a_poisoned_message_is_parked_and_the_others_go(db: Db) {
        let mut app = App::start(db).await;
        app.sink.set("police", Mood::Status(500));
        let a = app.notify(triggering()).await;
        until("others", || async { app.sink.all().len() == 5 }).await;
        until("police is due", || async { app.service().store.outbox_figures().await.unwrap().waiting == 1 }).await;
        app.db.run("UPDATE alert SET notice = '{\"kind\": 7}' WHERE agency = 'police'").await.unwrap();
        app.sink.set("police", Mood::Well);
        until("parked", || async { states(&app, &a).await.iter().any(|s| s.0 == "police" && s.1 == "failed") }).await;
        app.notify(triggering()).await;
        until("others go on", || async { app.sink.got("police").len() == 2 }).await;
        app.stop().await;
    }

    async fn mail_goes_out_encrypted_with_nothing_personal_in_it(db: Db) {
        let port = free_port();
        let smtp = Smtp::start(port, db.dir.path(), &["well"]);
        let app = app_with_mail(db, port, MailTls::Required).await;
        let a = app.notify(triggering()).await;
        until("mail", || async { smtp.mails().len() == 1 }).await;
        let mail = smtp.mails().remove(0);
        assert_eq!((mail["tls"].clone(), mail["to"].clone()), (json!(true), json!(["duty@socialcare.example"])));
        let text = mail["text"].as_str().unwrap();
        for part in ["Subject: URGENT: Joint Agency Response", a["reference"].as_str().unwrap(), "01632 960100", "Northshire", "Message-ID: <"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(MARKS.iter().all(|m| !text.contains(m)), "{text}");
        // A scanner opens the link: nothing is acknowledged. A person presses: it is.
        let link = text.split_whitespace().find(|w| w.contains("/a/")).unwrap();
        for _ in 0..3 {
            let page = app.http.get(link).send().await.unwrap();
            assert_eq!(page.status(), 200);
            assert!(page.text().await.unwrap().contains("We have this"));
        }
        until("accepted", || async { states(&app, &a).await.contains(&("social_care".into(), "accepted".into())) }).await;
        app.http.get(link).header("sec-fetch-mode", "navigate").send().await.unwrap();
        until("opened", || async { states(&app, &a).await.contains(&("social_care".into(), "opened".into())) }).await;
        let path = link.strip_prefix(&app.url).unwrap();
        assert_eq!(app.form(path, "", &[("name", "")]).await.0, 422, "who has it?");
        let (s, _, page) = app.form(path, "", &[("name", "Duty Exampleby"), ("role", "duty manager")]).await;
        assert!(s == 200 && page.contains("It is recorded that Social care has this"));
        assert_eq!(states(&app, &a).await.iter().find(|s| s.0 == "social_care").unwrap().1, "acknowledged");
        assert_ne!(states(&app, &a).await.iter().find(|s| s.0 == "police").unwrap().1, "acknowledged", "nobody else is silenced");
        let (s, _, page) = app.form(path, "", &[("name", "Another")]).await;
        assert!(s == 200 && page.contains("has this"), "again without harm");
        // A link answers once: whoever finds it later does not take the answer back.
        let (s, _, page) = app.form(path, "", &[("name", "A Finder"), ("answer", "cannot"), ("to", "Nobody")]).await;
        assert!(s == 409 && page.contains("a link answers once") && page.contains("01632 960100"), "{page}");
        assert_eq!(states(&app, &a).await.iter().find(|s| s.0 == "social_care").unwrap().1, "acknowledged");
        assert_eq!(app.page("/a/wrong", "").await.0, 404);
    }

    async fn mail_is_never_sent_in_the_clear_when_encryption_is_required(db: Db) {
        let port = free_port();
        let smtp = Smtp::start(port, db.dir.path(), &["plain"]);
        let app = app_with_mail(db, port, MailTls::Required).await;
        let a = app.notify(triggering()).await;
        until("tried", || async { states(&app, &a).await.contains(&("social_care".into(), "sending".into())) }).await;
        assert!(smtp.mails().is_empty());
    }

    async fn a_mail_server_that_is_down_greylists_or_says_nothing_is_waited_for(db: Db) {
        let port = free_port();
        drop(Smtp::start(free_port(), db.dir.path(), &["well"])); // makes the certificate
        let app = app_with_mail(db, port, MailTls::Required).await;
        let a = app.notify(triggering()).await;
        until("down: tried", || async { states(&app, &a).await.contains(&("social_care".into(), "sending".into())) }).await;
        until("the webhook went at once", || async { app.sink.got("police").len() == 1 }).await;
        let smtp = Smtp::start(port, app.db.dir.path(), &["later", "1"]);
        let started = Instant::now();
        while smtp.mails().is_empty() {
            assert!(started.elapsed() < Duration::from_secs(60), "never delivered");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        until("accepted", || async { states(&app, &a).await.contains(&("social_care".into(), "accepted".into())) }).await;
        drop(smtp);
        // One that takes the connection and never speaks holds up nobody.
        let _silent = Smtp::start(port, app.db.dir.path(), &["silent"]);
        for _ in 0..20 {
            app.notify(triggering()).await;
        }
        until("the webhooks went", || async { app.sink.got("police").len() == 21 }).await;
    }
}

async fn text(db: &Db, sql: &str) -> String {
    use sqlx::Connection;
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    if db.is_sqlite() {
        let mut c = sqlx::SqliteConnection::connect(&db.url).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut c).await.unwrap()
    } else {
        let mut c = sqlx::PgConnection::connect(&db.url).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut c).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agency_without_a_way_to_reach_it_is_said_and_private_targets_are_refused() {
    let sink = Sink::start().await;
    let area = format!(
        "{}[[agency]]\nid = \"coroner\"\nname = \"Coroner's officer\"\nring = \"01632 960105\"\ntold_of = [\"jar_triggered\"]\n",
        area_text(&sink, "")
    );
    let change = |c: &mut Config| c.webhooks.allow_private_targets = false;
    let app = App::with(Db::sqlite(), sink, &area, change, Arc::new(SystemClock)).await;
    let a = app.notify(triggering()).await;
    until("refused", || async {
        states(&app, &a).await.iter().filter(|s| s.1 == "failed").count() == 5
    })
    .await;
    assert_eq!(states(&app, &a).await.iter().find(|s| s.0 == "coroner").unwrap().1, "no_contact");
    assert!(app.sink.all().is_empty(), "nothing was called");
}

#[tokio::test(flavor = "multi_thread")]
async fn children_who_need_no_response_alert_only_those_told_of_every_death() {
    let app = App::start(Db::sqlite()).await;
    let a = app.notify(all_no()).await;
    until("told", || async { app.sink.all().len() == 1 }).await;
    assert_eq!(
        app.sink.got("cdop_office")[0].json()["type"],
        "uk.child-death-review.death.notified.v1"
    );
    assert_eq!(a["jar"]["decision"], "not_triggered");
}
