//! The store's contract, on both engines.

use crate::support::{App, Db, MARKS, all_no, config_for, on_both, triggering, until};
use child_death_review::platform::crypt::{Key, Keyring};
use child_death_review::platform::metrics::Metrics;
use child_death_review::store::{Store, Target};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::Row;
use std::collections::BTreeMap;
use std::sync::Arc;

pub async fn open(db: &Db, key: &secrecy::SecretString) -> Store {
    let target = Target::parse(&db.url).unwrap();
    Store::open(target, Keyring::parse(key).unwrap(), 2, 1, Arc::new(Metrics::default()))
        .await
        .unwrap()
}

/// Three cases with alerts, acknowledgements, amendments, a panel; stopped, so that all is sealed.
async fn lived_in(db: Db) -> (App, Vec<String>) {
    let mut app = App::start(db).await;
    let mut references = Vec::new();
    for b in [triggering(), all_no(), triggering()] {
        let a = app.notify(b).await;
        references.push(a["reference"].as_str().unwrap().to_owned());
        for alert in a["alerts"].as_array().unwrap().iter().take(2) {
            let path = format!("/api/v1/alerts/{}/acknowledgements", alert["id"].as_str().unwrap());
            app.post(&path, json!({ "name": "Officer Trialmoor", "role": "duty" })).await;
        }
    }
    let case = format!("/api/v1/cases/{}", references[1]);
    let (s, _) = app.post(&format!("{case}/amendments"), json!({ "jar_answers": { "external_cause": "yes" }, "child": { "family_name": "Othername" }, "reason": "new" })).await;
    assert_eq!(s, 200);
    let (_, panel) =
        app.post("/api/v1/panels", json!({ "name": "P", "held_on": "2026-12-01" })).await;
    let (s, _) = app
        .post(
            &format!("/api/v1/panels/{}/cases", panel["id"].as_str().unwrap()),
            json!({ "reference": references[1], "despite": "asked for" }),
        )
        .await;
    assert_eq!(s, 200);
    let (s, _) = app.post(&format!("/api/v1/cases/{}/jar/decisions", references[2]), json!({ "decision": "stand_down", "reason": "r", "consulted": ["X"], "decided_by": { "name": "Dr Y" } })).await;
    assert_eq!(s, 200);
    assert_eq!(app.get(&case).await.0, 200);
    until("all sent", || async {
        app.service().store.outbox_figures().await.unwrap().waiting == 0
    })
    .await;
    app.stop().await;
    (app, references)
}

async fn verify(db: &Db) -> Vec<String> {
    let config = config_for(db);
    let store = open(db, &config.crypt.master_key).await;
    let r = store.verify(&[]).await.unwrap();
    r.findings.iter().map(|f| format!("{}: {}", f.place, f.what)).collect()
}

async fn without_triggers(db: &Db, sql: &str) {
    let all = if db.is_sqlite() {
        format!(
            "DROP TRIGGER IF EXISTS journal_no_update; DROP TRIGGER IF EXISTS journal_no_delete; DROP TRIGGER IF EXISTS seal_no_delete; DROP TRIGGER IF EXISTS seal_no_update; DROP TRIGGER IF EXISTS seal_head_no_delete; DROP TRIGGER IF EXISTS seal_head_no_update; {sql};"
        )
    } else {
        format!(
            "ALTER TABLE journal DISABLE TRIGGER ALL; ALTER TABLE seal DISABLE TRIGGER ALL; ALTER TABLE seal_head DISABLE TRIGGER ALL; {sql};"
        )
    };
    db.run(&all).await.unwrap();
}

on_both! {
    async fn of_many_texts_at_once_to_one_handset_no_more_go_than_its_network_lets_through(db: Db) {
        let key = config_for(&db).crypt.master_key;
        let mut nodes = vec![open(&db, &key).await];
        if !db.is_sqlite() {
            nodes.push(open(&db, &key).await);
        }
        let now = chrono::Utc::now();
        for round in 0..10 {
            let number = format!("+44770090035{round}");
            let asked = (0..40).map(|n| {
                let (store, number) = (nodes[n % nodes.len()].clone(), number.clone());
                tokio::spawn(async move {
                    let id = uuid::Uuid::now_v7();
                    store.take_pace("sms", &number, "the same words", id, now, 20, 60).await.unwrap()
                })
            });
            let went = futures_util::future::join_all(asked).await;
            let went = went.into_iter().filter(|r| *r.as_ref().unwrap()).count();
            assert_eq!(went, 20, "round {round}");
        }
    }

    async fn the_database_itself_refuses_to_change_the_journal(db: Db) {
        let (app, _) = lived_in(db).await;
        for sql in ["UPDATE journal SET name = 'x'", "DELETE FROM journal", "UPDATE attempt SET n = 9", "DELETE FROM attempt", "DELETE FROM audit", "UPDATE seal SET heads = 0", "DELETE FROM seal_head"] {
            let e = app.db.run(sql).await.unwrap_err().to_string();
            assert!(e.contains("append-only"), "{sql}: {e}");
        }
        assert!(verify(&app.db).await.is_empty());
    }

    async fn tampering_is_found_and_its_place_named(db: Db) {
        let (app, references) = lived_in(db).await;
        let db = &app.db;
        assert!(verify(db).await.is_empty());
        let id = format!("(SELECT id FROM cases WHERE reference = '{}')", references[0]);
        let place = format!("case {}", references[0]);
        let flip = if db.is_sqlite() {
            "substr(payload, 1, 20) || CASE hex(substr(payload, 21, 1)) WHEN '00' THEN x'01' ELSE x'00' END || substr(payload, 22)"
        } else {
            "set_byte(payload, 20, (get_byte(payload, 20) + 1) % 256)"
        };
        let payload = if db.is_sqlite() { format!("CAST({flip} AS BLOB)") } else { flip.to_owned() };
        let copy = "CREATE TABLE kept AS SELECT * FROM journal";
        db.run(copy).await.unwrap();
        let columns = "stream_id, version, name, at, actor, payload, hash";
        let put_back = format!("DELETE FROM journal; INSERT INTO journal ({columns}) SELECT {columns} FROM kept ORDER BY seq");
        for (what, sql, entry) in [
            ("a byte", format!("UPDATE journal SET payload = {payload} WHERE stream_id = {id} AND version = 2"), 2),
            ("the actor", format!("UPDATE journal SET actor = 'nobody' WHERE stream_id = {id} AND version = 1"), 1),
            ("the last entry deleted", format!("DELETE FROM journal WHERE stream_id = {id} AND version = (SELECT MAX(version) FROM kept WHERE stream_id = {id})"), 5),
            ("one in the middle deleted", format!("DELETE FROM journal WHERE stream_id = {id} AND version = 2"), 2),
            ("two swapped", format!("UPDATE journal SET version = -1 WHERE stream_id = {id} AND version = 2; UPDATE journal SET version = 2 WHERE stream_id = {id} AND version = 3; UPDATE journal SET version = 3 WHERE stream_id = {id} AND version = -1"), 2),
            ("one added at the end", format!("INSERT INTO journal ({columns}) SELECT stream_id, version + 4, name, at, actor, payload, hash FROM kept WHERE stream_id = {id} AND version = 2"), 6),
        ] {
            without_triggers(db, &sql).await;
            let found = verify(db).await;
            assert!(found.iter().any(|f| f.starts_with(&format!("{place}, entry {entry}:"))), "{what}: {found:?}");
            without_triggers(db, &put_back).await;
            assert!(verify(db).await.is_empty(), "{what}: put back");
        }
        // The end cut off together with its head: the seal knows. And the seal cut off too: its mark does.
        let head = format!("UPDATE stream SET version = 4, head = (SELECT hash FROM kept WHERE stream_id = {id} AND version = 4) WHERE id = {id}");
        without_triggers(db, &format!("DELETE FROM journal WHERE stream_id = {id} AND version = 5; {head}")).await;
        assert!(!verify(db).await.is_empty());
        without_triggers(db, "DELETE FROM seal_head WHERE seal_n = (SELECT MAX(n) FROM seal); DELETE FROM seal WHERE n = (SELECT MAX(n) FROM seal)").await;
        assert!(!verify(db).await.is_empty());
    }

    async fn an_anchor_outside_proves_that_seals_are_missing(db: Db) {
        let (app, _) = lived_in(db).await;
        let config = config_for(&app.db);
        let store = open(&app.db, &config.crypt.master_key).await;
        let r = store.verify(&[(9999, "ab".repeat(32))]).await.unwrap();
        assert_eq!(r.findings[0].place, "seal 9999");
    }

    async fn rebuilt_tables_equal_the_live_ones(db: Db) {
        let (app, _) = lived_in(db).await;
        let before = read_tables(&app.db).await;
        assert!(before.len() > 20);
        let config = config_for(&app.db);
        let store = open(&app.db, &config.crypt.master_key).await;
        let done = store.rebuild().await.unwrap();
        assert_eq!((done.cases, done.erased), (3, 0));
        let after = read_tables(&app.db).await;
        assert_eq!(before, after);
    }

    async fn nothing_personal_stands_in_the_database(db: Db) {
        let (app, _) = lived_in(db).await;
        let mut found = Vec::new();
        let mut size = 0;
        if app.db.is_sqlite() {
            for f in std::fs::read_dir(app.db.dir.path()).unwrap().flatten() {
                // The log goes away when its last reader does.
                let bytes = std::fs::read(f.path()).unwrap_or_default();
                size += bytes.len();
                found.extend(marks_in(&bytes));
            }
            assert!(size > 100_000);
        } else {
            let bin = std::env::var("CDR_TEST_PGBIN").unwrap_or_default();
            let tool = if bin.is_empty() { "pg_dump".to_owned() } else { format!("{bin}/pg_dump") };
            let dump = std::process::Command::new(tool).arg(&app.db.url).output().unwrap();
            assert!(dump.stdout.len() > 10_000, "{}", String::from_utf8_lossy(&dump.stderr));
            found.extend(marks_in(&dump.stdout));
        }
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(marks_in(b"xx Quorlswick xx"), ["Quorlswick"], "the search works");
    }

    async fn keys_rotate_while_everything_stays_readable(db: Db) {
        let (app, references) = lived_in(db).await;
        let old = config_for(&app.db).crypt.master_key;
        let new = format!("next:{}", Key::random().unwrap().to_base64());
        let both = format!("{new} {}", old.expose_secret()).into();
        let store = open(&app.db, &both).await;
        assert_eq!(store.rewrap_keys().await.unwrap(), 3 + 7, "three cases and seven service keys");
        assert_eq!(store.rewrap_keys().await.unwrap(), 0);
        let only_new = open(&app.db, &new.into()).await;
        let (id, _) = only_new.find(&references[0].parse_reference()).await.unwrap().unwrap();
        assert_eq!(only_new.load(id).await.unwrap().unwrap().state.facts.child.family_name.as_deref(), Some("Quorlswick"));
        let target = Target::parse(&app.db.url).unwrap();
        let refused = Store::open(target, Keyring::parse(&old).unwrap(), 1, 1, Arc::new(Metrics::default())).await;
        assert!(refused.is_err_and(|e| e.to_string().contains("no master key named \"next\"")));
    }

    async fn a_backup_of_a_running_service_restores_whole_and_mute(db: Db) {
        use child_death_review::store::backup;
        let mut app = App::start(db).await;
        for _ in 0..5 {
            app.notify(triggering()).await;
        }
        let out = app.db.dir.path().join("backup.bin");
        backup::backup(&Target::parse(&app.db.url).unwrap(), &out).await.unwrap();
        assert!(backup::backup(&Target::parse(&app.db.url).unwrap(), &out).await.is_err(), "nothing is overwritten");
        app.stop().await;
        let other = if app.db.is_sqlite() { Db::sqlite() } else { Db::postgres().await };
        std::fs::copy(app.db.dir.path().join("master.key"), other.dir.path().join("master.key")).unwrap();
        backup::restore(&Target::parse(&other.url).unwrap(), &out).await.unwrap();
        assert!(verify(&other).await.is_empty());
        let config = config_for(&other);
        let store = open(&other, &config.crypt.master_key).await;
        assert!(store.sending_is_held().await.unwrap());
        assert_eq!(other.number("SELECT COUNT(*) FROM cases").await, 5);
        assert!(backup::restore(&Target::parse(&other.url).unwrap(), &out).await.is_err(), "nothing is overwritten");
    }
}

trait ParseReference {
    fn parse_reference(&self) -> child_death_review::domain::id::Reference;
}

impl ParseReference for String {
    fn parse_reference(&self) -> child_death_review::domain::id::Reference {
        child_death_review::domain::id::Reference::parse(self).unwrap()
    }
}

fn marks_in(bytes: &[u8]) -> Vec<&'static str> {
    MARKS.iter().filter(|m| bytes.windows(m.len()).any(|w| w == m.as_bytes())).copied().collect()
}

/// The read tables as comparable text. Sealed facts differ by their nonce, so they are compared
/// opened.
pub async fn read_tables(db: &Db) -> Vec<String> {
    let config = config_for(db);
    let store = open(db, &config.crypt.master_key).await;
    let mut out = Vec::new();
    let queries = [
        "SELECT CAST(reference AS TEXT), stage, jar, CAST(in_scope AS TEXT), CAST(ready AS TEXT), event, age_band, CAST(category AS TEXT), CAST(received_at AS TEXT), CAST(died_on AS TEXT), blockers, CAST(version AS TEXT), CAST(changed_at AS TEXT), HEXED(account_of) FROM cases",
        "SELECT kind, HEXED(digest), HEXED(case_id) FROM case_lookup",
        "SELECT HEXED(id), HEXED(case_id), agency, agency_name, kind, CAST(acknowledge AS TEXT), state, CAST(rank AS TEXT), CAST(planned_at AS TEXT), notice FROM alert",
        "SELECT reference, area, stage, CAST(stage_rank AS TEXT), jar, CAST(age_rank AS TEXT), CAST(category AS TEXT), CAST(received_at AS TEXT), CAST(died_on AS TEXT), CAST(restricted AS TEXT), CAST(waits AS TEXT), CAST(next_date AS TEXT), CAST(next_due AS TEXT), next_due_kind, CAST(handed_at AS TEXT), rule FROM case_line",
        "SELECT HEXED(panel_id), HEXED(case_id), anonymous_reference, CAST(listed_at AS TEXT) FROM panel_case",
        "SELECT HEXED(case_id), HEXED(other_id), verdict, decided, CAST(at AS TEXT), seen FROM likeness",
    ];
    for q in queries {
        let rows: Vec<Vec<Option<String>>> = if db.is_sqlite() {
            use sqlx::Connection;
            let mut c = sqlx::SqliteConnection::connect(&db.url).await.unwrap();
            let q = q.replace("HEXED(", "hex(");
            let rows = sqlx::query(sqlx::AssertSqlSafe(q)).fetch_all(&mut c).await.unwrap();
            rows.iter()
                .map(|r| (0..r.len()).map(|i| r.get::<Option<String>, _>(i)).collect())
                .collect()
        } else {
            use sqlx::Connection;
            let mut c = sqlx::PgConnection::connect(&db.url).await.unwrap();
            let q = q
                .replace("HEXED(digest)", "encode(digest, 'hex')")
                .replace("HEXED(", "CONCAT('', ");
            let rows = sqlx::query(sqlx::AssertSqlSafe(q)).fetch_all(&mut c).await.unwrap();
            rows.iter()
                .map(|r| (0..r.len()).map(|i| r.get::<Option<String>, _>(i)).collect())
                .collect()
        };
        let may_be_none = q.contains("FROM panel_case") || q.contains("FROM likeness");
        assert!(!rows.is_empty() || may_be_none, "{q}");
        out.extend(rows.iter().map(|r| format!("{r:?}")));
    }
    for row in store
        .export_page(
            "northshire",
            "2020-01-01".parse().unwrap(),
            "2030-01-01".parse().unwrap(),
            uuid::Uuid::nil(),
            100,
        )
        .await
        .unwrap()
    {
        let facts = store.facts_of(&row).unwrap().unwrap();
        out.push(format!("{} {}", row.reference, serde_json::to_string(&facts).unwrap()));
    }
    out.sort();
    out
}

#[tokio::test]
async fn the_two_schemas_have_the_same_tables_and_columns() {
    use sqlx::Connection;
    let (lite, pg) = (Db::sqlite(), Db::postgres().await);
    let mut both = Vec::new();
    for db in [&lite, &pg] {
        Target::parse(&db.url).unwrap().migrate().await.unwrap();
        let rows: Vec<(String, String)> = if db.is_sqlite() {
            let mut c = sqlx::SqliteConnection::connect(&db.url).await.unwrap();
            sqlx::query_as("SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '_sqlx%'").fetch_all(&mut c).await.unwrap()
        } else {
            let mut c = sqlx::PgConnection::connect(&db.url).await.unwrap();
            sqlx::query_as("SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'").fetch_all(&mut c).await.unwrap()
        };
        let mut tables = BTreeMap::<String, Vec<String>>::new();
        for (t, c) in rows {
            tables.entry(t).or_default().push(c);
        }
        tables.values_mut().for_each(|c| c.sort());
        both.push(tables);
    }
    assert!(both[0].len() >= 18);
    assert_eq!(both[0], both[1]);
}
