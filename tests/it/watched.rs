//! What the watcher sees besides ladders, and what two writers or nodes do at the same moment.

use crate::store::open;
use crate::support::{App, Db, Mood, config_for, on_both, triggering, until};
use child_death_review::domain::id::Reference;
use child_death_review::store::DestructionRow;
use child_death_review::store::changes::{ChangeSet, DeliveryResult};
use child_death_review::work::watcher;
use chrono::{Duration, Utc};
use serde_json::{Value, json};
use sqlx::Connection;
use uuid::Uuid;

async fn found(app: &App) -> Vec<String> {
    let round = watcher::look(app.service(), true).await.unwrap();
    round.findings.into_iter().map(|f| f.what).collect()
}

fn case_of(a: &Value) -> String {
    format!("/api/v1/cases/{}", a["reference"].as_str().unwrap())
}

on_both! {
    async fn a_finding_that_could_not_be_told_is_told_in_the_next_round_and_the_others_at_once(db: Db) {
        let app = App::start(db).await;
        let s = app.service().clone();
        let finding = |what: &str| watcher::Finding {
            what: format!("{what}/northshire"),
            area: "northshire".into(),
            words: format!("{what} is wrong."),
        };
        let all = [finding("one"), finding("two"), finding("three")];
        // The database takes no word about the first, as with a disk that is full at that moment.
        let (no, yes): (&[&str], &[&str]) = if app.db.is_sqlite() {
            (
                &["CREATE TRIGGER no BEFORE INSERT ON bulletin WHEN NEW.notice LIKE '%one is wrong%' BEGIN SELECT RAISE(ABORT, 'no'); END"],
                &["DROP TRIGGER no"],
            )
        } else {
            (
                &[
                    "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'",
                    "CREATE TRIGGER no BEFORE INSERT ON bulletin FOR EACH ROW WHEN (NEW.notice LIKE '%one is wrong%') EXECUTE FUNCTION no()",
                ],
                &["DROP TRIGGER no ON bulletin"],
            )
        };
        for sql in no {
            app.db.run(sql).await.unwrap();
        }
        assert!(watcher::raise(&s, &all).await.is_err());
        let told = async |what: &str| {
            let sql = format!("SELECT COUNT(*) FROM bulletin WHERE notice LIKE '%{what} is wrong%'");
            app.db.number(&sql).await
        };
        assert_eq!((told("one").await, told("two").await, told("three").await), (0, 1, 1));
        for sql in yes {
            app.db.run(sql).await.unwrap();
        }
        watcher::raise(&s, &all).await.unwrap();
        assert_eq!((told("one").await, told("two").await, told("three").await), (1, 1, 1));
        watcher::raise(&s, &all).await.unwrap();
        assert_eq!(told("one").await, 1, "said already");
        // A node that dies between writing a finding down and telling it has not told it.
        let four = finding("four");
        let row = (four.what.clone(), four.area.clone(), four.words.clone());
        s.store.keep_findings(vec![row], s.clock.now()).await.unwrap();
        watcher::raise(&s, &[four]).await.unwrap();
        assert_eq!(told("four").await, 1);
    }

    async fn a_stand_down_that_reaches_nobody_is_found_until_somebody_has_rung(db: Db) {
        let app = App::start(db).await;
        let a = app.notify(triggering()).await;
        until("sent", || async { app.service().store.outbox_figures().await.unwrap().waiting == 0 }).await;
        assert_eq!(found(&app).await, Vec::<String>::new());
        app.sink.set("police", Mood::Status(410));
        let down = json!({ "decision": "stand_down", "reason": "r", "consulted": ["X"], "decided_by": { "name": "Y" } });
        let (s, done) = app.post(&format!("{}/jar/decisions", case_of(&a)), down).await;
        assert_eq!(s, 200);
        until("given up", || async { app.service().store.outbox_figures().await.unwrap().dead > 0 }).await;
        assert!(found(&app).await.contains(&"untold/northshire".to_owned()), "{:?}", found(&app).await);
        let all = done["alerts"].as_array().unwrap();
        let theirs = all.iter().find(|x| x["agency"] == "police").unwrap()["id"].as_str().unwrap().to_owned();
        let rung = json!({ "name": "Sgt Trialmoor", "role": "duty", "by": "telephone" });
        let (s, said) = app.post(&format!("/api/v1/alerts/{theirs}/acknowledgements"), rung).await;
        assert!(s < 300, "{said}");
        assert!(!found(&app).await.contains(&"untold/northshire".to_owned()));
    }

    async fn a_retry_that_nobody_makes_is_found_whatever_it_is_of(db: Db) {
        let mut app = App::start(db).await;
        app.notify(triggering()).await;
        until("sent", || async { app.service().store.outbox_figures().await.unwrap().waiting == 0 }).await;
        app.stop().await;
        let store = open(&app.db, &config_for(&app.db).crypt.master_key).await;
        let late = Utc::now() + Duration::hours(1);
        assert_eq!(store.overdue_messages(late).await.unwrap(), 0);
        app.db.run("UPDATE delivery SET state = 'due', attempts = 3 WHERE lane LIKE '%police%'").await.unwrap();
        app.db.run("UPDATE alert SET phase = 'untracked'").await.unwrap();
        assert_eq!(store.overdue_messages(late).await.unwrap(), 1);
        assert_eq!(store.overdue_messages(Utc::now() - Duration::hours(1)).await.unwrap(), 0, "not late yet");
    }

    async fn since_when_a_point_does_not_work_stands_still_while_it_does_not(db: Db) {
        let store = open(&db, &config_for(&db).crypt.master_key).await;
        let at = |n: i64| "2026-03-01T03:00:00Z".parse::<chrono::DateTime<Utc>>().unwrap() + Duration::minutes(n);
        let change = |address: &str, n: i64, unusable: Option<&str>| {
            let mut p = store.point_change("northshire/police/duty/sms", "northshire", address);
            (p.failed_at, p.unusable) = (Some(at(n)), unusable.map(str::to_owned));
            ChangeSet { points: vec![p], ..ChangeSet::default() }
        };
        let since = || async { store.points("northshire").await.unwrap()[0].failed_at };
        store.commit(change("07700 900301", 0, Some("they texted STOP"))).await.unwrap();
        for n in 1..4 {
            store.commit(change("07700 900301", n, (n == 2).then_some("they texted STOP"))).await.unwrap();
            assert_eq!(since().await, Some(at(0)), "one gap, told once");
        }
        store.commit(change("07700 900302", 4, None)).await.unwrap();
        assert_eq!(since().await, Some(at(4)), "another number");
        store.commit(change("07700 900302", 5, Some("does not work"))).await.unwrap();
        assert_eq!(since().await, Some(at(5)), "news of it");
    }
}

/// Another node, frozen in the middle of a change, holds a message; the watcher has looked, and put
/// the others right, and can write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_a_frozen_node_holds_is_left_for_the_next_look() {
    let mut app = App::start(Db::postgres().await).await;
    app.notify(triggering()).await;
    until("sent", || async { app.service().store.outbox_figures().await.unwrap().waiting == 0 })
        .await;
    app.stop().await;
    let far = "UPDATE delivery SET state = 'due', next_at = now() + interval '1 day'";
    assert_eq!(app.db.run(far).await.unwrap(), 5);
    let key = config_for(&app.db).crypt.master_key;
    let (store, frozen) = (open(&app.db, &key).await, open(&app.db, &key).await);
    frozen.can_write().await.unwrap();
    let mut c = sqlx::PgConnection::connect(&app.db.url).await.unwrap();
    let mut held = c.begin().await.unwrap();
    let one = "SELECT id FROM delivery ORDER BY id LIMIT 1 FOR UPDATE";
    sqlx::query(one).execute(&mut *held).await.unwrap();
    let ready = "SELECT name FROM counter WHERE name LIKE 'ready%' FOR UPDATE";
    sqlx::query(ready).execute(&mut *held).await.unwrap();
    // A lock is waited for five seconds, and then it would be an error.
    let (looked, wrote) = tokio::join!(store.clamp_retries(Utc::now()), store.can_write());
    assert_eq!(looked.unwrap(), 4);
    wrote.unwrap();
    held.rollback().await.unwrap();
    assert_eq!(store.clamp_retries(Utc::now()).await.unwrap(), 1);
}

/// Both messages of a rung refused at the same moment, each recorded by another node.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_messages_that_fail_at_once_on_two_nodes_the_second_sees_the_first() {
    let mut app = App::start(Db::postgres().await).await;
    for _ in 0..12 {
        app.notify(triggering()).await;
    }
    until("sent", || async { app.service().store.outbox_figures().await.unwrap().waiting == 0 })
        .await;
    app.stop().await;
    let twice = "INSERT INTO delivery (id, alert_id, lane, channel, address, urgent, state, next_at, created_at, step) SELECT gen_random_uuid(), d.alert_id, d.lane || '2', d.channel, d.address, d.urgent, 'due', d.next_at, d.created_at, d.step FROM delivery d JOIN alert a ON a.id = d.alert_id WHERE a.phase = 'climbing'";
    assert_eq!(app.db.run(twice).await.unwrap(), 48);
    app.db.run("UPDATE delivery SET state = 'leased', lease_token = 7, lease_until = now() + interval '1 hour' WHERE alert_id IN (SELECT id FROM alert WHERE phase = 'climbing')").await.unwrap();
    let key = config_for(&app.db).crypt.master_key;
    let nodes = [open(&app.db, &key).await, open(&app.db, &key).await];
    let mut c = sqlx::PgConnection::connect(&app.db.url).await.unwrap();
    let all: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT alert_id, id FROM delivery WHERE state = 'leased' ORDER BY alert_id, id",
    )
    .fetch_all(&mut c)
    .await
    .unwrap();
    let failed = |alert: Uuid, id: Uuid| ChangeSet {
        results: vec![DeliveryResult {
            id,
            lease_token: 7,
            state: "dead",
            next_at: Utc::now(),
            attempts: 1,
            outcome: "refused".to_owned(),
            provider: None,
            provider_id: None,
            ask_at: None,
        }],
        maybe_hurry: vec![alert],
        ..ChangeSet::default()
    };
    for pair in all.chunks(2) {
        let [(alert, one), (_, two)] = pair else { panic!("two of each") };
        let (a, b) = tokio::join!(
            nodes[0].commit(failed(*alert, *one)),
            nodes[1].commit(failed(*alert, *two)),
        );
        a.unwrap();
        b.unwrap();
    }
    let climbing = "SELECT COUNT(*) FROM alert WHERE phase = 'climbing'";
    let hurry = "SELECT COUNT(*) FROM alert WHERE phase = 'climbing' AND hurry";
    assert_eq!(app.db.number(hurry).await, app.db.number(climbing).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_is_being_placed_while_a_case_is_destroyed_is_seen() {
    let app = App::start(Db::postgres().await).await;
    let reference = app.notify(triggering()).await["reference"].as_str().unwrap().to_owned();
    let store = app.service().store.clone();
    let (case, _) = store.find(&Reference::parse(&reference).unwrap()).await.unwrap().unwrap();
    let ask = DestructionRow {
        case_id: case.0,
        reference,
        area: "northshire".to_owned(),
        rule: "made in error".to_owned(),
        received_at: Utc::now(),
        asked_at: Utc::now(),
        asked_by: "user:one".to_owned(),
        confirmed_at: None,
        confirmed_by: None,
        version: None,
        head: None,
    };
    store.ask_destruction(ask).await.unwrap();
    // Somebody is in the middle of placing a hold: the case's journal is theirs.
    let mut hold = sqlx::PgConnection::connect(&app.db.url).await.unwrap();
    let mut tx = hold.begin().await.unwrap();
    let mine = "SELECT id FROM stream WHERE id = $1 FOR UPDATE";
    sqlx::query(mine).bind(case.0).execute(&mut *tx).await.unwrap();
    let destroying = {
        let store = store.clone();
        tokio::spawn(async move { store.destroy(case, "user:two".to_owned(), Utc::now()).await })
    };
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(!destroying.is_finished(), "it waits");
    let held = "UPDATE cases SET held = TRUE WHERE id = $1";
    sqlx::query(held).bind(case.0).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!destroying.await.unwrap().unwrap(), "the hold was seen");
    assert!(store.load(case).await.unwrap().is_some());
}
