//! The API and the pages, as callers use them.

use crate::support::{App, MARKS, all_no, csrf, on_both, triggering, until};
use child_death_review::web;
use serde_json::{Value, json};

async fn path_of(answer: &Value) -> String {
    format!("/api/v1/cases/{}", answer["reference"].as_str().unwrap())
}

on_both! {
    async fn the_whole_thread(db: Db) {
        let app = App::start(db).await;
        let a = app.notify(triggering()).await;
        assert_eq!(a["jar"]["decision"], "triggered");
        assert_eq!(a["jar"]["ruleset"], "england-2018.1");
        assert_eq!((a["in_scope"].clone(), a["duplicate_of"].clone()), (json!(true), json!(null)));
        assert_eq!(a["alerts"].as_array().unwrap().len(), 5);
        assert_eq!(a["alerts"][0]["state"], "planned");
        let case = path_of(&a).await;

        // Every partner gets one signed message, with nothing about the child in it.
        until("five messages", || async { app.sink.all().len() == 5 }).await;
        for got in app.sink.all() {
            assert_eq!(got.json()["data"]["reference"], a["reference"]);
            assert_eq!(got.json()["id"], got.id());
            assert!(MARKS.iter().all(|m| !got.body.contains(m)), "{}", got.body);
        }
        until("accepted", || async {
            let (_, alerts) = app.get(&format!("{case}/alerts")).await;
            alerts["items"].as_array().unwrap().iter().all(|x| x["state"] == "accepted")
        })
        .await;

        // Acknowledged once, by API; again without harm; one answer silences nobody else.
        let police = a["alerts"].as_array().unwrap().iter().find(|x| x["agency"] == "police").unwrap();
        let ack = format!("/api/v1/alerts/{}/acknowledgements", police["id"].as_str().unwrap());
        let by = json!({ "name": "Sergeant Placehold", "role": "duty", "by": "self", "note": "" });
        assert_eq!(app.post(&ack, by.clone()).await.0, 201);
        let (again, body) = app.post(&ack, by).await;
        assert_eq!((again, body["repeated"].clone()), (200, json!(true)));
        let (_, alerts) = app.get(&format!("{case}/alerts")).await;
        let states: Vec<&str> = alerts["items"].as_array().unwrap().iter().map(|x| x["state"].as_str().unwrap()).collect();
        assert_eq!(states.iter().filter(|s| **s == "acknowledged").count(), 1);

        // To the panel: not ready names why, ready goes, the list names nobody.
        let (_, panel) = app.post("/api/v1/panels", json!({ "name": "December panel", "held_on": "2026-12-01" })).await;
        let cases = format!("/api/v1/panels/{}/cases", panel["id"].as_str().unwrap());
        let (status, refused) = app.post(&cases, json!({ "references": [a["reference"]] })).await;
        assert_eq!((status, refused["errors"][0]["code"].clone()), (409, json!("reporting_forms")));
        for m in ["reporting_forms", "supplementary_forms", "post_mortem", "inquest", "cdr_meeting", "draft_analysis", "family_contribution"] {
            let standing = if m == "inquest" { "not_needed" } else { "done" };
            let (s, b) = app.post(&format!("{case}/milestones"), json!({ "milestone": m, "standing": standing, "on": "2026-06-01", "category": 10 })).await;
            assert_eq!(s, 200, "{b}");
        }
        let (_, list) = app.get("/api/v1/cases?ready=true").await;
        assert_eq!(list["items"][0]["reference"], a["reference"]);
        assert_eq!(app.post(&cases, json!({ "reference": a["reference"] })).await.0, 200);
        let (_, list) = app.get(&format!("/api/v1/panels/{}/list", panel["id"].as_str().unwrap())).await;
        assert_eq!(list["items"][0]["age_band"], "1-4 years");
        assert_eq!(list["items"][0]["category"], 10);
        assert!(list["items"][0]["days_since_death"].as_i64().unwrap() > 100);
        assert!(!list.to_string().contains(a["reference"].as_str().unwrap()));
        let (_, csv) = app.get(&format!("/api/v1/panels/{}/list?format=csv", panel["id"].as_str().unwrap())).await;
        assert!(csv.as_str().unwrap().starts_with("anonymous_reference,age_band,category,days_since_death,blockers\r\nP-"));

        // Everything is in the timeline, in plain sentences.
        let (_, t) = app.get(&format!("{case}/timeline")).await;
        let text = t.to_string();
        for part in ["Notification received", "triggered (J2 met)", "Alerts planned to", "accepted by the receiving system", "Acknowledged by Sergeant Placehold", "Put on the list of December panel"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    async fn new_facts_upgrade_and_a_person_stands_down(db: Db) {
        let app = App::start(db).await;
        let a = app.notify(all_no()).await;
        assert_eq!((a["jar"]["decision"].clone(), a["alerts"].as_array().unwrap().len()), (json!("not_triggered"), 1));
        let case = path_of(&a).await;
        let (s, up) = app.post(&format!("{case}/amendments"), json!({ "jar_answers": { "suspicion_not_natural": "possible" }, "reason": "bruising seen" })).await;
        assert_eq!((s, up["standing"].clone(), up["alerts"].as_array().unwrap().len()), (200, json!("triggered"), 5));
        let (_, down) = app.post(&format!("{case}/amendments"), json!({ "jar_answers": { "suspicion_not_natural": "no" } })).await;
        assert_eq!((down["standing"].clone(), down["jar"]["decision"].clone(), down["alerts"].as_array().unwrap().len()), (json!("triggered"), json!("not_triggered"), 0));
        let decisions = format!("{case}/jar/decisions");
        let (s, e) = app.post(&decisions, json!({ "decision": "stand_down", "consulted": [] })).await;
        assert_eq!((s, e["errors"][0]["field"].clone()), (422, json!("reason")));
        let (s, d) = app.post(&decisions, json!({ "decision": "stand_down", "reason": "natural cause found", "consulted": [{ "name": "DI Mockridge", "role": "police" }], "decided_by": { "name": "Dr Standinford", "role": "designated doctor" } })).await;
        assert_eq!((s, d["standing"].clone()), (200, json!("not_triggered")), "{d}");
        assert_eq!(d["alerts"].as_array().unwrap().len(), 5, "exactly those who were alerted are told");
        let (s, _) = app.post(&decisions, json!({ "decision": "stand_down", "reason": "x", "consulted": ["y"], "decided_by": { "name": "z" } })).await;
        assert_eq!(s, 409);
        let (_, t) = app.get(&format!("{case}/timeline")).await;
        assert!(t.to_string().contains("Response stood down by Dr Standinford. Reason: natural cause found Consulted: DI Mockridge (police)."));
        until("told", || async { app.sink.got("police").len() == 2 }).await;
        assert_eq!(app.sink.got("police")[1].json()["type"], "uk.child-death-review.jar.stood-down.v1");
        let (s, impossible) = app.post(&format!("{case}/amendments"), json!({ "death": { "date": "2019-01-01" } })).await;
        assert_eq!((s, impossible["errors"][0]["field"].clone()), (422, json!("death.date")));
    }

    async fn the_same_notice_sent_a_hundred_times_at_once_is_one_case(db: Db) {
        let app = App::start(db).await;
        let body = triggering().to_string();
        let send = |key: &str, body: String| {
            let r = app.http.post(format!("{}/api/v1/notifications", app.url)).bearer_auth(&app.token).header("idempotency-key", key).body(body);
            async move { let a = r.send().await.unwrap(); (a.status().as_u16(), a.text().await.unwrap()) }
        };
        let answers = futures_util::future::join_all((0..100).map(|_| send("k1", body.clone()))).await;
        assert!(answers.iter().all(|a| a.0 == 201 && a.1 == answers[0].1), "{:?}", answers.iter().map(|a| a.0).collect::<Vec<_>>());
        assert_eq!(app.db.number("SELECT COUNT(*) FROM cases").await, 1);
        assert_eq!(app.db.number("SELECT COUNT(*) FROM alert").await, 5);
        assert_eq!(send("k1", all_no().to_string()).await.0, 422);
        assert_eq!(send("k2", body).await.0, 201);
        assert_eq!(app.db.number("SELECT COUNT(*) FROM cases").await, 2);
        let panel = json!({ "name": "Once", "held_on": "2026-12-01" }).to_string();
        let first = app.raw("/api/v1/panels", panel.as_bytes(), &[("idempotency-key", "p1")]).await;
        let again = app.raw("/api/v1/panels", panel.as_bytes(), &[("idempotency-key", "p1")]).await;
        assert_eq!((first.0, &first.1), (201, &again.1));
        assert_eq!(app.db.number("SELECT COUNT(*) FROM panel").await, 1);
        // A drill rings real people: not twice for a lost answer.
        let drill = async |key: &str| app.raw("/api/v1/drills", br#"{"area":"northshire"}"#, &[("idempotency-key", key)]).await;
        let first = drill("e1").await;
        let again = futures_util::future::join_all((0..10).map(|_| drill("e1"))).await;
        assert_eq!(first.0, 201, "{}", first.1);
        assert!(again.iter().all(|a| *a == first), "{again:?}");
        let drills = "SELECT COUNT(*) FROM cases WHERE stage = 'drill'";
        assert_eq!(app.db.number(drills).await, 1);
        assert_eq!(drill("e2").await.0, 201);
        assert_eq!(app.db.number(drills).await, 2);
        // Changes too: fifty equal decisions at once are one, and all get its answer.
        let a: Value = serde_json::from_str(&answers[0].1).unwrap();
        let decision = json!({ "decision": "stand_down", "reason": "r", "consulted": ["X"], "decided_by": { "name": "Y" } }).to_string();
        let path = format!("{}{}/jar/decisions", app.url, path_of(&a).await);
        let decide = || { let r = app.http.post(&path).bearer_auth(&app.token).header("idempotency-key", "d1").body(decision.clone()); async move { let a = r.send().await.unwrap(); (a.status().as_u16(), a.text().await.unwrap()) } };
        let answers = futures_util::future::join_all((0..50).map(|_| decide())).await;
        assert!(answers.iter().all(|a| a.0 == 200 && a.1 == answers[0].1), "{:?}", answers.iter().map(|a| a.0).collect::<Vec<_>>());
    }

    async fn bad_input_gets_a_clear_error_or_is_kept_intact(db: Db) {
        let app = App::start(db).await;
        let n = "/api/v1/notifications";
        for (body, status, code) in [
            (&b"not json"[..], 400, "not_json"),
            (b"", 400, "not_json"),
            (b"{\"child\":", 400, "not_json"),
            (b"[]", 422, "fields"),
            (b"7", 422, "fields"),
            (b"{}", 422, "fields"),
            (b"{\"child\":{\"given_names\":\"A\"},\"child\":{}}", 422, "fields"),
        ] {
            let (s, p) = app.raw(n, body, &[]).await;
            assert_eq!((s, p["type"].as_str()), (status, Some(format!("urn:cdr:problem:{code}").as_str())), "{p}");
        }
        assert_eq!(app.raw(n, &vec![b'['; 100_000], &[]).await.0, 400);
        let big = format!("{{\"notifier\":{{\"name\":\"{}\"}}}}", "x".repeat(10 << 20));
        let r = app.http.post(format!("{}{n}", app.url)).bearer_auth(&app.token).body(big).send().await;
        assert!(r.is_err() || r.unwrap().status() == 413, "too large");
        // Odd but usable texts come back as they were.
        let circumstances = "מבחן 👶🏽 ".repeat(12_000);
        let mut b = triggering();
        b["death"]["circumstances"] = json!(circumstances.trim());
        b["child"]["given_names"] = json!("=cmd|' /C calc'!A0");
        let a = app.notify(b).await;
        let (_, case) = app.get(&path_of(&a).await).await;
        assert_eq!(case["facts"]["death"]["circumstances"], circumstances.trim());
        // Half a surrogate pair, a NUL, a stray byte: kept as far as possible, and said.
        let odd = b"{\"child\":{\"given_names\":\"A\\ud83d\",\"family_name\":\"B\\u0000C\"},\"notifier\":{\"telephone\":\"1\xff\"}}";
        let (s, a) = app.raw(n, odd, &[]).await;
        assert_eq!(s, 201, "{a}");
        let warned: Vec<&str> = a["warnings"].as_array().unwrap().iter().map(|w| w["field"].as_str().unwrap()).collect();
        assert_eq!(warned, ["child.given_names", "child.family_name", "notifier.telephone"]);
        let (_, case) = app.get(&path_of(&a).await).await;
        assert_eq!(case["facts"]["child"]["family_name"], "BC");
        // Errors repeat no value.
        let (_, p) = app.raw(n, br#"{"event":"Quorlswick","child":{"sex":"Zephyrine","date_of_birth":"2024-03-0x"},"Quorlswick 9990000018":1}"#, &[]).await;
        assert!(MARKS.iter().all(|m| !p.to_string().contains(m)), "{p}");
        let (s, p) = app.get("/api/v1/cases?q=Quorlswick").await;
        assert_eq!((s, p["errors"][0]["field"].clone()), (422, json!("q")), "no names in addresses");
        assert_eq!(app.get("/api/v1/cases?q=CDR-SMITH").await.0, 422);
        let (_, found) = app.post("/api/v1/cases/search", json!({ "person": "quorlswick" })).await;
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
        assert_eq!(app.post("/api/v1/cases/search", json!({ "person": "x", "limit": 0 })).await.0, 422);
        assert_eq!(app.get("/api/v1/cases/%FF").await.0, 404);
        assert_eq!(app.get("/api/v1/cases?cursor=zzz").await.0, 422);
        assert_eq!(app.get("/api/v1/exports/ncmd?from=2026-01-01&to=%2B12345-01-01").await.0, 422);
    }

    async fn nobody_gets_in_without_a_right(db: Db) {
        let app = App::start(db).await;
        let a = app.notify(triggering()).await;
        let case = path_of(&a).await;
        for (method, path) in web::api_paths() {
            let path = path.replace("{reference}", a["reference"].as_str().unwrap()).replace("{id}", "0197a3f0-0000-7000-8000-000000000000");
            let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            for token in ["", "cdr_wrong"] {
                let r = app.http.request(method.clone(), format!("{}{path}", app.url)).bearer_auth(token).body("{}").send().await.unwrap();
                assert_eq!(r.status(), 401, "{method} {path}");
                assert!(r.headers().contains_key("www-authenticate"));
            }
        }
        assert_eq!(app.http.get(format!("{}/metrics", app.url)).send().await.unwrap().status(), 401);
        for path in ["/", "/panels", &format!("/cases/{}", a["reference"].as_str().unwrap())] {
            let r = app.http.get(format!("{}{path}", app.url)).send().await.unwrap();
            assert_eq!((r.status().as_u16(), r.headers()["location"].to_str().unwrap()), (303, "/sign-in"), "{path}");
        }
        // Another area's coordinator, and an agency that was not alerted, find nothing.
        app.add_user("south@x.example", "coordinator", "southshire", None).await;
        app.add_user("amb@x.example", "agency", "northshire", Some("ambulance")).await;
        app.add_user("pol@x.example", "agency", "northshire", Some("police")).await;
        let page = format!("/cases/{}", a["reference"].as_str().unwrap());
        for (who, want) in [("south@x.example", 404), ("amb@x.example", 404), ("pol@x.example", 200)] {
            let cookie = app.sign_in(who).await;
            assert_eq!(app.page(&page, &cookie).await.0, want, "{who}");
        }
        let read_only = child_death_review::auth::token::issue(&app.service().store, "r", &[child_death_review::auth::policy::TokenScope::Read], "*", None, chrono::Utc::now()).await.unwrap();
        let r = app.http.post(format!("{}{case}/amendments", app.url)).bearer_auth(&read_only).body("{}").send().await.unwrap();
        assert_eq!(r.status(), 403);
        let wrong = app.form("/sign-in", "", &[("email", "pol@x.example"), ("password", "wrong")]).await;
        assert_eq!(wrong.0, 401);
        assert!(wrong.2.contains("pol@x.example"), "what was typed stays");
    }

    async fn the_page_takes_a_notice_and_keeps_what_was_typed(db: Db) {
        let app = App::start(db).await;
        let (s, empty) = app.page("/notify/one-page", "").await;
        assert_eq!(s, 200);
        assert!(
            empty.split("<script ").skip(1).all(|s| s.starts_with("nonce=\"") && s.contains(" src=\"/static/")),
            "every script is a file of ours and carries the nonce"
        );
        assert!(!empty.contains("<script>") && !empty.contains("<style"));
        let key = empty.split("name=\"_key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let bad = [("_key", key.as_str()), ("child.family_name", "<b>Quorl\"swick"), ("death.date", "2026-02-30"), ("jar_answers.external_cause", "yes")];
        let (s, _, page) = app.form("/notify", "", &bad).await;
        assert_eq!(s, 422);
        assert!(page.contains("&lt;b&gt;Quorl&quot;swick") && !page.contains("<b>Quorl"), "escaped, and still there");
        assert!(page.contains("href=\"#death.date\"") && page.contains("href=\"#notifier.telephone\""));
        assert!(page.contains(&key), "the same notice");
        let good = [("_key", key.as_str()), ("child.family_name", "Quorlswick"), ("child.gestation_weeks", "39"), ("death.date", "2026-02-20"), ("jar_answers.external_cause", "yes"), ("notifier.telephone", "07700 900987")];
        let (s, _, page) = app.form("/notify", "", &good).await;
        assert_eq!(s, 201);
        assert!(page.contains("CDR-") && page.contains("A Joint Agency Response is due") && !page.contains("Quorlswick"));
        let (s, _, again) = app.form("/notify", "", &good).await;
        assert_eq!(s, 201);
        let reference = |p: &str| p.split("<p class=\"big\">").nth(1).unwrap()[..15].to_owned();
        assert_eq!(reference(&page), reference(&again), "a double press is one notice");
        assert_eq!(app.db.number("SELECT COUNT(*) FROM cases").await, 1);
        let mut changed = good.to_vec();
        changed[1] = ("child.family_name", "Otherone");
        let (s, _, page) = app.form("/notify", "", &changed).await;
        assert_eq!(s, 422);
        assert!(page.contains("Otherone") && !page.contains(&key), "kept, with a fresh key");
    }

    async fn the_coordinators_pages(db: Db) {
        let app = App::start(db).await;
        app.add_user("c@x.example", "coordinator", "northshire", None).await;
        let cookie = app.sign_in("c@x.example").await;
        let (_, queue) = app.page("/cases", &cookie).await;
        assert!(queue.contains("No cases."));
        let a = app.notify(triggering()).await;
        let reference = a["reference"].as_str().unwrap();
        let (_, queue) = app.page("/cases", &cookie).await;
        assert!(queue.contains(reference) && queue.contains("4 not acknowledged"), "{queue}");
        assert!(MARKS.iter().all(|m| !queue.contains(m)));
        let token = csrf(&queue);
        let (s, to, _) = app.form("/search", &cookie, &[("_csrf", &token), ("q", reference)]).await;
        assert_eq!((s, to.as_str()), (303, format!("/cases/{reference}").as_str()));
        let (s, _, found) = app.form("/search", &cookie, &[("_csrf", &token), ("q", "QUORLSWICK")]).await;
        assert!(s == 200 && found.contains(reference));
        let case = format!("/cases/{reference}");
        let (_, page) = app.page(&case, &cookie).await;
        assert!(page.contains("Quorlswick") && page.contains("Waits") | page.contains("waits"));
        assert_eq!(app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'read_case'").await, 1, "the look is recorded");
        // Without the session's word nothing changes.
        let step = [("milestone", "inquest"), ("standing", "not_needed")];
        assert_eq!(app.form(&format!("{case}/milestones"), &cookie, &step).await.0, 403);
        let with = |more: &[(&'static str, &'static str)]| { let mut f: Vec<(&str, &str)> = vec![("_csrf", token.as_str())]; f.extend(more); f };
        assert_eq!(app.form(&format!("{case}/milestones"), &cookie, &with(&step)).await.0, 303);
        let (s, _, page) = app.form(&format!("{case}/milestones"), &cookie, &with(&[("milestone", "inquest"), ("standing", "done"), ("on", "2026-02-30"), ("note", "typed note")])).await;
        assert!(s == 422 && page.contains("typed note"), "what was typed stays");
        let (s, _, page) = app.form(&format!("{case}/jar"), &cookie, &with(&[("decision", "garbage"), ("reason", "typed reason"), ("consulted", "X")])).await;
        assert!(s == 422 && page.contains("typed reason"));
        // Spoken to by telephone.
        let (_, board) = app.page(&format!("{case}/reached"), &cookie).await;
        assert!(board.contains("http-equiv=\"refresh\"") && board.contains("4 partners have not acknowledged"));
        let alert = a["alerts"][0]["id"].as_str().unwrap();
        assert_eq!(app.form(&format!("{case}/alerts/{alert}"), &cookie, &with(&[("by", "telephone"), ("name", "Sgt Spoken")])).await.0, 303);
        let (_, board) = app.page(&format!("{case}/reached"), &cookie).await;
        assert!(board.contains("Sgt Spoken") && board.contains("(spoken to by telephone)"));
        // A panel.
        let (s, to, _) = app.form("/panels", &cookie, &with(&[("name", "May panel"), ("held_on", "2027-05-01")])).await;
        assert_eq!(s, 303);
        let id = to.strip_prefix("/panels/").unwrap().to_owned();
        let put = [("_csrf", token.as_str()), ("panel", &id), ("despite", "asked for by the chair")];
        assert_eq!(app.form(&format!("{case}/panel"), &cookie, &put).await.0, 303);
        let (_, panel) = app.page(&to, &cookie).await;
        assert!(panel.contains("May panel") && panel.contains("P-"));
        let (_, csv) = app.page(&format!("{to}/list.csv"), &cookie).await;
        assert!(csv.starts_with("anonymous_reference") && !csv.contains(reference));
        assert_eq!(app.form("/sign-out", &cookie, &with(&[])).await.0, 303);
        assert_eq!(app.page("/", &cookie).await.0, 303, "signed out");
    }

    async fn the_export_holds_every_question_with_its_state(db: Db) {
        let app = App::start(db).await;
        let mut b = triggering();
        b["child"]["given_names"] = json!("=1+1");
        b["death"]["expected"] = json!("unknown");
        b["child"]["ethnicity"] = json!("unknown");
        app.notify(b).await;
        let mut adult = triggering();
        adult["child"]["date_of_birth"] = json!("1990-01-01");
        app.notify(adult).await;
        let (_, export) = app.get("/api/v1/exports/ncmd?from=2026-01-01&to=2026-12-31&format=json").await;
        let records = export["records"].as_array().unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(export["manifest"]["counts"]["left_out"]["GE18"], 1);
        let answers = records[0]["answers"].as_array().unwrap();
        let of = |id: &str| answers.iter().find(|a| a["question_id"] == id).unwrap().clone();
        assert_eq!(of("N2.01")["value"], "Quorlswick");
        assert_eq!((of("N2.04")["value"].clone(), of("N2.05")["answer_state"].clone()), (json!("9990000018"), json!("not_applicable")));
        assert_eq!((of("N3.01")["value"].clone(), of("N3.01")["label"].clone()), (json!("HOSP_ED"), json!("Acute hospital - emergency department")));
        assert_eq!((of("N3.04")["value"].clone(), of("N2.12")["answer_state"].clone()), (json!("NK"), json!("not_known")));
        assert_eq!((of("N3.06")["value"].clone(), of("N3.07")["value"].clone()), (json!("TRIG"), json!(["J2"])));
        assert_eq!(of("N2.09")["form_wording"], "Time of death");
        assert_eq!(of("N3.02")["answer_state"], "blank");
        // The published schema takes each record, and refuses a broken one (official validator).
        let (_, schema) = app.get("/schemas/notification/2022-04/1").await;
        let mut broken = records[0].clone();
        broken["answers"][0]["answer_state"] = json!("perhaps");
        let dir = app.db.dir.path();
        std::fs::write(dir.join("schema.json"), schema.to_string()).unwrap();
        std::fs::write(dir.join("records.json"), json!([records[0], broken]).to_string()).unwrap();
        let script = "import json,sys,jsonschema\ns=json.load(open(sys.argv[1])); jsonschema.Draft202012Validator.check_schema(s)\nv=jsonschema.Draft202012Validator(s)\nprint([not list(v.iter_errors(r)) for r in json.load(open(sys.argv[2]))])";
        let out = crate::reach::python(script, &[dir.join("schema.json").to_str().unwrap(), dir.join("records.json").to_str().unwrap()]);
        assert_eq!(out.trim(), "[True, False]");
        // CSV: formulas are harmless, the manifest's hash is right, a second export names the first.
        let (_, csv) = app.get("/api/v1/exports/ncmd?from=2026-01-01&to=2026-12-31&format=csv").await;
        let mut rows = csv::Reader::from_reader(csv.as_str().unwrap().as_bytes());
        let header = rows.headers().unwrap().clone();
        let row = rows.records().next().unwrap().unwrap();
        let at = |name: &str| row.get(header.iter().position(|h| h == name).unwrap()).unwrap().to_owned();
        assert_eq!(at("N2.02__given_names"), "'=1+1");
        assert_eq!((at("N2.12__ethnic_group"), at("N2.12__ethnic_group__state")), (String::new(), "not_known".to_owned()));
        let (_, manifest) = app.get("/api/v1/exports/ncmd?from=2026-01-01&to=2026-12-31&format=csv&part=manifest").await;
        let hash = child_death_review::platform::crypt::hex(&child_death_review::platform::crypt::sha256(&[csv.as_str().unwrap().as_bytes()]));
        let file = manifest["files"].as_array().unwrap().iter().find(|f| f["name"] == "notification.csv").unwrap();
        assert_eq!(file["sha256"], hash);
        assert!(manifest["supersedes"].is_string());
        assert_eq!(app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'export'").await, 3);
    }

    async fn lists_page_through_everything_once(db: Db) {
        let app = App::start(db).await;
        for _ in 0..7 {
            app.notify(all_no()).await;
        }
        let mut seen = Vec::new();
        let mut path = "/api/v1/cases?limit=3".to_owned();
        loop {
            let (_, page) = app.get(&path).await;
            seen.extend(page["items"].as_array().unwrap().iter().map(|i| i["reference"].to_string()));
            match page["next"].as_str() {
                Some(next) => path = format!("/api/v1/cases?limit=3&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 7);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 7);
        let (_, live) = app.get("/health/live").await;
        let (s, ready) = app.get("/health/ready").await;
        assert_eq!((live["status"].clone(), s, ready["status"].clone()), (json!("ok"), 200, json!("ok")));
        let (_, metrics) = app.get("/metrics").await;
        assert!(metrics.as_str().unwrap().contains("cdr_notifications_total 7"));
    }
}

/// A client that dribbles its headers or its body is cut off; an honest one is served meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_off() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let sink = crate::support::Sink::start().await;
    let area = crate::support::area_text(&sink, "");
    let change = |c: &mut child_death_review::config::Config| {
        c.server.header_timeout_seconds = 1;
        c.server.body_timeout_seconds = 1;
    };
    let clock = std::sync::Arc::new(child_death_review::platform::clock::SystemClock);
    let app = App::with(crate::support::Db::sqlite(), sink, &area, change, clock).await;
    let address = app.url.strip_prefix("http://").unwrap().to_owned();
    let slow = |head: String| {
        let address = address.clone();
        async move {
            let mut s = tokio::net::TcpStream::connect(address).await.unwrap();
            s.write_all(head.as_bytes()).await.unwrap();
            let mut said = String::new();
            let read = s.read_to_string(&mut said);
            tokio::time::timeout(std::time::Duration::from_secs(10), read)
                .await
                .expect("cut off")
                .ok();
            said
        }
    };
    let headers = slow("GET /health/live HTTP/1.1\r\nhost: x\r\nx-slow".to_owned());
    let body = slow(format!(
        "POST /api/v1/notifications HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{{",
        app.token
    ));
    let honest = async {
        for _ in 0..20 {
            assert_eq!(app.get("/health/live").await.0, 200);
        }
    };
    let (headers, body, ()) = tokio::join!(headers, body, honest);
    assert!(headers.is_empty() || headers.starts_with("HTTP/1.1 408"), "{headers}");
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
}

#[test]
fn the_openapi_document_describes_every_route() {
    let doc: Value = serde_json::from_str(web::openapi()).unwrap();
    assert_eq!(doc["openapi"], "3.1.0");
    let mut described = Vec::new();
    for (path, operations) in doc["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|k| *k != "parameters") {
            described.push((method.clone(), path.clone()));
        }
    }
    let mut served: Vec<_> =
        web::api_paths().into_iter().map(|(m, p)| (m.to_owned(), p.to_owned())).collect();
    described.sort();
    served.sort();
    assert_eq!(described, served);
}
