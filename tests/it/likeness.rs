//! Second reports of one death: attached when they certainly are, shown when they may be, merged
//! and parted by people; and never an agency left out.

use crate::store::read_tables;
use crate::support::{
    App, Db, MARKS, Sink, all_no, area_text, by_rules, csrf, on_both, triggering, until,
};
use child_death_review::auth::policy::{Caller, TokenScope};
use child_death_review::auth::token;
use child_death_review::config::OnArrival;
use child_death_review::domain::alert::{AlertKind, Recipient};
use child_death_review::domain::case::{self, CaseState, Context, Joining, Report};
use child_death_review::domain::draft::{Page, Section};
use child_death_review::domain::event::{Event, Person, Recorded, Route, SetHow};
use child_death_review::domain::history;
use child_death_review::domain::id::{AlertId, CaseId, Reference};
use child_death_review::domain::intake::{self, Need};
use child_death_review::platform::clock::{ManualClock, SystemClock};
use child_death_review::service::{Idempotency, Looked, Told};
use chrono::{DateTime, Duration, TimeZone, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

async fn start(db: Db, on_arrival: OnArrival) -> App {
    start_with(db, on_arrival, 0).await
}

/// With a worker that compares what arrives, and (next) what changed after `look_seconds`.
async fn start_with(db: Db, on_arrival: OnArrival, look_seconds: u64) -> App {
    let sink = Sink::start().await;
    let north = area_text(&sink, "");
    let south = north.replace("northshire", "southshire").replace("Northshire", "Southshire");
    let change = |c: &mut child_death_review::config::Config| {
        c.duplicates.on_arrival = on_arrival;
        c.duplicates.look_seconds = look_seconds;
    };
    App::with_areas(db, sink, &[&north, &south], change, Arc::new(SystemClock)).await
}

fn reference(answer: &Value) -> String {
    answer["reference"].as_str().unwrap().to_owned()
}

fn parsed(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

/// The same death as the ward tells it: another caller, other words, one fact more, one differing.
fn as_the_ward_says() -> Value {
    let mut b = triggering();
    b["child"]["given_names"] = json!("Baby");
    b["child"].as_object_mut().unwrap().remove("address");
    b["death"]["circumstances"] = json!("Brought in by ambulance, markerward.");
    b["death"]["date"] = json!("2026-02-21");
    b["child"]["gestation_weeks"] = json!(39);
    b["notifier"] =
        json!({ "name": "Sister Markerward", "role": "Sister", "telephone": "01632 960555" });
    b
}

async fn alerts_of(app: &App) -> i64 {
    app.db.number("SELECT COUNT(*) FROM alert").await
}

async fn look(app: &App) {
    let mut from = Looked { at: DateTime::UNIX_EPOCH, case: Uuid::nil() };
    let s = app.service();
    s.look_again(&mut from, Utc::now() + chrono::Duration::hours(1)).await.unwrap();
}

/// The same death page by page; the draft's code.
async fn sent_by_page(app: &App, key: &str) -> String {
    let s = app.service();
    let fields = |all: &[(&str, &str)]| {
        all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let event = fields(&[("event", "death")]);
    let code = s.begin_draft(Some("northshire"), key, &event).await.unwrap().code;
    let who = [("child.given_names", "Zephyrine"), ("child.nhs_number", "999 000 0018")];
    for (page, typed) in [
        (Page::Who, fields(&who)),
        (Page::Caller, fields(&[("notifier.telephone", "07700 900111")])),
    ] {
        let v = s.draft(&code).await.unwrap().row.version;
        s.save_page(&code, page, typed, v, false).await.unwrap();
    }
    s.send_draft(&code).await.unwrap().unwrap();
    code
}

async fn coordinator(app: &App) -> (String, String) {
    app.add_user("coordinator@x.example", "coordinator", "northshire", None).await;
    let cookie = app.sign_in("coordinator@x.example").await;
    let (_, page) = app.page("/", &cookie).await;
    (cookie, csrf(&page))
}

/// What a rebuild must give again.
async fn rebuilt_alike(app: &App) {
    until("sent", || async { app.service().store.outbox_figures().await.unwrap().waiting == 0 })
        .await;
    let before = read_tables(&app.db).await;
    app.service().store.rebuild().await.unwrap();
    assert_eq!(before, read_tables(&app.db).await, "a rebuild gives the same");
    let report = app.service().store.verify(&[]).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// An answer without what is new in each: what is left must be the same for everybody.
fn shape(answer: &str) -> String {
    let mut v: Value = serde_json::from_str(answer).unwrap();
    for field in ["reference", "case_id", "received_at"] {
        assert!(v[field].is_string());
        v[field] = json!(v[field].as_str().unwrap().len());
    }
    for a in v["alerts"].as_array_mut().unwrap() {
        a["id"] = json!(a["id"].as_str().unwrap().len());
    }
    v.to_string()
}

on_both! {
    async fn a_second_report_becomes_a_second_account(db: Db) {
        let app = start(db, OnArrival::Attach).await;
        let first = app.notify(triggering()).await;
        assert_eq!(first["duplicate_of"], Value::Null);
        until("sent", || async { app.service().store.outbox_figures().await.unwrap().waiting == 0 }).await;
        let (alerts, messages) = (alerts_of(&app).await, app.sink.all().len());
        let second = app.notify(as_the_ward_says()).await;
        let (a, b) = (reference(&first), reference(&second));
        assert_ne!(a, b);
        assert_eq!(second["duplicate_of"], json!(a), "who reads the case is told");
        assert_eq!(second["alerts"].as_array().unwrap().len(), first["alerts"].as_array().unwrap().len());
        assert_eq!(alerts_of(&app).await, alerts, "nobody is alerted twice");
        // Both references lead to the first case; what is said differently is kept beside it.
        let (_, case) = app.get(&format!("/api/v1/cases/{b}")).await;
        assert_eq!((&case["reference"], &case["account_of"], &case["also"]), (&json!(a), &json!(a), &json!([b])));
        let (_, case) = app.get(&format!("/api/v1/cases/{a}")).await;
        assert_eq!((&case["account_of"], &case["also"]), (&Value::Null, &json!([b])));
        assert_eq!(case["facts"]["child"]["given_names"], "Zephyrine");
        assert_eq!(case["facts"]["child"]["gestation_weeks"], 39, "a gap is filled");
        assert_eq!(case["facts"]["other_accounts"]["death.circumstances"], json!(["Brought in by ambulance, markerward."]));
        assert_eq!(case["facts"]["notifier"]["name"], "Dr Markernotifier");
        assert!(case["facts"]["other_accounts"].get("notifier.name").is_none(), "another caller is no contradiction");
        for path in ["", "/timeline", "/alerts", "/likenesses"] {
            assert_eq!(app.get(&format!("/api/v1/cases/{b}{path}")).await.0, 200, "{path}");
        }
        // One case in the list, in the export, in the search; by its own reference the second too.
        let listed = |v: Value| v["items"].as_array().unwrap().iter().map(reference).collect::<Vec<_>>();
        assert_eq!(listed(app.get("/api/v1/cases").await.1), std::slice::from_ref(&a));
        assert_eq!(listed(app.get("/api/v1/cases?stage=second_account").await.1), std::slice::from_ref(&b));
        assert_eq!(listed(app.get(&format!("/api/v1/cases?q={b}")).await.1), std::slice::from_ref(&b));
        let (_, export) = app.get("/api/v1/exports/ncmd?from=2026-01-01&to=2026-12-31&format=json&area=northshire").await;
        assert_eq!(export["records"].as_array().map(Vec::len), Some(1), "{export}");
        // The page says so, with whom to ring about the second report.
        let (cookie, _) = coordinator(&app).await;
        let (s, page) = app.page(&format!("/cases/{b}"), &cookie).await;
        assert_eq!(s, 200);
        assert!(page.contains(&format!("{b} is a second account of this case.")) && page.contains("Sister Markerward"));
        let (_, page) = app.page(&format!("/cases/{a}"), &cookie).await;
        assert!(!page.contains("is a second account of this case.") && page.contains("01632 960555"));
        // A change by either reference is a change of the first case.
        let step = json!({ "milestone": "inquest", "standing": "done" });
        let (s, done) = app.post(&format!("/api/v1/cases/{b}/milestones"), step).await;
        assert_eq!((s, &done["reference"]), (200, &json!(a)));
        assert_eq!(app.sink.all().len(), messages, "nobody has heard a word of it");
        rebuilt_alike(&app).await;
        assert_eq!(app.get(&format!("/api/v1/cases/{b}")).await.1["account_of"], json!(a));
    }

    async fn a_stranger_is_answered_as_for_a_first_report(db: Db) {
        let app = start(db, OnArrival::Attach).await;
        let stranger = Caller::public();
        let tell = |b: Value| app.service().notify(&stranger, None, b, Route::Page, None);
        let first = tell(triggering()).await.unwrap();
        let second = tell(triggering()).await.unwrap();
        assert_eq!(shape(&first.body), shape(&second.body));
        assert_eq!(first.body.len(), second.body.len(), "byte for byte as long");
        assert_eq!(serde_json::from_str::<Value>(&second.body).unwrap()["duplicate_of"], Value::Null);
        assert_eq!(app.db.number("SELECT COUNT(*) FROM cases WHERE account_of IS NOT NULL").await, 1);
        // A token that may only notify, or that reads another area, is a stranger too.
        let store = &app.service().store;
        let scopes = |s: &[TokenScope]| s.to_vec();
        for (scopes, area) in [
            (scopes(&[TokenScope::Notify]), "northshire"),
            (scopes(&[TokenScope::Notify, TokenScope::Read]), "northshire"),
        ] {
            let reads = scopes.contains(&TokenScope::Read);
            let t = token::issue(store, "t", &scopes, area, None, Utc::now()).await.unwrap();
            let r = app.http.post(format!("{}/api/v1/notifications", app.url)).bearer_auth(t)
                .header("content-type", "application/json").body(triggering().to_string()).send().await.unwrap();
            let body = r.text().await.unwrap();
            if !reads {
                assert_eq!(shape(&body), shape(&first.body));
            }
            let told = serde_json::from_str::<Value>(&body).unwrap()["duplicate_of"].is_string();
            assert_eq!(told, reads);
        }
        // The page after sending, too: the one-page form.
        let form = |key: &str| vec![
            ("_area".to_owned(), "northshire".to_owned()), ("_key".to_owned(), key.to_owned()),
            ("event".to_owned(), "death".to_owned()), ("child.nhs_number".to_owned(), "999 000 0018".to_owned()),
            ("child.given_names".to_owned(), "Zephyrine".to_owned()), ("notifier.telephone".to_owned(), "07700 900111".to_owned()),
        ];
        let mut pages = Vec::new();
        for n in 0..2 {
            if n == 0 {
                // As a first report: with nothing there.
                app.db.run("DELETE FROM case_lookup").await.unwrap();
            }
            let key = format!("k{n}");
            let fields = form(&key);
            let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            let (s, _, html) = app.form("/notify/one-page", "", &fields).await;
            assert_eq!(s, 201, "{html}");
            let html = crate::access::same(&html);
            let at = html.find("CDR-").unwrap();
            let own = html[at..at + 15].to_owned();
            pages.push(html.replace(&own, "REFERENCE"));
        }
        let plain = |p: &str| p.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        assert_eq!(plain(&pages[0]), plain(&pages[1]));
    }

    async fn who_was_not_alerted_by_the_first_is_by_the_second(db: Db) {
        let app = start(db, OnArrival::Attach).await;
        // The first caller says no to everything: only the office hears of the death.
        let first = app.notify(all_no()).await;
        let told = |v: &Value| v["alerts"].as_array().unwrap().iter().map(|a| a["agency"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(told(&first), BTreeSet::from(["cdop_office".to_owned()]));
        let second = app.notify(triggering()).await;
        let (a, b) = (reference(&first), reference(&second));
        assert_eq!(second["duplicate_of"], json!(a));
        let (_, case) = app.get(&format!("/api/v1/cases/{a}")).await;
        assert_eq!(case["standing"], "triggered");
        for agency in told(&second) {
            let alerted = case["alerts"].as_array().unwrap().iter().any(|x| x["agency"] == json!(agency) && x["kind"] == "jar_triggered");
            assert!(alerted, "{agency}");
            until("told", || async { !app.sink.got(&agency).is_empty() }).await;
        }
        // Every message speaks of the first case.
        for got in app.sink.all() {
            assert!(got.body.contains(&a) && !got.body.contains(&b), "{}", got.body);
        }
        rebuilt_alike(&app).await;
    }

    async fn a_case_that_does_not_stand_as_notified_takes_none_by_itself(db: Db) {
        let app = start(db, OnArrival::Attach).await;
        let person = json!({ "name": "Dr B" });
        for what in ["stood_down", "withdrawn", "restricted", "other_area", "met", "closed", "drill"] {
            app.db.run("DELETE FROM case_lookup").await.unwrap();
            let area = if what == "other_area" { "southshire" } else { "northshire" };
            let (_, first) = app.post(&format!("/api/v1/notifications?area={area}"), triggering()).await;
            let case = format!("/api/v1/cases/{}", reference(&first));
            let s = match what {
                "stood_down" => app.post(&format!("{case}/jar/decisions"), json!({ "decision": "stand_down", "reason": "natural", "consulted": ["Dr A"], "decided_by": person })).await.0,
                "withdrawn" => app.post(&format!("{case}/withdrawals"), json!({ "reason": "a mistake" })).await.0,
                "restricted" => {
                    app.add_user("named@x.example", "coordinator", "northshire", None).await;
                    let named = app.service().store.user_by_email("named@x.example").await.unwrap().unwrap().id;
                    app.post(&format!("{case}/restrictions"), json!({ "reason": "staff", "people": [named] })).await.0
                }
                "met" => app.post(&format!("{case}/milestones"), json!({ "milestone": "cdr_meeting", "standing": "done" })).await.0,
                "closed" => app.post(&format!("{case}/milestones"), json!({ "milestone": "finalised", "standing": "done" })).await.0,
                _ => 200,
            };
            assert_eq!(s, 200, "{what}");
            if what == "drill" {
                app.db.run("UPDATE cases SET stage = 'drill' WHERE stage = 'notified'").await.unwrap();
            }
            let second = app.notify(triggering()).await;
            assert_eq!(second["duplicate_of"], Value::Null, "{what}");
            let (s, own) = app.get(&format!("/api/v1/cases/{}", reference(&second))).await;
            assert_eq!((s, &own["reference"], &own["standing"]), (200, &second["reference"], &json!("triggered")), "{what}");
            let mine = own["alerts"].as_array().unwrap();
            assert_eq!(mine.len(), second["alerts"].as_array().unwrap().len(), "{what}: its own alerts go out");
            let pair = app.db.number("SELECT COUNT(*) FROM likeness").await;
            assert_eq!(pair, i64::from(what != "drill"), "{what}: a person is shown it");
            app.db.run("DELETE FROM likeness").await.unwrap();
        }
    }

    async fn twins_and_siblings_stay_apart_and_are_linked(db: Db) {
        let app = start_with(db, OnArrival::Attach, 3600).await;
        let twin = |name: &str, nhs: Value| {
            let mut b = triggering();
            b["child"]["given_names"] = json!(name);
            b["child"]["nhs_number"] = nhs;
            b
        };
        let one = app.notify(twin("Twin 1", json!("999 000 0018"))).await;
        // The second has been given the number of the first.
        let other = app.notify(twin("Twin 2", json!("999 000 0018"))).await;
        assert_eq!(other["duplicate_of"], Value::Null);
        let third = app.notify(twin("Barnaby", json!("999 000 0026"))).await;
        assert_eq!(third["duplicate_of"], Value::Null);
        // Compared once it is stored, without anybody waiting for the next look at what changed.
        let path = format!("/api/v1/cases/{}/likenesses", reference(&third));
        until("compared", || async { app.get(&path).await.1["items"].as_array().unwrap().len() == 2 }).await;
        let (_, likenesses) = app.get(&path).await;
        let items = likenesses["items"].as_array().unwrap();
        assert!(items.iter().all(|l| l["verdict"] == "related"));
        let (_, likenesses) = app.get(&format!("/api/v1/cases/{}/likenesses", reference(&one))).await;
        let with_other = likenesses["items"].as_array().unwrap().iter().find(|l| l["other"] == other["reference"]).unwrap();
        assert_eq!(with_other["verdict"], "perhaps");
        assert_eq!(app.service().count_likenesses(&Caller::operator()).await.unwrap(), 1, "only the pair with one number waits");
    }

    async fn people_merge_and_part_and_nothing_is_lost(db: Db) {
        let app = start(db, OnArrival::Show).await;
        let first = app.notify(triggering()).await;
        let mut ward = as_the_ward_says();
        ward["jar_answers"]["external_cause"] = json!("yes");
        let second = app.notify(ward).await;
        let (a, b) = (reference(&first), reference(&second));
        until("sent", || async { app.service().store.outbox_figures().await.unwrap().waiting == 0 }).await;
        let (case_a, case_b) = (format!("/api/v1/cases/{a}"), format!("/api/v1/cases/{b}"));
        let (_, before) = app.get(&case_a).await;
        // The queue counts it, the list and the case's page lead to the comparison.
        let (cookie, word) = coordinator(&app).await;
        let (_, queue) = app.page("/", &cookie).await;
        assert!(queue.contains("1 pair of cases to look at side by side"));
        let compare = format!("/cases/{a}/compare/{b}");
        let (_, list) = app.page("/likeness", &cookie).await;
        assert!(list.contains(&compare) && list.contains("the NHS number is the same"), "{list}");
        assert!(app.page(&format!("/cases/{b}"), &cookie).await.1.contains(&format!("/cases/{b}/compare/{a}")));
        let (s, page) = app.page(&compare, &cookie).await;
        assert_eq!(s, 200);
        for part in ["markerward", "markercircumstance", "What they say differently", "Sister Markerward"] {
            assert!(page.contains(part), "{part}");
        }
        let looks = app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'compare_cases'").await;
        assert_eq!(looks, 2, "a line for each of the two");
        // The police have it from the first; nobody else has answered.
        let of = |v: &Value, agency: &str| {
            let all = v["alerts"].as_array().unwrap().iter();
            all.clone().find(|x| x["agency"] == json!(agency)).unwrap()["id"].as_str().unwrap().to_owned()
        };
        let police = of(&first, "police");
        assert!(app.post(&format!("/api/v1/alerts/{police}/acknowledgements"), json!({ "name": "Sgt Walker" })).await.0 < 300);
        // Without a reason nothing happens and what was chosen is still there.
        let (s, _, page) = app.form(&compare, &cookie, &[("_csrf", &word), ("do", "same"), ("first", &b)]).await;
        assert!(s == 422 && page.contains("Say why"), "{s}");
        let (s, to, page) = app.form(&compare, &cookie, &[("_csrf", &word), ("do", "same"), ("first", &a), ("reason", "one child, two wards")]).await;
        assert_eq!((s, to.as_str()), (303, format!("/cases/{a}").as_str()), "{page}");
        let (_, merged) = app.get(&case_b).await;
        assert_eq!((&merged["reference"], &merged["also"]), (&json!(a), &json!([b])));
        assert_eq!(merged["facts"]["other_accounts"]["jar_answers.external_cause"], json!(["yes"]));
        // Of the second's ladders only that ends which somebody has answered at the first.
        let phase = |agency: &str| {
            let id = of(&second, agency);
            let row = merged["alerts"].as_array().unwrap().iter().find(|x| x["id"] == json!(id)).unwrap();
            assert_eq!(row["account"], json!(b), "seen on the first case");
            row["phase"].as_str().unwrap().to_owned()
        };
        assert_eq!(phase("police"), "settled");
        for agency in ["social_care", "designated_doctor", "jar_nurse"] {
            assert_eq!(phase(agency), "climbing", "{agency}");
        }
        // They can still be answered.
        let nurse = of(&second, "jar_nurse");
        assert!(app.post(&format!("/api/v1/alerts/{nurse}/acknowledgements"), json!({ "name": "Nurse M" })).await.0 < 300);
        let (_, queue) = app.page("/", &cookie).await;
        assert!(!queue.contains("perhaps of the same death"));
        rebuilt_alike(&app).await;
        // Merging again changes nothing; parting gives both back.
        let again = json!({ "account": b, "reason": "again" });
        assert_eq!(app.post(&format!("{case_a}/merge"), again).await.0, 200);
        assert_eq!(app.get(&case_a).await.1["also"], json!([b]));
        // Meanwhile somebody corrects the first: that stays.
        app.post(&format!("{case_a}/amendments"), json!({ "child": { "ethnicity": "B" }, "reason": "asked" })).await;
        let (s, page) = app.page(&compare, &cookie).await;
        assert!(s == 200 && page.contains("Make it a case of its own again"));
        let (s, _, page) = app.form(&compare, &cookie, &[("_csrf", &word), ("do", "undo"), ("first", &a), ("reason", "two children after all")]).await;
        assert_eq!(s, 303, "{page}");
        let (_, now_a) = app.get(&case_a).await;
        let (_, now_b) = app.get(&case_b).await;
        let mut expected = before["facts"].clone();
        expected["child"]["ethnicity"] = json!("B");
        assert_eq!(now_a["facts"], expected, "as if the second had never been merged");
        assert_eq!((&now_b["reference"], &now_b["account_of"]), (&json!(b), &Value::Null));
        assert_eq!(now_b["facts"]["death"]["circumstances"], "Brought in by ambulance, markerward.");
        assert_eq!(now_b["facts"]["notifier"]["name"], "Sister Markerward");
        // What had been answered for elsewhere is asked of this case's own police again.
        let open = now_b["alerts"].as_array().unwrap().iter().filter(|x| x["agency"] == "police" && x["phase"] == "climbing").count();
        assert_eq!(open, 1, "{}", now_b["alerts"]);
        // Not offered again as they stand, also not after a look; but when something has changed.
        look(&app).await;
        assert_eq!(app.service().count_likenesses(&Caller::operator()).await.unwrap(), 0);
        app.post(&format!("{case_b}/amendments"), json!({ "child": { "given_names": "Zephyrine" }, "reason": "named" })).await;
        look(&app).await;
        assert_eq!(app.service().count_likenesses(&Caller::operator()).await.unwrap(), 1);
        let not = json!({ "other": b, "reason": "the number was copied" });
        assert_eq!(app.post(&format!("{case_a}/not-the-same"), not.clone()).await.0, 200);
        look(&app).await;
        assert_eq!(app.service().count_likenesses(&Caller::operator()).await.unwrap(), 0);
        assert_eq!(app.post(&format!("{case_a}/related"), not).await.0, 200);
        let (_, l) = app.get(&format!("{case_b}/likenesses")).await;
        assert_eq!(l["items"][0]["decided"], "related");
        rebuilt_alike(&app).await;
        // Nothing personal went out or stands in the clear in what is listed.
        for got in app.sink.all() {
            assert!(MARKS.iter().all(|m| !got.body.contains(m)), "{}", got.body);
        }
    }

    async fn whom_a_merged_report_had_called_is_told_when_the_response_is_over_and_called_again_when_they_are_parted(db: Db) {
        let app = start(db, OnArrival::Show).await;
        let a = reference(&app.notify(triggering()).await);
        let mut other = triggering();
        other["child"] = json!({ "family_name": "Somebodyelse" });
        let b = reference(&app.notify(other).await);
        let sent = || async { app.service().store.outbox_figures().await.unwrap().waiting == 0 };
        until("sent", sent).await;
        let (s, said) = app.post(&format!("/api/v1/cases/{a}/merge"), json!({ "account": b, "reason": "one child" })).await;
        assert_eq!(s, 200, "{said}");
        let of_b = format!("FROM alert WHERE case_id = (SELECT id FROM cases WHERE reference = '{b}')");
        let open = format!("SELECT COUNT(*) {of_b} AND phase = 'climbing'");
        assert_eq!(app.db.number(&open).await, 4, "its own alerts run on");
        // Somebody answers one of them: told to stop, they have to be called again like everybody.
        let (_, theirs) = app.get(&format!("/api/v1/cases/{b}/alerts")).await;
        let police = theirs["items"].as_array().unwrap().iter().find(|x| x["agency"] == "police").unwrap();
        let yes = json!({ "name": "Sgt Trialmoor", "by": "telephone" });
        let (s, said) = app.post(&format!("/api/v1/alerts/{}/acknowledgements", police["id"].as_str().unwrap()), yes).await;
        assert_eq!(s, 201, "{said}");
        let down = json!({ "decision": "stand_down", "reason": "a natural cause", "consulted": ["Dr A"], "decided_by": { "name": "Dr B" } });
        assert_eq!(app.post(&format!("/api/v1/cases/{a}/jar/decisions"), down).await.0, 200);
        until("sent", sent).await;
        assert_eq!(app.db.number(&open).await, 0);
        let told = |r: &str, kind: &str| {
            let got = app.sink.got("police");
            got.iter().filter(|g| g.json()["subject"] == json!(r) && g.json()["type"].as_str().unwrap().contains(kind)).count()
        };
        assert_eq!((told(&a, "stood-down"), told(&b, "stood-down")), (1, 1), "under the reference they were called by");
        let (_, timeline) = app.get(&format!("/api/v1/cases/{b}/timeline")).await;
        assert!(timeline.to_string().contains("a natural cause"), "{timeline}");
        // They were two children after all: the end of the other's response is no word about this one.
        let (s, said) = app.post(&format!("/api/v1/cases/{a}/unmerge"), json!({ "account": b, "reason": "two children" })).await;
        assert_eq!(s, 200, "{said}");
        until("sent", sent).await;
        let (_, case) = app.get(&format!("/api/v1/cases/{b}")).await;
        assert_eq!(case["standing"], "triggered", "{case}");
        assert_eq!(app.db.number(&open).await, 4, "everybody is called again");
        assert_eq!(told(&b, "jar.triggered"), 2);
        let (_, first) = app.get(&format!("/api/v1/cases/{a}")).await;
        assert_eq!(first["standing"], "not_triggered");
        rebuilt_alike(&app).await;
    }

    async fn a_response_that_ended_before_a_merge_ends_nothing_of_the_merged_report(db: Db) {
        let app = start(db, OnArrival::Show).await;
        let a = reference(&app.notify(triggering()).await);
        let down = json!({ "decision": "stand_down", "reason": "a natural cause", "consulted": ["Dr A"], "decided_by": { "name": "Dr B" } });
        assert_eq!(app.post(&format!("/api/v1/cases/{a}/jar/decisions"), down).await.0, 200);
        let b = reference(&app.notify(as_the_ward_says()).await);
        let (s, said) = app.post(&format!("/api/v1/cases/{a}/merge"), json!({ "account": b, "reason": "one child" })).await;
        assert_eq!(s, 200, "{said}");
        let (b, _) = app.service().store.find(&Reference::parse(&b).unwrap()).await.unwrap().unwrap();
        let open = || async { app.service().store.alerts(b).await.unwrap().iter().filter(|x| x.phase == "climbing").count() };
        let before = open().await;
        assert!(before > 0, "its own alerts run on");
        app.service().escalate(b).await.unwrap();
        assert_eq!(open().await, before, "nobody decided about this report");
    }

    async fn a_decision_about_two_cases_that_is_sent_again_is_answered_and_not_made_again(db: Db) {
        let app = start(db, OnArrival::Show).await;
        let (a, b) = (reference(&app.notify(triggering()).await), reference(&app.notify(as_the_ward_says()).await));
        let decide = |what: &str, key: &'static str, reason: &str| {
            let name = if what.ends_with("merge") { "account" } else { "other" };
            let body = json!({ name: b, "reason": reason }).to_string();
            let (app, path) = (&app, format!("/api/v1/cases/{a}/{what}"));
            async move { app.raw(&path, body.as_bytes(), &[("idempotency-key", key)]).await }
        };
        let entries = || app.db.number("SELECT COUNT(*) FROM journal");
        for (what, key) in [("merge", "m1"), ("unmerge", "u1"), ("related", "r1"), ("not-the-same", "n1")] {
            let before = entries().await;
            let all = futures_util::future::join_all((0..8).map(|_| decide(what, key, "seen side by side"))).await;
            assert!(all.iter().all(|r| r.0 == 200 && *r == all[0]), "{what}: {all:?}");
            let made = entries().await;
            assert!(made > before, "{what}");
            assert_eq!(decide(what, key, "seen side by side").await, all[0], "{what}");
            let (status, said) = decide(what, key, "another reason").await;
            assert_eq!((status, &said["type"]), (422, &json!("urn:cdr:problem:idempotency_key_reused")), "{what}");
            assert_eq!(entries().await, made, "{what}");
        }
        // The first answer comes again also when a later decision undid it, and undoes nothing.
        assert_eq!(decide("merge", "m1", "seen side by side").await.0, 200);
        assert_eq!(app.get(&format!("/api/v1/cases/{b}")).await.1["account_of"], Value::Null);
    }

    async fn what_cannot_be_merged_says_why(db: Db) {
        let app = start(db, OnArrival::Show).await;
        let a = reference(&app.notify(triggering()).await);
        let b = reference(&app.notify(triggering()).await);
        let (_, south) = app.post("/api/v1/notifications?area=southshire", triggering()).await;
        let (_, drill) = app.post("/api/v1/drills", json!({ "area": "northshire" })).await;
        let merge = |first: &str, second: &str| {
            let path = format!("/api/v1/cases/{first}/merge");
            let body = json!({ "account": second, "reason": "same" });
            let app = &app;
            async move { app.post(&path, body).await }
        };
        for (other, why) in [(reference(&south), "two areas"), (reference(&drill), "an exercise"), (a.clone(), "itself")] {
            let (s, said) = merge(&a, &other).await;
            assert!(s == 409 && said["detail"].as_str().unwrap().contains(why), "{why}: {s} {said}");
        }
        assert_eq!(merge(&a, "CDR-2026-999999").await.0, 404);
        // Another area's coordinator sees neither.
        app.add_user("south@x.example", "coordinator", "southshire", None).await;
        let south_cookie = app.sign_in("south@x.example").await;
        for path in [format!("/cases/{a}/compare/{b}"), format!("/cases/{}/compare/{a}", reference(&south))] {
            assert_eq!(app.page(&path, &south_cookie).await.0, 404, "{path}");
        }
        assert!(!app.page("/likeness", &south_cookie).await.1.contains("CDR-"), "pairs across areas are for who reads both");
        // A restricted case is not laid open by a merge.
        app.add_user("named@x.example", "coordinator", "northshire", None).await;
        let named = app.service().store.user_by_email("named@x.example").await.unwrap().unwrap().id;
        app.post(&format!("/api/v1/cases/{b}/restrictions"), json!({ "reason": "staff", "people": [named] })).await;
        assert_eq!(merge(&a, &b).await.0, 404, "not open to the token");
        let (cookie, _) = coordinator(&app).await;
        assert!(!app.page("/likeness", &cookie).await.1.contains(&b));
        assert!(!app.page(&format!("/cases/{a}"), &cookie).await.1.contains(&b));
        let cookie = app.sign_in("named@x.example").await;
        let (_, page) = app.page("/", &cookie).await;
        let word = csrf(&page);
        let form = [("_csrf", word.as_str()), ("do", "same"), ("first", a.as_str()), ("reason", "same")];
        let (s, _, page) = app.form(&format!("/cases/{a}/compare/{b}"), &cookie, &form).await;
        assert!(s == 409 && page.contains("restrict the first to the same people"), "{s}");
    }

    async fn a_key_repeats_and_reports_at_once_lose_nothing(db: Db) {
        let app = start(db, OnArrival::Attach).await;
        let stranger = Caller::public();
        let body = triggering();
        let once = || Some(Idempotency { key: "k".into(), body: b"x".to_vec() });
        let repeats = (0..30).map(|_| app.service().notify(&stranger, None, body.clone(), Route::Page, once()));
        let answers = futures_util::future::join_all(repeats).await;
        let bodies: BTreeSet<String> = answers.into_iter().map(|a| a.unwrap().body).collect();
        assert_eq!(bodies.len(), 1, "one notification, one answer");
        assert_eq!(app.db.number("SELECT COUNT(*) FROM cases").await, 1);
        // Another death, told by many at the same moment.
        let mut body = as_the_ward_says();
        body["child"]["nhs_number"] = json!("999 000 0026");
        body["child"]["family_name"] = json!("Markerother");
        body["child"]["date_of_birth"] = json!("2019-07-09");
        body["household"] = json!([]);
        let all = (0..12).map(|_| app.service().notify(&stranger, None, body.clone(), Route::Page, None));
        for a in futures_util::future::join_all(all).await {
            a.unwrap();
        }
        let cases = app.db.number("SELECT COUNT(*) FROM cases").await;
        assert_eq!(cases, 13, "every report has its reference");
        let own = app.db.number("SELECT COUNT(*) FROM cases WHERE account_of IS NULL").await - 1;
        assert!(own >= 1);
        // Each that stands for itself has alerted everybody; the others stand by one that has.
        let police = app.db.number("SELECT COUNT(*) FROM alert WHERE agency = 'police'").await;
        assert_eq!(police, own + 1);
        look(&app).await;
        let pairs = app.service().count_likenesses(&Caller::operator()).await.unwrap();
        assert_eq!(pairs, own * (own - 1) / 2, "those that came at once are found afterwards");
        rebuilt_alike(&app).await;
    }

    async fn a_case_that_cannot_be_read_keeps_no_others_from_being_compared(db: Db) {
        let app = start(db, OnArrival::Off).await;
        let mut other = triggering();
        other["child"] = json!({ "given_names": "Orla", "family_name": "Vexley", "date_of_birth": "2019-07-09" });
        other["household"] = json!([]);
        let broken = reference(&app.notify(other).await);
        app.notify(triggering()).await;
        app.notify(triggering()).await;
        let bytes = if app.db.is_sqlite() { "x'00'" } else { "'\\x00'::bytea" };
        app.db.run(&format!("UPDATE cases SET sealed_facts = {bytes} WHERE reference = '{broken}'")).await.unwrap();
        look(&app).await;
        assert_eq!(app.service().count_likenesses(&Caller::operator()).await.unwrap(), 1);
    }

    async fn two_that_came_at_once_are_found_afterwards(db: Db) {
        let app = start(db, OnArrival::Off).await;
        app.notify(triggering()).await;
        app.notify(triggering()).await;
        let one = |s: &child_death_review::service::Service| s.clone();
        let s = one(app.service());
        assert_eq!(s.count_likenesses(&Caller::operator()).await.unwrap(), 0);
        look(&app).await;
        assert_eq!(s.count_likenesses(&Caller::operator()).await.unwrap(), 1);
        let events = app.db.number("SELECT COUNT(*) FROM journal").await;
        look(&app).await;
        assert_eq!(app.db.number("SELECT COUNT(*) FROM journal").await, events, "and found once");
        rebuilt_alike(&app).await;
    }

    async fn an_account_goes_with_its_case(db: Db) {
        let app = start(db, OnArrival::Attach).await;
        let a = reference(&app.notify(triggering()).await);
        let b = reference(&app.notify(triggering()).await);
        let store = app.service().store.clone();
        let (id, _) = store.find(&parsed(&a)).await.unwrap().unwrap();
        let ask = child_death_review::store::DestructionRow {
            case_id: id.0, reference: a.clone(), area: "northshire".into(), rule: "r".into(), received_at: Utc::now(),
            asked_at: Utc::now(), asked_by: "user:1".into(), confirmed_at: None, confirmed_by: None, version: None, head: None,
        };
        store.ask_destruction(ask).await.unwrap();
        assert!(store.destroy(id, "user:2".into(), Utc::now()).await.unwrap());
        for r in [&a, &b] {
            assert_eq!(app.get(&format!("/api/v1/cases/{r}")).await.0, 410, "{r}");
        }
        assert_eq!(app.db.number("SELECT COUNT(*) FROM case_lookup").await, 0);
        assert_eq!(app.db.number("SELECT COUNT(*) FROM stream WHERE wrapped_key IS NOT NULL").await, 0);
        store.rebuild().await.unwrap();
        assert_eq!(app.get(&format!("/api/v1/cases/{b}")).await.0, 410);
        let report = store.verify(&[]).await.unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }

    async fn what_a_second_caller_adds_reaches_both_and_they_learn_nothing(db: Db) {
        let app = start(db, OnArrival::Attach).await;
        let first = app.notify(triggering()).await;
        let a = reference(&first);
        let police = first["alerts"].as_array().unwrap().iter().find(|x| x["agency"] == "police").unwrap();
        let ack = format!("/api/v1/alerts/{}/acknowledgements", police["id"].as_str().unwrap());
        assert!(app.post(&ack, json!({ "name": "Sgt Walker" })).await.0 < 300);
        let s = app.service();
        let fields = |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let held = s.begin_draft(Some("northshire"), "a-form-of-this-test", &fields(&[("event", "death")])).await.unwrap();
        let code = held.code.clone();
        for (page, typed) in [
            (Page::Who, fields(&[("child.given_names", "Zephyrine"), ("child.nhs_number", "999 000 0018")])),
            (Page::Caller, fields(&[("notifier.telephone", "07700 900111")])),
        ] {
            let v = s.draft(&code).await.unwrap().row.version;
            s.save_page(&code, page, typed, v, false).await.unwrap();
        }
        let sent = s.send_draft(&code).await.unwrap().unwrap();
        let b = reference(&serde_json::from_str(&sent.body).unwrap());
        assert_eq!(app.get(&format!("/api/v1/cases/{b}")).await.1["account_of"], json!(a));
        let held = s.draft(&code).await.unwrap();
        let told = s.told(&held).await.unwrap().unwrap();
        assert_eq!(told.reference, b);
        assert_eq!(told.agencies.len(), first["alerts"].as_array().unwrap().len());
        let states: Vec<&str> = told.agencies.iter().map(|g| g.state.as_str()).collect();
        assert!(states.iter().all(|s| ["planned", "sending", "accepted"].contains(s)), "{states:?}");
        assert_ne!(told.stage, "Second account of a case");
        // What they add.
        let typed = fields(&[("child.ethnicity", "C")]);
        s.save_section(&code, Section::Child, &typed, held.row.version, false).await.unwrap();
        assert!(s.send_further(&code).await.unwrap());
        let (_, case) = app.get(&format!("/api/v1/cases/{a}")).await;
        assert_eq!(case["facts"]["other_accounts"]["child.ethnicity"], json!(["C"]));
        rebuilt_alike(&app).await;
        let undo = json!({ "account": b, "reason": "another child" });
        let (s, said) = app.post(&format!("/api/v1/cases/{a}/unmerge"), undo).await;
        assert_eq!(s, 200, "{said}");
        let (_, case) = app.get(&format!("/api/v1/cases/{a}")).await;
        assert_eq!(case["facts"].get("other_accounts"), None, "gone with it");
        let (_, own) = app.get(&format!("/api/v1/cases/{b}")).await;
        assert_eq!((&own["reference"], &own["facts"]["child"]["ethnicity"]), (&json!(b), &json!("C")));
        assert!(own["alerts"].as_array().unwrap().iter().any(|x| x["agency"] == "police" && x["phase"] == "climbing"), "alerted for itself now");
        rebuilt_alike(&app).await;
    }

    async fn how_far_the_first_case_is_tells_a_second_caller_nothing(db: Db) {
        let sink = Sink::start().await;
        let clock = ManualClock::at(Utc::now());
        let change = |c: &mut child_death_review::config::Config| {
            c.duplicates.on_arrival = OnArrival::Attach;
            c.duplicates.look_seconds = 0;
        };
        let area = area_text(&sink, "");
        let app = App::with(db, sink, &area, change, clock.clone()).await;
        let first = app.notify(triggering()).await;
        let case = format!("/api/v1/cases/{}", reference(&first));
        // The first is older, somebody works on it, and its police have answered.
        let police = first["alerts"].as_array().unwrap().iter().find(|x| x["agency"] == "police").unwrap();
        let ack = format!("/api/v1/alerts/{}/acknowledgements", police["id"].as_str().unwrap());
        assert!(app.post(&ack, json!({ "name": "Sgt Walker" })).await.0 < 300);
        let step = |milestone: &str| json!({ "milestone": milestone, "standing": "done" });
        assert_eq!(app.post(&format!("{case}/milestones"), step("reporting_forms")).await.0, 200);
        until("sent", || async { app.service().store.outbox_figures().await.unwrap().waiting == 0 }).await;
        clock.forward(Duration::hours(5));
        let code = sent_by_page(&app, "the-second-form").await;
        let told = || async {
            let s = app.service();
            s.told(&s.draft(&code).await.unwrap()).await.unwrap().unwrap()
        };
        let second = told().await;
        assert_eq!(app.get(&format!("/api/v1/cases/{}", second.reference)).await.1["account_of"], first["reference"]);
        let states = |t: &Told| t.agencies.iter().map(|g| g.state.clone()).collect::<BTreeSet<_>>();
        let one = |s: &str| BTreeSet::from([s.to_owned()]);
        assert_eq!((second.stage, states(&second)), ("Notified", one("planned")), "as a first report at once");
        clock.forward(Duration::seconds(10));
        assert_eq!(states(&told().await), one("accepted"), "as a first report that was sent");
        // What happens to the first now could not yet happen to a report of just now.
        let down = json!({ "decision": "stand_down", "reason": "natural", "consulted": ["Dr A"], "decided_by": { "name": "Dr B" } });
        assert_eq!(app.post(&format!("{case}/jar/decisions"), down).await.0, 200);
        let soon = told().await;
        assert_eq!((soon.stood_down, soon.stage, states(&soon)), (false, "Notified", one("accepted")));
        clock.forward(Duration::minutes(31));
        let later = told().await;
        assert_eq!((later.stood_down, later.stage), (true, "Notified"), "the case has not moved on since");
        assert!(!states(&later).contains("planned"), "nobody is being told: {:?}", states(&later));
        assert_eq!(app.post(&format!("{case}/milestones"), step("cdr_meeting")).await.0, 200);
        assert_eq!(told().await.stage, "Review meeting held", "it has");
        // A third report comes after the meeting: a person merges it, and still it learns nothing.
        let code = sent_by_page(&app, "the-third-form").await;
        let s = app.service();
        let third = s.told(&s.draft(&code).await.unwrap()).await.unwrap().unwrap();
        let merge = json!({ "account": third.reference, "reason": "one child, three wards" });
        let (status, said) = app.post(&format!("{case}/merge"), merge).await;
        assert_eq!(status, 200, "{said}");
        clock.forward(Duration::hours(2));
        let third = s.told(&s.draft(&code).await.unwrap()).await.unwrap().unwrap();
        assert_eq!((third.stage, third.stood_down, third.withdrawn), ("Notified", false, false));
    }

    async fn an_account_is_as_secret_as_its_case(db: Db) {
        let app = start(db, OnArrival::Attach).await;
        let a = reference(&app.notify(triggering()).await);
        let b = reference(&app.notify(as_the_ward_says()).await);
        // What the second report holds about its own caller is part of a copy for them.
        let (cookie, word) = coordinator(&app).await;
        let form = [("_csrf", word.as_str()), ("reference", b.as_str()), ("name", "Sister Markerward")];
        let (s, _, copy) = app.form("/subject-access", &cookie, &form).await;
        assert!(s == 200 && copy.contains(&format!("{b}: ")) && copy.contains("01632 960555"), "{s} {copy}");
        app.add_user("named@x.example", "coordinator", "northshire", None).await;
        let named = app.service().store.user_by_email("named@x.example").await.unwrap().unwrap().id;
        let list = json!({ "reason": "staff", "people": [named] });
        assert_eq!(app.post(&format!("/api/v1/cases/{b}/restrictions"), list).await.0, 200, "by either reference");
        for r in [&a, &b] {
            assert_eq!(app.get(&format!("/api/v1/cases/{r}")).await.0, 404, "{r}");
            assert_eq!(app.page(&format!("/cases/{r}"), &cookie).await.0, 404, "{r}");
        }
        let (_, hidden) = app.get(&format!("/api/v1/cases?q={b}")).await;
        let row = &hidden["items"][0];
        assert_eq!((&row["open_to_you"], &row["age_band"], &row["died_on"]), (&json!(false), &Value::Null, &Value::Null));
        // The board says no more of it: a person merged it while its own partners were still waited for.
        let mut other = triggering();
        other["child"] = json!({ "family_name": "Somebodyelse" });
        let c = reference(&app.notify(other).await);
        let named_in = app.sign_in("named@x.example").await;
        let word_of = csrf(&app.page("/panels", &named_in).await.1);
        let form = [("_csrf", word_of.as_str()), ("do", "same"), ("first", a.as_str()), ("reason", "seen side by side")];
        let (s, _, page) = app.form(&format!("/cases/{a}/compare/{c}"), &named_in, &form).await;
        assert_eq!(s, 303, "{page}");
        let (_, board) = app.get("/api/v1/board").await;
        let rows = board["items"].as_array().unwrap();
        assert!(rows.iter().any(|r| r["reference"] == json!(c)), "{board}");
        assert!(rows.iter().filter(|r| r["reference"] == json!(c) || r["reference"] == json!(a)).all(|r| r["alerts"] == json!([])), "{board}");
        let (_, asked) = app.get("/api/v1/cases?stage=second_account").await;
        assert_eq!(asked["items"], json!([]));
        // The glass of the case breaks by either reference.
        let form = [("_csrf", word.as_str()), ("reference", b.as_str()), ("reason", "a response is running")];
        let (s, to, page) = app.form("/break-glass", &cookie, &form).await;
        assert_eq!((s, to.as_str()), (303, format!("/cases/{b}").as_str()), "{page}");
        assert_eq!(app.page(&format!("/cases/{b}"), &cookie).await.0, 200);
    }

    async fn cases_of_before_become_findable(db: Db) {
        let app = start(db, OnArrival::Show).await;
        app.notify(triggering()).await;
        app.notify(all_no()).await;
        until("sent", || async { app.service().store.outbox_figures().await.unwrap().waiting == 0 }).await;
        let before = read_tables(&app.db).await;
        app.db.run("DELETE FROM case_lookup WHERE kind <> 'nhs_number' AND kind <> 'name'").await.unwrap();
        let store = &app.service().store;
        let mut after = Some(Uuid::nil());
        while let Some(from) = after {
            after = store.fill_keys(from, 1).await.unwrap();
        }
        assert_eq!(before, read_tables(&app.db).await);
    }
}

// The rule by itself: whatever has become of the first case's alerts, everybody whom the second
// report calls for holds an alert that stands.

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 2, 20, 3, 0, 0).unwrap()
}

fn recipients(kind: AlertKind) -> Vec<Recipient> {
    let told = |agency: &str, acknowledge| Recipient {
        agency: agency.into(),
        agency_name: agency.into(),
        acknowledge,
        contacts: Vec::new(),
        ladder: None,
    };
    match kind {
        AlertKind::DeathNotified => vec![told("office", false), told("hospital", true)],
        AlertKind::NotJar => vec![told("registrar", false)],
        AlertKind::JarStoodDown => Vec::new(),
        _ => vec![told("police", true), told("social_care", true), told("office", true)],
    }
}

fn with<T>(f: impl FnOnce(&mut Context<'_>) -> T) -> T {
    by_rules(&recipients, &|_| true, f)
}

fn report(answers: &str) -> Vec<Event> {
    let words = |c: char| match c {
        'y' => "yes",
        'n' => "no",
        _ => "unknown",
    };
    let a: Vec<&str> = answers.chars().map(words).collect();
    let body = json!({ "event": "death", "child": { "given_names": "A", "live_born": "yes", "date_of_birth": "2020-01-01", "nhs_number": "9990000018" }, "death": { "date": "2026-01-01", "detention": "none", "expected": "no" }, "notifier": { "telephone": "1" },
        "jar_answers": { "external_cause": a[0], "sudden_no_apparent_cause": a[1], "custody_or_detention": "no", "suspicion_not_natural": "no", "unattended_stillbirth": "no" } });
    let accepted = intake::read(body, Need::CallBack, now()).unwrap();
    with(|c| case::notify(Reference::new(2026, 2), "a".into(), Route::Api, accepted, c))
}

fn fold(id: CaseId, state: Option<CaseState>, events: Vec<Event>) -> CaseState {
    let each = |s, event| case::apply(id, s, Recorded { at: now(), event });
    events.into_iter().fold(state, each).unwrap()
}

#[test]
fn nobody_the_second_report_calls_for_is_left_out() {
    let ids = (CaseId(Uuid::from_u128(1)), CaseId(Uuid::from_u128(2)));
    let weight = |k: AlertKind| match k {
        AlertKind::JarTriggered | AlertKind::JarUpgraded => 3,
        AlertKind::JarProvisional => 2,
        AlertKind::DeathNotified | AlertKind::NotJar => 1,
        _ => 0,
    };
    let mut tried = 0;
    for first in ["nn", "nu", "yn", "ny"] {
        for second in ["nn", "nu", "un", "yn", "yy"] {
            for fate in ["none", "acknowledged", "stopped", "recalled", "failed", "superseded"] {
                for whose in ["police", "office", "hospital", "registrar"] {
                    let mut s = fold(ids.0, None, report(first));
                    let mut lost = BTreeSet::new();
                    let hit: Vec<AlertId> = s
                        .alerts
                        .iter()
                        .filter(|(_, a)| a.agency == whose)
                        .map(|(id, _)| *id)
                        .collect();
                    for id in &hit {
                        let a = s.alerts.get_mut(id).unwrap();
                        match fate {
                            "acknowledged" => a.acknowledged = Some(case_acknowledged()),
                            // It was acknowledged, and then its agency was told to stop.
                            "stopped" => {
                                a.acknowledged = Some(case_acknowledged());
                                a.over = true;
                                a.progress = a.progress.settled();
                            }
                            "recalled" => {
                                (a.recalled, a.over) = (true, true);
                                a.progress = a.progress.settled();
                            }
                            "failed" => {
                                lost.insert(*id);
                                a.progress = a.progress.settled();
                            }
                            "superseded" => {
                                a.superseded_by = Some(AlertId(Uuid::from_u128(9)));
                                a.progress = a.progress.settled();
                            }
                            _ => {}
                        }
                    }
                    let b = report(second);
                    let alone = fold(ids.1, None, b.clone());
                    let r = Report {
                        case: ids.1,
                        reference: &alone.reference,
                        facts: &alone.facts,
                        standing: alone.standing,
                        agencies: Vec::new(),
                    };
                    let how =
                        Joining { by: None, reason: String::new(), now: now(), lost: lost.clone() };
                    let events = with(|c| case::attach(&s, r, &how, c)).unwrap();
                    let planned: usize =
                        events
                            .iter()
                            .map(|e| {
                                if let Event::AlertsPlanned { alerts } = e {
                                    alerts.len()
                                } else {
                                    0
                                }
                            })
                            .sum();
                    let after = fold(ids.0, Some(s), events);
                    assert!(after.standing >= alone.standing, "a response is never lost");
                    let mut per_agency: BTreeMap<&str, usize> = BTreeMap::new();
                    for due in alone.alerts.values() {
                        let holds = after.alerts.iter().any(|(id, a)| {
                            a.agency == due.agency
                                && weight(a.kind) >= weight(due.kind)
                                && !a.over
                                && a.superseded_by.is_none()
                                && (a.acknowledge || !due.acknowledge)
                                && !(lost.contains(id) && a.acknowledged.is_none())
                        });
                        assert!(
                            holds,
                            "{first} then {second}: {} after {fate} of {whose}",
                            due.agency
                        );
                        *per_agency.entry(&due.agency).or_default() += 1;
                    }
                    if first == second && fate == "none" {
                        assert_eq!(planned, 0, "nobody twice: {first}");
                    }
                    tried += 1;
                }
            }
        }
    }
    assert_eq!(tried, 4 * 5 * 6 * 4);
}

fn case_acknowledged() -> case::Acknowledged {
    case::Acknowledged {
        at: now(),
        person: Person { name: "Sgt Walker".into(), ..Person::default() },
        means: child_death_review::domain::event::Means::Telephone,
    }
}

/// Facts that a wrongly merged report brought go away with it, whatever was done with them meanwhile;
/// what people decided stays. And the history of the fields says at every entry what the case says.
#[test]
fn a_parted_account_leaves_nothing_of_itself_and_takes_nothing_of_others() {
    let (one, two) = (CaseId(Uuid::from_u128(1)), CaseId(Uuid::from_u128(2)));
    let body = |child: Value, place: &str| {
        let body = json!({ "event": "death", "child": child, "death": { "date": "2026-01-01", "place": { "type": place } }, "notifier": { "telephone": "1" } });
        intake::read(body, Need::CallBack, now()).unwrap()
    };
    let first = body(json!({ "family_name": "Vexley", "nhs_number": "9990000018" }), "home");
    let second = body(
        json!({ "family_name": "Vexleigh", "nhs_number": "9990000018", "date_of_birth": "2020-01-01", "gestation_weeks": 30 }),
        "school",
    );
    let begun = |id, n, accepted| {
        let r = Reference::new(2026, n);
        fold(id, None, with(|c| case::notify(r, "a".into(), Route::Api, accepted, c)))
    };
    let (a, b) = (begun(one, 1, first), begun(two, 2, second));
    let person =
        Person { name: "Somebody".into(), role: "coordinator".into(), agency: String::new() };
    let how = Joining {
        by: Some(person.clone()),
        reason: "one death".into(),
        now: now(),
        lost: BTreeSet::new(),
    };
    // Every event of the first case, as its journal holds them.
    let mut events: Vec<(Recorded, String)> = Vec::new();
    let mut take = |state: CaseState, new: Vec<Event>| {
        let state = fold(one, Some(state), new.clone());
        events.extend(new.into_iter().map(|event| (Recorded { at: now(), event }, String::new())));
        state
    };
    let received = Event::NotificationReceived {
        reference: a.reference.clone(),
        area: a.area.clone(),
        facts: Box::new(a.facts.clone()),
        warnings: Vec::new(),
        route: Route::Api,
    };
    let before = a.facts.clone();
    let s = take(a, vec![received]);
    let (of_first, _) = with(|c| case::merge(&s, &b, &how, c)).unwrap();
    let s = take(s, of_first);
    assert_eq!(s.facts.child.gestation_weeks, Some(30), "a gap is filled");
    let patch =
        |child: Value| intake::read(json!({ "child": child }), Need::Nothing, now()).unwrap().facts;
    let correct = |s: &CaseState, child: Value| {
        let edit = case::Edit { corrections: patch(child), ..case::Edit::default() };
        with(|c| case::edit(s, &edit, now(), c)).unwrap()
    };
    // The gap that it filled is corrected, and that is taken back: its value stands again.
    let corrected = correct(&s, json!({ "gestation_weeks": 31 }));
    let s = take(s, corrected);
    let puts = |s: &CaseState, field: &str, to: Value| case::Put {
        field: field.into(),
        was: child_death_review::domain::reading::reading(&s.facts, field),
        to: child_death_review::domain::reading::Reading { value: Some(to), ..Default::default() },
    };
    let put = |s: &CaseState, p: case::Put, how| {
        with(|c| case::put(s, &[p], how, "a reason", now(), c)).unwrap()
    };
    let back = puts(&s, "child.gestation_weeks", json!(30));
    let undone = put(&s, back, SetHow::Undo { version: 4 });
    let s = take(s, undone);
    // A person chooses its reading of the name; another corrects what the first had not said.
    let chosen = puts(&s, "child.family_name", json!("Vexleigh"));
    let settled = put(&s, chosen, SetHow::Settled);
    let s = take(s, settled);
    let corrected = correct(&s, json!({ "given_names": "Orla" }));
    let s = take(s, corrected);
    let detached = Event::AccountDetached {
        account: two,
        reference: b.reference.clone(),
        by: person,
        reason: "two deaths".into(),
    };
    let s = take(s, vec![detached]);
    let mut expected = before;
    expected.child.family_name = Some("Vexleigh".into());
    expected.child.given_names = Some("Orla".into());
    assert_eq!(s.facts.child.gestation_weeks, None, "an undo keeps nothing of another child");
    assert!(
        s.facts == expected,
        "{:?}",
        child_death_review::domain::reading::readings(&s.facts).keys()
    );
    assert!(s.accounts.held.is_empty());
    // The history, entry by entry.
    let mut state = None;
    for n in 1..=events.len() {
        let (r, _) = &events[n - 1];
        state = case::apply(one, state, r.clone());
        let said = history::facts_at(&events, i64::try_from(n).unwrap());
        assert!(said == state.as_ref().unwrap().facts, "entry {n}");
    }
    let gone = i64::try_from(events.len()).unwrap();
    let changes = history::changes(&events);
    let lost: Vec<&str> =
        changes.iter().filter(|c| c.version == gone).map(|c| c.field.as_str()).collect();
    assert!(lost.contains(&"child.gestation_weeks") && lost.contains(&"child.date_of_birth"));
    assert_eq!(
        history::undo(&s, &events, gone),
        Err(history::CannotUndo::SecondAccount),
        "parting is undone by merging"
    );
}
