//! The notification written page by page, by plain HTTP, as a browser without JavaScript does it.

use crate::reach::{Smtp, app_with_mail, free_port};
use crate::support::{App, Db, MARKS, Sink, area_text, on_both, until};
use child_death_review::config::MailTls;
use child_death_review::platform::clock::{ManualClock, SharedClock};
use chrono::{Duration, Utc};
use serde_json::{Value, json};

/// A browser: a cookie jar for one cookie, and where it is.
struct Browser<'a> {
    app: &'a App,
    cookie: String,
}

struct Seen {
    status: u16,
    to: String,
    html: String,
}

impl<'a> Browser<'a> {
    fn new(app: &'a App) -> Self {
        Self { app, cookie: String::new() }
    }

    async fn get(&self, path: &str) -> String {
        let (s, html) = self.app.page(path, &self.cookie).await;
        assert_eq!(s, 200, "{path}: {html}");
        assert_clean(path, &html);
        html
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let body: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let r = self
            .app
            .http
            .post(format!("{}{path}", self.app.url))
            .header("cookie", &self.cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap();
        for c in r.headers().get_all("set-cookie") {
            let c = c.to_str().unwrap();
            assert!(
                c.contains("HttpOnly") && c.contains("SameSite=Lax") && c.contains("Path=/"),
                "{c}"
            );
            assert!(MARKS.iter().all(|m| !c.contains(m)));
            c.split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        let to = r.headers().get("location").map_or("", |l| l.to_str().unwrap()).to_owned();
        assert!(MARKS.iter().all(|m| !to.contains(m)), "{to}");
        Seen { status: r.status().as_u16(), to, html: r.text().await.unwrap() }
    }

    /// Opens a page, fills it and presses the button; where that leads.
    async fn fill(&mut self, page: &str, fields: &[(&str, &str)]) -> String {
        let html = self.get(&format!("/notify/{page}")).await;
        let version = hidden(&html, "_version");
        let mut all = vec![("_version", version.as_str())];
        all.extend(fields);
        let seen = self.post(&format!("/notify/{page}"), &all).await;
        assert_eq!(seen.status, 303, "{page}: {}", seen.html);
        seen.to
    }

    /// Begins a notification with its first page.
    async fn begin(&mut self, event: &str) -> String {
        let html = self.get("/notify").await;
        let key = hidden(&html, "_key");
        let seen =
            self.post("/notify/what", &[("_key", &key), ("_version", "0"), ("event", event)]).await;
        assert_eq!(seen.status, 303, "{}", seen.html);
        seen.to
    }

    async fn code(&self) -> String {
        let html = self.get("/notify/code").await;
        html.split("n-code\">").nth(1).unwrap().split('<').next().unwrap().to_owned()
    }
}

fn hidden(html: &str, name: &str) -> String {
    let at = format!("name=\"{name}\" value=\"");
    html.split(&at)
        .nth(1)
        .unwrap_or_else(|| panic!("no {name} in {html}"))
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

/// No inline script or style, and nobody's word in an address.
fn assert_clean(path: &str, html: &str) {
    assert!(!html.contains("style=\"") && !html.contains("onclick"), "{path}");
    for href in html.split("href=\"").skip(1).chain(html.split("action=\"").skip(1)) {
        let href = href.split('"').next().unwrap();
        assert!(
            href.starts_with("tel:") || MARKS.iter().all(|m| !href.contains(m)),
            "{path}: {href}"
        );
    }
}

fn reference(html: &str) -> String {
    html.split("<p class=\"big\">").nth(1).unwrap()[..15].to_owned()
}

on_both! {
    async fn the_whole_path_with_half_of_it_unknown(db: Db) {
        let app = App::start(db).await;
        let mut b = Browser::new(&app);
        assert_eq!(b.begin("death").await, "/notify/who");
        assert_eq!(b.fill("who", &[("child.family_name", "Quorlswick"), ("child.age_description", "about 4 months")]).await, "/notify/when");
        assert_eq!(b.fill("when", &[("death.date-is", "unknown")]).await, "/notify/where");
        let html = b.get("/notify/where").await;
        assert!(html.contains("about 4 months") && html.contains("may be due"), "age and decision so far");
        assert_eq!(b.fill("where", &[("death.place.type", "home")]).await, "/notify/sudden");
        assert_eq!(b.fill("sudden", &[("jar_answers.sudden_no_apparent_cause", "yes")]).await, "/notify/cause");
        let html = b.get("/notify/cause").await;
        assert!(html.contains("A Joint Agency Response is due") && html.contains("Sudden, with no cause immediately apparent"));
        assert_eq!(b.fill("cause", &[("jar_answers.external_cause", "unknown")]).await, "/notify/care");
        let html = b.get("/notify/care").await;
        assert!(html.contains("Not asked whether it was a stillbirth") && html.contains("born alive"), "skipped, and why");
        assert_eq!(b.fill("care", &[]).await, "/notify/caller");

        // The one thing that blocks.
        let seen = b.post("/notify/send", &[]).await;
        assert_eq!(seen.status, 422);
        assert!(seen.html.contains("Give a telephone number or a work e-mail") && seen.html.contains("/notify/caller?to=check"));
        assert_eq!(b.fill("caller", &[("notifier.telephone", "07700 900987")]).await, "/notify/check");
        let html = b.get("/notify/check").await;
        for part in ["Quorlswick", "Not known yet", "Not answered: counts as not known", "07700 900987", "/notify/cause?to=check", "Not asked"] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        let seen = b.post("/notify/send", &[]).await;
        assert_eq!((seen.status, seen.to.as_str()), (303, "/notify/done"));
        let done = b.get("/notify/done").await;
        assert!(done.contains("A Joint Agency Response is due") && done.contains("The police") && done.contains("01632 960100"));
        assert!(MARKS.iter().all(|m| !done.contains(m)), "a receipt without identifying data");

        // A second press, a way back, and a page saved too late: still one case.
        assert_eq!(b.post("/notify/send", &[]).await.to, "/notify/done");
        assert_eq!(b.post("/notify/who", &[("child.family_name", "Late")]).await.to, "/notify/done?late=yes");
        assert!(b.get("/notify/done?late=yes").await.contains("had been sent before"));
        assert_eq!(app.db.number("SELECT COUNT(*) FROM cases").await, 1);
        assert_eq!(reference(&done), reference(&b.get("/notify/done").await));
        assert!(b.get("/notify").await.contains("holds a notification that was sent"));
    }

    async fn unknown_never_becomes_no_and_the_answers_are_those_of_the_api(db: Db) {
        let app = App::start(db).await;
        let api = app.notify(json!({
            "event": "death",
            "child": { "family_name": "Quorlswick", "sex": "unknown", "date_of_birth": "2024-03-01" },
            "death": { "date": "2026-02-20", "time": "03:15", "place": { "type": "school", "name": "Marker Infirmary" } },
            "jar_answers": { "external_cause": "unknown", "sudden_no_apparent_cause": "no", "custody_or_detention": "unknown" },
            "notifier": { "telephone": "07700 900987" },
        })).await;
        let mut b = Browser::new(&app);
        b.begin("death").await;
        b.fill("who", &[("child.family_name", "Quorlswick"), ("child.sex", "unknown"), ("child.date_of_birth-day", "1"), ("child.date_of_birth-month", "march"), ("child.date_of_birth-year", "2024")]).await;
        b.fill("when", &[("death.date-is", "other"), ("death.date-day", "20"), ("death.date-month", "02"), ("death.date-year", "2026"), ("death.time", "315")]).await;
        b.fill("where", &[("death.place.type", "school"), ("death.place.name", "Marker Infirmary"), ("death.event_place.type", "")]).await;
        b.fill("sudden", &[("jar_answers.sudden_no_apparent_cause", "no")]).await;
        b.fill("cause", &[("jar_answers.external_cause", "unknown")]).await;
        b.fill("care", &[("jar_answers.custody_or_detention", "unknown")]).await;
        b.fill("caller", &[("notifier.telephone", "07700 900987")]).await;
        b.post("/notify/send", &[]).await;
        let done = reference(&b.get("/notify/done").await);
        let case = |r: &str| format!("/api/v1/cases/{r}");
        let (_, mut by_page) = app.get(&case(&done)).await;
        let (_, mut by_api) = app.get(&case(api["reference"].as_str().unwrap())).await;
        assert_eq!(by_page["facts"], by_api["facts"]);
        assert_eq!(by_page["jar"].take(), by_api["jar"].take());
        assert!(by_page["facts"]["jar_answers"]["external_cause"].is_null());
        let not_known = by_page["facts"]["not_known"].to_string();
        assert!(not_known.contains("external_cause") && not_known.contains("custody_or_detention"));
    }

    async fn nothing_but_the_way_to_call_back_is_ever_needed(db: Db) {
        let app = App::start(db).await;
        let mut b = Browser::new(&app);
        // Not even what happened, nor who.
        b.begin("").await;
        b.fill("caller", &[("notifier.email", "reg@marker.example")]).await;
        assert_eq!(b.post("/notify/send", &[]).await.to, "/notify/done");
        let done = b.get("/notify/done").await;
        assert!(done.contains("may be due"), "everything unknown is provisional: {done}");
        // A date that does not exist is asked about once, then kept beside.
        let mut b = Browser::new(&app);
        b.begin("death").await;
        let wrong = [("_version", "1"), ("death.date-is", "other"), ("death.date-day", "30"), ("death.date-month", "2"), ("death.date-year", "2026")];
        let seen = b.post("/notify/when", &wrong).await;
        assert_eq!(seen.status, 422);
        assert!(seen.html.contains("href=\"#death.date-day\"") && seen.html.contains("value=\"30\"") && seen.html.contains("_anyway"));
        let mut anyway = wrong.to_vec();
        anyway.push(("_anyway", "yes"));
        assert_eq!(b.post("/notify/when", &anyway).await.to, "/notify/where");
        b.fill("caller", &[("notifier.email", "reg@marker.example")]).await;
        assert!(b.get("/notify/check").await.contains("Could not be read"));
        assert_eq!(b.post("/notify/send", &[]).await.to, "/notify/done");
        let (_, case) = app.get(&format!("/api/v1/cases/{}", reference(&b.get("/notify/done").await))).await;
        assert_eq!(case["facts"]["unrecognised"]["as_given"]["death.date"], "2026-02-30");
        assert!(case["facts"]["death"]["date"].is_null());
    }

    async fn resumed_by_code_and_handed_on(db: Db) {
        let app = App::start(db).await;
        let mut b = Browser::new(&app);
        b.begin("death").await;
        b.fill("who", &[("child.family_name", "Quorlswick")]).await;
        let code = b.code().await;
        assert_eq!(code.len(), 34);
        let seen = b.post("/notify/code/hand-on", &[("_to", "Dr Placehold"), ("_from", "Dr Trialmoor")]).await;
        assert_eq!(seen.to, "/notify/code?done=handed");
        let start = b.get("/notify").await;
        assert!(start.contains("Go on with it") && !start.contains("name=\"_key\""), "no second one over the first");
        // The script of the pages is told where to go, in words it can tell from a lost answer.
        let r = app.http.post(format!("{}/notify/where", app.url)).header("cookie", &b.cookie).header("x-draft-script", "1").body("_version=2&death.place.type=home").send().await.unwrap();
        assert_eq!(r.status(), 200);
        let told: Value = r.json().await.unwrap();
        assert_eq!(told["to"], "/notify/sudden");
        assert_eq!(told["at"].as_str().unwrap().len(), 5);
        // The shared machine forgets; the colleague types the code in, in small letters.
        b.post("/notify/leave", &[]).await;
        assert!(!b.get("/notify").await.contains("Go on with it"));
        let mut other = Browser::new(&app);
        let seen = other.post("/notify/resume", &[("code", "AAAAAA-BBBBBB-CCCCCC-DDDDDD-EEEEEE")]).await;
        assert_eq!(seen.status, 422);
        let seen = other.post("/notify/resume", &[("code", &code.to_lowercase().replace('-', " "))]).await;
        assert_eq!((seen.status, seen.to.as_str()), (303, "/notify/check"));
        assert!(other.get("/notify/check").await.contains("Quorlswick"));
        assert!(other.get("/notify/code").await.contains("Dr Trialmoor gave it to Dr Placehold"));
        other.fill("caller", &[("notifier.telephone", "07700 900987")]).await;
        other.post("/notify/send", &[]).await;
        // The first one's code now shows what became of it.
        let seen = b.post("/notify/resume", &[("code", &code)]).await;
        assert_eq!(seen.to, "/notify/done");
        assert!(b.get("/notify/done").await.contains("CDR-"));
        // Guessing ends; a colleague behind the same address gets in all the same.
        for _ in 0..9 {
            other.post("/notify/resume", &[("code", "x")]).await;
        }
        assert_eq!(other.post("/notify/resume", &[("code", "x")]).await.status, 429);
        assert_eq!(other.post("/notify/resume", &[("code", &code)]).await.to, "/notify/done");
    }

    async fn a_page_of_one_notification_is_never_saved_or_sent_in_another(db: Db) {
        let app = App::start(db).await;
        let mut b = Browser::new(&app);
        b.begin("death").await;
        let first = b.code().await;
        // Left open in a tab: the child's page, and the last one.
        let (who, check) = (b.get("/notify/who").await, b.get("/notify/check").await);
        let (mark, version) = (hidden(&who, "_draft"), hidden(&who, "_version"));
        assert_eq!(hidden(&check, "_draft"), mark);
        assert!(!first.to_lowercase().contains(&mark) && mark.len() == 16);
        b.post("/notify/new", &[]).await;
        b.begin("death").await;
        b.fill("who", &[("child.family_name", "Otherchild")]).await;
        b.fill("caller", &[("notifier.telephone", "07700 900987")]).await;
        let page = [("_draft", mark.as_str()), ("_version", version.as_str()), ("child.given_names", "Zephyrine")];
        let seen = b.post("/notify/who", &page).await;
        assert_eq!(seen.status, 410, "{}", seen.html);
        assert!(seen.html.contains("belongs to another notification") && seen.html.contains("<dd>Zephyrine</dd>"), "{}", seen.html);
        for path in ["/notify/send", "/notify/code/mail", "/notify/code/hand-on"] {
            assert_eq!(b.post(path, &[("_draft", &mark), ("_to", "x"), ("_mail", "x@x.example")]).await.status, 410, "{path}");
        }
        assert_eq!(app.db.number("SELECT COUNT(*) FROM cases").await, 0);
        assert!(!b.get("/notify/check").await.contains("Zephyrine"));
        // With the code of its own notification the page is taken.
        b.post("/notify/resume", &[("code", &first)]).await;
        assert_eq!(b.post("/notify/who", &page).await.status, 303);
        let check = b.get("/notify/check").await;
        assert!(check.contains("Zephyrine") && !check.contains("Otherchild"));
        // The same of the parts that follow.
        b.fill("caller", &[("notifier.telephone", "07700 900986")]).await;
        b.post("/notify/send", &[("_draft", &mark)]).await;
        let part = b.get("/notify/more/child").await;
        assert_eq!(hidden(&part, "_draft"), mark);
        b.post("/notify/new", &[]).await;
        b.begin("death").await;
        let more = [("_draft", mark.as_str()), ("child.also_known_as.0", "Zeph")];
        assert_eq!(b.post("/notify/more/child", &more).await.status, 410);
        assert_eq!(b.post("/notify/more/send", &[("_draft", &mark)]).await.status, 410);
    }

    async fn a_page_saved_while_the_notification_is_sent_goes_with_it_or_is_said_to_be_late(db: Db) {
        let app = App::start(db).await;
        for n in 0..20 {
            let mut b = Browser::new(&app);
            b.begin("death").await;
            b.fill("caller", &[("notifier.telephone", "07700 900987")]).await;
            let place = format!("Marker House {n}");
            let typed = [("_version", "9"), ("death.place.name", place.as_str())];
            let ((s, to, _), (sent, ..)) = tokio::join!(
                app.form("/notify/where", &b.cookie, &typed),
                app.form("/notify/send", &b.cookie, &[]),
            );
            assert_eq!((s, sent), (303, 303), "{n}");
            let reference = reference(&b.get("/notify/done").await);
            let (_, case) = app.get(&format!("/api/v1/cases/{reference}")).await;
            let is_in = case["facts"]["death"]["place"]["name"] == json!(place);
            assert!(is_in || to == "/notify/done?late=yes", "{n}: neither in the case nor said to be late: {to} {case}");
        }
    }

    async fn two_tabs_and_presses_that_come_twice(db: Db) {
        let app = App::start(db).await;
        let mut b = Browser::new(&app);
        // The first page sent twice, because its answer was lost: one draft.
        let key = hidden(&b.get("/notify").await, "_key");
        let first = [("_key", key.as_str()), ("_version", "0"), ("event", "death")];
        b.post("/notify/what", &first).await;
        b.post("/notify/what", &first).await;
        assert_eq!(app.db.number("SELECT COUNT(*) FROM draft").await, 1);
        let version = hidden(&b.get("/notify/who").await, "_version");
        let save = |name: &'static str| vec![("_version", version.clone()), ("child.family_name", name.to_owned())];
        let one = save("Quorlswick");
        let two = save("Otherone");
        let pairs = |v: &[(&'static str, String)]| v.to_vec();
        for fields in [pairs(&one), pairs(&one)] {
            let f: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
            assert_eq!(b.post("/notify/who", &f).await.status, 303);
        }
        assert!(!b.get("/notify/when").await.contains("in another tab"), "the same page twice is no conflict");
        let f: Vec<(&str, &str)> = two.iter().map(|(n, v)| (*n, v.as_str())).collect();
        b.post("/notify/who", &f).await;
        assert!(b.get("/notify/when").await.contains("in another tab"));
        assert!(b.get("/notify/check").await.contains("Otherone"), "the last to write wins");
        // Another page of the old tab takes nobody's place.
        b.post("/notify/where", &[("_version", "1"), ("death.place.type", "home")]).await;
        assert!(!b.get("/notify/check").await.contains("in another tab"));
        b.fill("caller", &[("notifier.telephone", "07700 900987")]).await;
        // Twenty presses at once.
        let presses = (0..20).map(|_| app.form("/notify/send", &b.cookie, &[]));
        for (s, to, _) in futures_util::future::join_all(presses).await {
            assert_eq!((s, to.as_str()), (303, "/notify/done"));
        }
        assert_eq!(app.db.number("SELECT COUNT(*) FROM cases").await, 1);
        assert_eq!(app.db.number("SELECT COUNT(*) FROM draft").await, 1);
    }

    async fn a_forged_form_and_a_strange_cookie_do_nothing(db: Db) {
        let app = App::start(db).await;
        let mut b = Browser::new(&app);
        b.begin("death").await;
        let r = app.http.post(format!("{}/notify/send", app.url)).header("cookie", &b.cookie).header("sec-fetch-site", "cross-site").send().await.unwrap();
        assert_eq!(r.status(), 403);
        b.cookie = "cdr_draft=AAAAAA-BBBBBB-CCCCCC-DDDDDD-EEEEEE".into();
        let (s, _) = app.page("/notify/who", &b.cookie).await;
        assert_eq!(s, 303);
        assert_eq!(app.page("/notify/nowhere", &b.cookie).await.0, 404);
        // A key that somebody could guess begins a draft of its own each time.
        let weak = [("_key", "x"), ("event", "death")];
        for n in [2, 3] {
            let seen = Browser::new(&app).post("/notify/what", &weak).await;
            assert_eq!(seen.status, 303, "{}", seen.html);
            assert_eq!(app.db.number("SELECT COUNT(*) FROM draft").await, n);
        }
        b.cookie = "cdr_draft=AAAAAA-BBBBBB-CCCCCC-DDDDDD-EEEEEE".into();
        let seen = b.post("/notify/who", &[("child.family_name", "Quorlswick")]).await;
        assert_eq!(seen.status, 410);
        assert!(seen.html.contains("no longer knows which notification") && seen.html.contains("<dt>Family name</dt><dd>Quorlswick</dd>"), "{}", seen.html);
    }

    async fn the_rest_of_the_form_is_one_further_account(db: Db) {
        let app = App::start(db).await;
        let mut b = Browser::new(&app);
        b.begin("death").await;
        b.fill("who", &[("child.family_name", "Quorlswick"), ("child.date_of_birth-day", "1"), ("child.date_of_birth-month", "3"), ("child.date_of_birth-year", "2024")]).await;
        b.fill("caller", &[("notifier.telephone", "07700 900987")]).await;
        b.post("/notify/send", &[]).await;
        let reference = reference(&b.get("/notify/done").await);
        assert!(b.get("/notify/more").await.contains("Not started"));
        for (section, fields) in [
            ("child", vec![("child.ethnicity", "A"), ("further.birth_weight_grams", "3200")]),
            ("home", vec![("child.address.lines.0", "7 Marker Lane"), ("child.address.postcode", "ZZ97 3QX")]),
            ("family", vec![("household.0.relationship", "mother"), ("household.0.name", "Markermother"), ("household.2.name", "Another")]),
            ("professionals", vec![("professionals.0.agency", "GP"), ("professionals.0.telephone", "01632 960777")]),
            ("death", vec![("death.circumstances", "Found unresponsive, markercircumstance.")]),
        ] {
            let html = b.get(&format!("/notify/more/{section}")).await;
            let version = hidden(&html, "_version");
            let mut all = vec![("_version", version.as_str())];
            all.extend(fields);
            let seen = b.post(&format!("/notify/more/{section}"), &all).await;
            assert_eq!((seen.status, seen.to.as_str()), (303, "/notify/more"), "{}", seen.html);
        }
        assert!(b.get("/notify/more").await.contains("Filled in, not sent yet"));
        assert_eq!(b.post("/notify/more/send", &[]).await.to, "/notify/done?added=yes");
        let (_, case) = app.get(&format!("/api/v1/cases/{reference}")).await;
        let f = &case["facts"];
        assert_eq!(f["child"]["ethnicity"], "A");
        assert_eq!(f["child"]["address"]["lines"], json!(["7 Marker Lane"]));
        assert_eq!(f["household"].as_array().unwrap().len(), 2);
        assert_eq!(f["professionals"][0]["agency"], "GP");
        assert_eq!(f["unrecognised"]["further"]["birth_weight_grams"], "3200");
        app.add_user("c@x.example", "coordinator", "northshire", None).await;
        let cookie = app.sign_in("c@x.example").await;
        let (_, page) = app.page(&format!("/cases/{reference}"), &cookie).await;
        assert!(page.contains("Birth weight grams") && page.contains("3200"), "the office can read all of it");
        let (_, t) = app.get(&format!("/api/v1/cases/{reference}/timeline")).await;
        let amended: Vec<&Value> = t["items"].as_array().unwrap().iter().filter(|i| i["kind"] == "facts_amended").collect();
        assert_eq!(amended.len(), 1, "one amendment");
        assert!(amended[0]["text"].as_str().unwrap().contains("Further account"));
        // Again: nothing new, no second one.
        b.post("/notify/more/send", &[]).await;
        let (_, t) = app.get(&format!("/api/v1/cases/{reference}/timeline")).await;
        assert_eq!(t["items"].as_array().unwrap().iter().filter(|i| i["kind"] == "facts_amended").count(), 1);
        assert!(b.get("/notify/more").await.contains("Sent"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_personal_is_in_the_database_in_clear_and_the_code_reaches_only_its_owner() {
    let (db, port) = (Db::sqlite(), free_port());
    let smtp = Smtp::start(port, db.dir.path(), &["well"]);
    let app = app_with_mail(db, port, MailTls::Required).await;
    let mut b = Browser::new(&app);
    b.begin("death").await;
    b.fill(
        "who",
        &[
            ("child.given_names", "Zephyrine"),
            ("child.family_name", "Quorlswick"),
            ("child.nhs_number", "999 000 0018"),
        ],
    )
    .await;
    b.fill("where", &[("death.place.name", "Marker Lane")]).await;
    b.fill(
        "caller",
        &[
            ("notifier.name", "Markernotifier"),
            ("notifier.telephone", "07700 900987"),
            ("notifier.email", "Markernotifier@work.example"),
        ],
    )
    .await;
    let code = b.code().await;
    assert_eq!(b.post("/notify/code/mail", &[("_mail", "nonsense")]).await.status, 422);
    assert_eq!(
        b.post("/notify/code/mail", &[("_mail", "Markernotifier@work.example")]).await.to,
        "/notify/code?done=mailed"
    );
    until("mailed", || async { !smtp.mails().is_empty() }).await;
    let mail = smtp.mails().remove(0);
    assert_eq!(mail["to"], json!(["Markernotifier@work.example"]));
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains(&code), "{text}");
    assert!(
        !text.contains("Zephyrine") && !text.contains("Quorlswick") && !text.contains("http"),
        "the code, and no link: {text}"
    );
    for _ in 0..2 {
        b.post("/notify/code/mail", &[("_mail", "x@work.example")]).await;
    }
    assert_eq!(
        b.post("/notify/code/mail", &[("_mail", "y@work.example")]).await.status,
        422,
        "three mails at most"
    );
    // As stored, with the journal of the file system's writes.
    for name in ["t.sqlite", "t.sqlite-wal"] {
        let bytes = std::fs::read(app.db.dir.path().join(name)).unwrap_or_default();
        let found = |m: &str| bytes.windows(m.len()).any(|w| w == m.as_bytes());
        let found: Vec<&str> = MARKS.iter().copied().filter(|m| found(m)).collect();
        assert!(found.is_empty(), "{name}: {found:?}");
        assert!(!bytes.windows(code.len()).any(|w| w == code.as_bytes()), "{name} holds the code");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_drafts_are_shown_to_the_office_and_run_out() {
    let sink = Sink::start().await;
    let area = area_text(
        &sink,
        "tonight = [\"Write your notes now.\"]\nsupport = [\"Debrief, 01632 960120\"]",
    );
    let clock = ManualClock::at(Utc::now());
    let shared: SharedClock = clock.clone();
    let app = App::with(Db::sqlite(), sink, &area, |_| {}, shared).await;
    app.add_user("c@x.example", "coordinator", "northshire", None).await;
    app.add_user("s@x.example", "coordinator", "southshire", None).await;
    let mut b = Browser::new(&app);
    b.begin("death").await;
    b.fill("who", &[("child.family_name", "Quorlswick")]).await;
    b.fill("caller", &[("notifier.telephone", "07700 900987")]).await;
    let code = b.code().await;
    let cookie = app.sign_in("c@x.example").await;
    let (_, queue) = app.page("/", &cookie).await;
    assert!(!queue.contains("/drafts"));
    clock.forward(Duration::minutes(61));
    let cookie = app.sign_in("c@x.example").await;
    let (_, queue) = app.page("/", &cookie).await;
    assert!(queue.contains("1 notification begun more than an hour ago"));
    let (s, page) = app.page("/drafts", &cookie).await;
    assert_eq!(s, 200);
    assert!(
        page.contains("07700 900987")
            && page.contains("Northshire")
            && !page.contains("Quorlswick")
    );
    assert_eq!(app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'list_drafts'").await, 1);
    let south = app.sign_in("s@x.example").await;
    assert!(!app.page("/drafts", &south).await.1.contains("900987"));
    assert_eq!(app.page("/drafts", "").await.0, 303);
    // Sent, it is no draft any more; what tonight asks for is on the last page.
    b.post("/notify/send", &[]).await;
    let done = b.get("/notify/done").await;
    assert!(done.contains("Write your notes now.") && done.contains("Debrief, 01632 960120"));
    assert!(!app.page("/", &cookie).await.1.contains("/drafts"));
    // Three days later nothing can be added, but what happened next can be read.
    clock.forward(Duration::hours(73));
    let mut later = Browser::new(&app);
    assert_eq!(later.post("/notify/resume", &[("code", &code)]).await.to, "/notify/next");
    let done = later.get("/notify/done").await;
    assert!(
        done.contains("What happened next") && done.contains("could add to it yourself is over")
    );
    assert_eq!(
        later.post("/notify/more/home", &[("child.address.postcode", "ZZ97 3QX")]).await.status,
        422
    );
    // What came of it, without anything about the child or any person.
    let reference = done.split("class=\"big\">").nth(1).unwrap().split('<').next().unwrap();
    let (_, alerts) = app.get(&format!("/api/v1/cases/{reference}/alerts")).await;
    let police =
        alerts["items"].as_array().unwrap().iter().find(|a| a["agency"] == "police").unwrap();
    let (s, _) = app
        .post(
            &format!("/api/v1/alerts/{}/acknowledgements", police["id"].as_str().unwrap()),
            json!({ "name": "Sgt Example", "role": "sergeant" }),
        )
        .await;
    assert_eq!(s, 201);
    let next = later.get("/notify/next").await;
    for said in [
        "Information is being gathered",
        "The police</strong>: acknowledged",
        "Debrief, 01632 960120",
        "Response is being prepared",
    ] {
        assert!(next.contains(said), "{said}: {next}");
    }
    assert!(MARKS.iter().all(|m| !next.contains(m)) && !next.contains("Sgt Example"));
    // When its time is over, the right code is answered like a wrong one.
    clock.forward(Duration::days(90));
    let over = Browser::new(&app).post("/notify/resume", &[("code", &code)]).await;
    let wrong = Browser::new(&app)
        .post("/notify/resume", &[("code", "000000-000000-000000-000000-000000")])
        .await;
    assert_eq!((over.status, wrong.status), (422, 422));
    assert_eq!(crate::access::same(&over.html), crate::access::same(&wrong.html));
    assert_eq!(app.page("/notify/next", &later.cookie).await.0, 303);
    // And one that nobody sends is forgotten after two weeks.
    let mut b = Browser::new(&app);
    b.begin("death").await;
    clock.forward(Duration::days(15));
    assert_eq!(app.page("/notify/who", &b.cookie).await.0, 303);
    app.service()
        .store
        .forget_old(child_death_review::platform::clock::Clock::now(&*clock))
        .await
        .unwrap();
    assert_eq!(app.db.number("SELECT COUNT(*) FROM draft WHERE sent_at IS NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stillbirth_is_asked_about_the_birth_first_and_an_attended_one_about_nothing_else() {
    let app = App::start(Db::sqlite()).await;
    let mut b = Browser::new(&app);
    b.begin("stillbirth").await;
    b.fill("when", &[("death.date-is", "today")]).await;
    assert_eq!(b.fill("where", &[("death.place.type", "labour_ward")]).await, "/notify/care");
    assert_eq!(
        b.fill("care", &[("jar_answers.unattended_stillbirth", "no")]).await,
        "/notify/caller"
    );
    assert!(b.get("/notify/check").await.contains("outside child death review"));
    // Taken back: the questions are asked after all.
    assert_eq!(
        b.fill("care", &[("jar_answers.unattended_stillbirth", "unknown")]).await,
        "/notify/sudden"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_on_one_page_ends_with_what_the_other_way_ends_with() {
    let sink = Sink::start().await;
    let area = area_text(
        &sink,
        "tonight = [\"Write your notes now.\"]\nsupport = [\"Debrief, 01632 960120\"]",
    );
    let clock = ManualClock::at(Utc::now());
    let app = App::with(Db::sqlite(), sink, &area, |_| {}, clock).await;
    let b = Browser::new(&app);
    let key = hidden(&b.get("/notify/one-page").await, "_key");
    let all = [
        ("_key", key.as_str()),
        ("event", "death"),
        ("child.family_name", "Quorlswick"),
        ("notifier.telephone", "07700 900987"),
    ];
    let post = |cookie: String| {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish();
        let r = app.http.post(format!("{}/notify/one-page", app.url)).header("cookie", cookie);
        async move { r.body(body).send().await.unwrap() }
    };
    let r = post(String::new()).await;
    assert_eq!(r.status(), 201);
    let cookie = r.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = r.text().await.unwrap();
    for part in ["Write your notes now.", "Debrief, 01632 960120", "/notify/next", "/notify/more"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let reference = |p: &str| p[p.find("CDR-").unwrap()..][..15].to_owned();
    let (s, next) = app.page("/notify/next", &cookie).await;
    assert_eq!((s, reference(&next)), (200, reference(&page)), "what happened next");
    assert!(app.page("/notify/done", &cookie).await.1.contains("Write your notes now."));
    // Sent twice it is one notification and one code.
    let again = post(String::new()).await;
    assert!(again.headers()["set-cookie"].to_str().unwrap().starts_with(&cookie));
    assert_eq!(app.db.number("SELECT COUNT(*) FROM draft").await, 1);
    // A browser that has begun another one and not sent it keeps that one; the code is on the page.
    let mut open = Browser::new(&app);
    open.begin("death").await;
    let r = post(open.cookie.clone()).await;
    assert!(r.headers().get("set-cookie").is_none());
    let code = cookie.split_once('=').unwrap().1;
    assert!(r.text().await.unwrap().contains(code));
    assert_eq!(open.post("/notify/resume", &[("code", code)]).await.to, "/notify/done");
}
