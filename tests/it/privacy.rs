//! Restricted cases, break-glass, the audit, retention and subject access, as people use them.

use crate::support::{App, Db, MARKS, Sink, area_text, csrf, on_both, triggering, until};
use child_death_review::config::Config;
use child_death_review::platform::clock::ManualClock;
use chrono::{Duration, TimeZone, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

/// An area with a guardian to be told, under a clock moved by hand.
async fn start(db: Db) -> (App, Arc<ManualClock>) {
    let sink = Sink::start().await;
    let area = area_text(&sink, "")
        + &format!(
            "[[agency]]\nid = \"guardian\"\nname = \"The guardian\"\nring = \"01632 960109\"\nacknowledge = false\ntold_of = []\n[[agency.contact]]\nid = \"hook\"\nchannel = \"webhook\"\naddress = \"http://127.0.0.1:{}/guardian\"\nsecret = \"{}\"\n",
            sink.port,
            crate::support::SECRET
        );
    let clock = ManualClock::at(Utc.with_ymd_and_hms(2026, 3, 2, 9, 0, 0).unwrap());
    let app = App::with(db, sink, &area, |_: &mut Config| {}, clock.clone()).await;
    for (name, role) in [
        ("coordinator", "coordinator"),
        ("doctor", "designated_doctor"),
        ("oncall", "on_call"),
        ("guardian", "guardian"),
        ("auditor", "auditor"),
        ("admin", "administrator"),
        ("member", "panel_member"),
    ] {
        app.add_user(&format!("{name}@x.example"), role, "northshire", None).await;
    }
    (app, clock)
}

async fn enter(app: &App, name: &str) -> (String, String) {
    let cookie = app.sign_in(&format!("{name}@x.example")).await;
    let (_, page) = app.page("/panels", &cookie).await;
    let page =
        if page.contains("_csrf") { page } else { app.page("/break-glass", &cookie).await.1 };
    (cookie, csrf(&page))
}

async fn id_of(app: &App, name: &str) -> String {
    let user = app.service().store.user_by_email(&format!("{name}@x.example")).await.unwrap();
    user.unwrap().id.to_string()
}

on_both! {
    async fn a_restricted_case_is_open_to_its_list_and_to_whoever_breaks_the_glass_for_three_hours(db: Db) {
        let (app, clock) = start(db).await;
        let a = app.notify(triggering()).await;
        let reference = a["reference"].as_str().unwrap().to_owned();
        let case = format!("/cases/{reference}");
        let (coordinator, word) = enter(&app, "coordinator").await;
        let named = format!("person.{}", id_of(&app, "coordinator").await);
        // No reason, nobody: refused, and nothing is restricted.
        let (s, _, page) = app.form(&format!("{case}/restrict"), &coordinator, &[("_csrf", &word), (&named, "on")]).await;
        assert!(s == 422 && page.contains("Say why"), "{s}");
        let (s, _, _) = app.form(&format!("{case}/restrict"), &coordinator, &[("_csrf", &word), ("access_reason", "x")]).await;
        assert_eq!(s, 422);
        let (s, ..) = app.form(&format!("{case}/restrict"), &coordinator, &[("_csrf", &word), ("access_reason", "a colleague's child, markerreason"), (&named, "on")]).await;
        assert_eq!(s, 303);
        let (s, page) = app.page(&case, &coordinator).await;
        assert!(s == 200 && page.contains("markerreason") && page.contains("Quorlswick"));

        // Everybody else: the reference in the list, nothing by search, the same as a missing case.
        let (oncall, on_word) = enter(&app, "oncall").await;
        let missing = app.page("/cases/CDR-2026-999999", &oncall).await;
        let (s, shut) = app.page(&case, &oncall).await;
        assert_eq!((s, crate::access::same(&shut)), (404, crate::access::same(&missing.1)));
        let (_, queue) = app.page("/cases", &oncall).await;
        assert!(queue.contains(&reference) && queue.contains("restricted") && !queue.contains("data-name=\"Age\""), "{queue}");
        let (_, _, found) = app.form("/search", &oncall, &[("_csrf", &on_word), ("q", "Quorlswick")]).await;
        assert!(!found.contains(&reference), "a name finds no restricted case");
        let (_, filtered) = app.page("/cases?jar=triggered", &oncall).await;
        assert!(!filtered.contains(&reference), "a filter says nothing of it");
        let (_, list) = app.get("/api/v1/cases").await;
        assert_eq!((list["items"][0]["open_to_you"].clone(), list["items"][0]["stage"].clone()), (json!(false), json!("")));
        assert_eq!(app.get(&format!("/api/v1/cases/{reference}")).await.0, 404);
        let (_, export) = app.get("/api/v1/exports/ncmd?from=2026-01-01&to=2026-12-31&format=json").await;
        assert_eq!(export["manifest"]["counts"]["left_out"]["restricted"], 1);
        let (_, board) = app.page("/board", &oncall).await;
        assert!(board.contains(&reference) && !board.contains("The police"), "{board}");

        // Break-glass: with a reason, for three hours; the guardian hears of it at once.
        let glass = |reason: &'static str| [("reference", reference.clone()), ("reason", reason.to_owned()), ("_csrf", on_word.clone())];
        let send = |fields: [(&'static str, String); 3]| { let (app, oncall) = (&app, oncall.clone()); async move {
            let f: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
            app.form("/break-glass", &oncall, &f).await
        } };
        assert_eq!(send(glass("")).await.0, 422);
        let (s, _, none) = send([("reference", "CDR-2026-999999".to_owned()), ("reason", "x".to_owned()), ("_csrf", on_word.clone())]).await;
        assert!(s == 422 && none.contains("No restricted case"));
        assert_eq!(send(glass("the ward asks who is on, markerglass")).await.0, 303);
        until("the guardian is told", || async { app.sink.got("guardian").len() == 1 }).await;
        let told = &app.sink.got("guardian")[0];
        assert!(told.body.contains("case.break-glass") && MARKS.iter().chain(&["markerglass", "markerreason"]).all(|m| !told.body.contains(m)), "{}", told.body);
        let (s, page) = app.page(&case, &oncall).await;
        assert!(s == 200 && page.contains("markerglass"));
        let (_, board) = app.page("/board", &coordinator).await;
        assert!(board.contains("waits for the guardian"), "{board}");
        clock.forward(Duration::minutes(179));
        let (oncall, _) = enter(&app, "oncall").await;
        assert_eq!(app.page(&case, &oncall).await.0, 200);
        clock.forward(Duration::minutes(2));
        assert_eq!(app.page(&case, &oncall).await.0, 404, "three hours are over");

        // The auditor sees who, when, in which role, why; the guardian reviews.
        let (auditor, _) = enter(&app, "auditor").await;
        let (s, trail) = app.page(&format!("/audit/cases/{reference}"), &auditor).await;
        assert_eq!(s, 200);
        for part in ["Name of on_call", "on call", "opened the case", "break-glass: the ward asks who is on, markerglass", "on the named list", "waits for the guardian"] {
            assert!(trail.contains(part), "{part} is not in {trail}");
        }
        assert_eq!(app.page(&format!("/audit/cases/{reference}"), &oncall).await.0, 403);
        let (guardian, guard_word) = enter(&app, "guardian").await;
        assert_eq!(app.page(&case, &guardian).await.0, 404, "the guardian keeps the list and is not on it");
        let (_, kept) = app.page(&format!("/audit/cases/{reference}"), &guardian).await;
        assert!(kept.contains("Change the list, or lift the restriction"), "{kept}");
        assert!(MARKS.iter().all(|m| !kept.contains(m)), "keeping the list is not reading the case");
        let who = id_of(&app, "oncall").await;
        let (s, ..) = app.form(&format!("/audit/cases/{reference}/review"), &guardian, &[("_csrf", &guard_word), ("who", &who), ("note", "was needed")]).await;
        assert_eq!(s, 303);
        let (coordinator, word) = enter(&app, "coordinator").await;
        assert!(!app.page("/board", &coordinator).await.1.contains("waits for the guardian"));
        let (s, ..) = app.form(&format!("{case}/unrestrict"), &coordinator, &[("_csrf", &word), ("lift_reason", "over")]).await;
        assert_eq!(s, 303);
        assert_eq!(app.page(&case, &oncall).await.0, 200);

        // The journal holds it all: read tables made anew say the same.
        let store = app.service().store.clone();
        assert!(store.verify(&[]).await.unwrap().findings.is_empty());
        let count = "SELECT (SELECT COUNT(*) FROM case_person) * 100 + (SELECT COUNT(*) FROM glass WHERE reviewed_at IS NOT NULL)";
        let before = app.db.number(count).await;
        store.rebuild().await.unwrap();
        assert_eq!((before, app.db.number(count).await), (1, 1));
    }

    async fn who_has_no_business_with_a_case_any_more_finds_it_in_no_list(db: Db) {
        let (app, _) = start(db).await;
        let reference = app.notify(triggering()).await["reference"].as_str().unwrap().to_owned();
        let (oncall, word) = enter(&app, "oncall").await;
        let (doctor, doctors_word) = enter(&app, "doctor").await;
        let found = |who: String, word: String| {
            let (app, reference) = (&app, reference.clone());
            async move {
                let (_, _, by_name) = app.form("/search", &who, &[("_csrf", &word), ("q", "Quorlswick")]).await;
                let (_, list) = app.page("/cases", &who).await;
                let (_, by_reference) = app.page(&format!("/cases?q={}", &reference[9..]), &who).await;
                [by_name, list, by_reference].map(|p| p.contains(&format!("/cases/{reference}")))
            }
        };
        assert_eq!(found(oncall.clone(), word.clone()).await, [true; 3]);
        for milestone in ["cdr_meeting", "panel_review"] {
            let step = json!({ "milestone": milestone, "standing": "done" });
            assert_eq!(app.post(&format!("/api/v1/cases/{reference}/milestones"), step).await.0, 200);
        }
        assert_eq!(found(doctor, doctors_word).await, [true; 3]);
        assert_eq!(found(oncall, word).await, [false; 3], "as the case itself is not found");
    }

    async fn an_agency_enters_its_part_of_a_response_to_a_case_that_it_may_not_read(db: Db) {
        let (app, _) = start(db).await;
        let reference = app.notify(triggering()).await["reference"].as_str().unwrap().to_owned();
        app.add_user("police@x.example", "agency", "northshire", Some("police")).await;
        app.add_user("other@x.example", "agency", "northshire", Some("guardian")).await;
        let (coordinator, word) = enter(&app, "coordinator").await;
        let named = format!("person.{}", id_of(&app, "coordinator").await);
        let case = format!("/cases/{reference}");
        let (s, ..) = app.form(&format!("{case}/restrict"), &coordinator, &[("_csrf", &word), ("access_reason", "staff child"), (&named, "on")]).await;
        assert_eq!(s, 303);
        let police = app.sign_in("police@x.example").await;
        let r = app.http.get(format!("{}{case}", app.url)).header("cookie", &police).send().await.unwrap();
        assert_eq!((r.status().as_u16(), r.headers()["location"].to_str().unwrap()), (303, format!("{case}/plan").as_str()));
        let (s, page) = app.page(&format!("{case}/plan"), &police).await;
        assert!(s == 200 && page.contains("Your part in the response") && MARKS.iter().all(|m| !page.contains(m)), "{page}");
        assert!(page.contains("name=\"agency\" value=\"police\""), "the only part there is goes with it: {page}");
        let (s, all) = app.page(&format!("{case}/plan"), &coordinator).await;
        assert!(s == 200 && all.contains("value=\"social_care\"") && all.contains("value=\"police\""), "{all}");
        let word = csrf(&page);
        let (s, _, page) = app.form(&format!("{case}/plan"), &police, &[("_csrf", &word), ("who", "DI Trialmoor")]).await;
        assert!(s == 422 && page.contains("DI Trialmoor") && page.to_lowercase().contains("say what your agency does"), "{s} {page}");
        let (s, to, _) = app.form(&format!("{case}/plan"), &police, &[("_csrf", &word), ("entry", "A visit at the house before noon")]).await;
        assert_eq!((s, to.as_str()), (303, format!("{case}/plan?done=yes").as_str()));
        let (_, page) = app.page(&to, &police).await;
        assert!(page.contains("is not asked again") && page.contains("A visit at the house before noon"), "{page}");
        assert_eq!(app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'read_plan' AND case_id IS NOT NULL").await, 4);
        // Nobody was called to a response: nothing can be entered, and that is said.
        let quiet = app.notify(crate::support::all_no()).await["reference"].as_str().unwrap().to_owned();
        let (s, page) = app.page(&format!("/cases/{quiet}/plan"), &coordinator).await;
        assert!(s == 200 && page.contains("no part to enter") && !page.contains("name=\"entry\""), "{page}");
        // Whoever reads the case sees it there; an agency without an alert sees nothing at all.
        assert!(app.page(&case, &coordinator).await.1.contains("A visit at the house before noon"));
        let other = app.sign_in("other@x.example").await;
        assert_eq!(app.page(&case, &other).await.0, 404);
        assert_eq!(app.page(&format!("{case}/plan"), &other).await.0, 404);
    }

    async fn a_restricted_case_on_a_panels_list_is_nobodys_line_but_its_lists(db: Db) {
        let (app, _) = start(db).await;
        let reference = app.notify(triggering()).await["reference"].as_str().unwrap().to_owned();
        let (_, panel) = app.post("/api/v1/panels", json!({ "name": "P", "held_on": "2026-12-01" })).await;
        let panel = panel["id"].as_str().unwrap().to_owned();
        let (s, said) = app.post(&format!("/api/v1/panels/{panel}/cases"), json!({ "reference": reference, "despite": "asked for" })).await;
        assert_eq!(s, 200, "{said}");
        let (coordinator, word) = enter(&app, "coordinator").await;
        let (doctor, _) = enter(&app, "doctor").await;
        let at = format!("/panels/{panel}");
        assert!(app.page(&at, &doctor).await.1.contains(&reference));
        let named = format!("person.{}", id_of(&app, "coordinator").await);
        let (s, ..) = app.form(&format!("/cases/{reference}/restrict"), &coordinator, &[("_csrf", &word), ("access_reason", "staff child"), (&named, "on")]).await;
        assert_eq!(s, 303);
        assert!(app.page(&at, &coordinator).await.1.contains(&reference));
        let (_, page) = app.page(&at, &doctor).await;
        assert!(!page.contains(&reference) && page.contains("A restricted case, not open to you"), "{page}");
        let (_, list) = app.get(&format!("/api/v1/panels/{panel}")).await;
        assert!(!list.to_string().contains(&reference) && list["cases"][0]["anonymous_reference"].is_string(), "{list}");
    }

    async fn every_look_is_a_line_and_the_file_is_harmless(db: Db) {
        let (app, _) = start(db).await;
        let a = app.notify(triggering()).await;
        let reference = a["reference"].as_str().unwrap();
        let (doctor, word) = enter(&app, "doctor").await;
        app.page(&format!("/cases/{reference}"), &doctor).await;
        app.form("/search", &doctor, &[("_csrf", &word), ("q", "Quorlswick")]).await;
        app.get("/api/v1/exports/ncmd?from=2026-01-01&to=2026-12-31&format=json").await;
        let lines = |action: &str| format!("SELECT COUNT(*) FROM audit WHERE action = '{action}' AND case_id IS NOT NULL AND role <> ''");
        for action in ["read_case", "read_timeline", "search_hit", "export_case"] {
            assert_eq!(app.db.number(&lines(action)).await, 1, "{action}");
        }
        // A name that a spreadsheet would run.
        app.db.run("UPDATE user_account SET name = '=cmd|calc' WHERE role = 'designated_doctor'").await.unwrap();
        let (auditor, _) = enter(&app, "auditor").await;
        let path = format!("/audit/cases/{reference}/export.csv");
        let (s, file) = app.page(&path, &auditor).await;
        assert!(s == 200 && file.starts_with("at,actor,name,role,what,why,reference\r\n"), "{file}");
        assert!(file.contains(",'=cmd|calc,") && !file.contains(",=cmd"), "{file}");
        assert_eq!(app.db.number(&lines("export_audit")).await, 1, "the auditor is audited");
        let who = format!("user:{}", id_of(&app, "doctor").await);
        let (_, page) = app.page(&format!("/audit?who={who}"), &auditor).await;
        assert!(page.contains("found the case by name or number") && page.contains(reference));
        let (_, none) = app.page(&format!("/audit?who={who}&from=2027-01-01"), &auditor).await;
        assert!(none.contains("Nothing in these days"));
        // A panel member sees the anonymous list and no reference.
        let (_, panel) = app.post("/api/v1/panels", json!({ "name": "P", "held_on": "2026-12-01" })).await;
        let id = panel["id"].as_str().unwrap();
        let (s, _) = app.post(&format!("/api/v1/panels/{id}/cases"), json!({ "reference": reference, "despite": "asked for" })).await;
        assert_eq!(s, 200);
        let (member, _) = enter(&app, "member").await;
        let (s, page) = app.page(&format!("/panels/{id}"), &member).await;
        assert!(s == 200 && page.contains("P-") && !page.contains(reference), "{page}");
        assert_eq!(app.page(&format!("/cases/{reference}"), &member).await.0, 403);
    }

    async fn two_people_destroy_what_is_due_and_everything_else_goes_on(db: Db) {
        let (app, clock) = start(db).await;
        let a = app.notify(triggering()).await;
        let kept = app.notify(triggering()).await;
        let reference = a["reference"].as_str().unwrap().to_owned();
        let case = format!("/api/v1/cases/{reference}");
        let once = app.http.post(format!("{}{case}/withdrawals", app.url)).bearer_auth(&app.token).header("idempotency-key", "w");
        assert_eq!(once.header("content-type", "application/json").body(r#"{"reason":"twice"}"#).send().await.unwrap().status(), 200);
        let answers = format!("SELECT COUNT(*) FROM idempotency WHERE case_id = (SELECT id FROM cases WHERE reference = '{reference}')");
        assert!(app.db.number(&answers).await > 0);
        let in_clear = "SELECT COUNT(*) FROM idempotency WHERE answer LIKE '%CDR-%' OR answer LIKE '%met%'";
        assert_eq!(app.db.number(in_clear).await, 0);
        // One kept by an earlier release, which did not say of which case it is.
        app.db.run(&format!("UPDATE idempotency SET case_id = NULL, answer = '{{\"reference\":\"{reference}\"}}' WHERE case_id = (SELECT id FROM cases WHERE reference = '{reference}')")).await.unwrap();
        let all = app.db.number("SELECT COUNT(*) FROM idempotency").await;
        assert_eq!(app.post(&format!("{case}/holds"), json!({ "reason": "a claim" })).await.0, 200);
        let ask = format!("/retention/{reference}/ask");
        let confirm = format!("/retention/{reference}/confirm");
        let (admin, word) = enter(&app, "admin").await;
        assert_eq!(app.form(&ask, &admin, &[("_csrf", &word)]).await.0, 409, "not yet");
        clock.forward(Duration::days(3 * 366));
        let (admin, word) = enter(&app, "admin").await;
        assert_eq!(app.form(&ask, &admin, &[("_csrf", &word)]).await.0, 409, "under a hold");
        assert_eq!(app.post(&format!("{case}/holds"), json!({ "reason": "settled", "do": "lift" })).await.0, 200);
        let (_, page) = app.page("/retention", &admin).await;
        assert!(page.contains(&reference) && page.contains("made in error") && !page.contains(kept["reference"].as_str().unwrap()));
        clock.forward(Duration::minutes(21));
        let (status, _, page) = app.form(&ask, &admin, &[("_csrf", &word)]).await;
        assert_eq!(status, 403, "a browser left open destroys nothing");
        assert!(page.contains("Sign in again first"));
        let (admin, word) = enter(&app, "admin").await;
        assert_eq!(app.form(&ask, &admin, &[("_csrf", &word)]).await.0, 303);
        assert_eq!(app.form(&confirm, &admin, &[("_csrf", &word)]).await.0, 422, "not by the same person");
        let (guardian, guard_word) = enter(&app, "guardian").await;
        assert_eq!(app.form(&confirm, &guardian, &[("_csrf", &guard_word)]).await.0, 303);
        let (_, certificate) = app.page(&format!("/retention/{reference}"), &guardian).await;
        for part in ["Certificate of destruction", "Name of administrator", "Name of guardian", "made in error"] {
            assert!(certificate.contains(part), "{part} is not in {certificate}");
        }
        assert_eq!(app.db.number("SELECT COUNT(*) FROM idempotency").await, all - 1, "what was answered is gone too");
        // Everywhere it answers "destroyed", and nothing fails.
        let (coordinator, _) = enter(&app, "coordinator").await;
        for path in [format!("/cases/{reference}"), format!("/cases/{reference}/reached")] {
            let (s, page) = app.page(&path, &coordinator).await;
            assert!(s == 410 && page.contains("destroyed"), "{path}: {s}");
        }
        for path in [case.clone(), format!("{case}/timeline"), format!("{case}/alerts")] {
            assert_eq!(app.get(&path).await.0, 410, "{path}");
        }
        assert_eq!(app.post(&format!("{case}/milestones"), json!({ "milestone": "inquest", "standing": "done" })).await.0, 410);
        for path in ["/", "/board", "/retention?all=true"] {
            let who = if path.starts_with("/ret") { &guardian } else { &coordinator };
            assert_eq!(app.page(path, who).await.0, 200, "{path}");
        }
        let (_, found) = app.post("/api/v1/cases/search", json!({ "person": "Quorlswick" })).await;
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "only the other is found");
        assert_eq!(app.get("/api/v1/exports/ncmd?from=2026-01-01&to=2026-12-31&format=json").await.0, 200);
        let (auditor, _) = enter(&app, "auditor").await;
        let (s, trail) = app.page(&format!("/audit/cases/{reference}"), &auditor).await;
        assert!(s == 200 && trail.contains("destroyed the case"), "the audit stays");
        let store = app.service().store.clone();
        let verified = store.verify(&[]).await.unwrap();
        assert!(verified.findings.is_empty(), "{:?}", verified.findings);
        let done = store.rebuild().await.unwrap();
        assert_eq!((done.cases, done.erased), (1, 1));
        assert_eq!(app.get(&case).await.0, 410, "after a rebuild too");
        // A key that is merely gone is found.
        app.db.run("UPDATE stream SET wrapped_key = NULL, key_name = NULL").await.unwrap();
        assert!(!store.verify(&[]).await.unwrap().findings.is_empty());
    }

    async fn a_living_person_gets_what_is_theirs_and_others_are_masked(db: Db) {
        let (app, _) = start(db).await;
        let mut body = triggering();
        body["death"]["circumstances"] = json!("Markermother Quorlswick found Zephyrine at six; Dr Markergp was rung on 01632 960777.");
        let a = app.notify(body).await;
        let reference = a["reference"].as_str().unwrap();
        let (coordinator, word) = enter(&app, "coordinator").await;
        let ask = |name: &'static str, format: &'static str| { let (app, c, w) = (&app, coordinator.clone(), word.clone()); let r = reference.to_owned(); async move {
            app.form("/subject-access", &c, &[("_csrf", &w), ("reference", &r), ("name", name), ("format", format)]).await
        } };
        let (s, _, text) = ask("Markermother Quorlswick", "json").await;
        assert_eq!(s, 200, "{text}");
        let copy: Value = serde_json::from_str(&text).unwrap();
        let items = copy["copy"]["items"].to_string();
        assert!(items.contains("mother") && items.contains("Markermother Quorlswick found [masked: another person] at six"), "{items}");
        for other in ["Zephyrine", "Markergp", "960777", "Markernotifier", "9990000018", "ZZ97"] {
            assert!(!items.contains(other), "{other} in {items}");
        }
        let masked = copy["copy"]["masked"].to_string();
        assert!(masked.contains("Zephyrine") && masked.contains("Markergp"), "each mask is listed: {masked}");
        assert_eq!(ask("Zephyrine Quorlswick", "page").await.0, 422, "not the child");
        assert_eq!(ask("One", "page").await.0, 422);
        let (s, _, page) = ask("Markermother Quorlswick", "page").await;
        assert!(s == 200 && page.contains("For the reviewer, not for release"));
        assert_eq!(app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'subject_access' AND case_id IS NOT NULL").await, 3);
        let (auditor, _) = enter(&app, "auditor").await;
        assert_eq!(app.page("/subject-access", &auditor).await.0, 403);
    }
}
