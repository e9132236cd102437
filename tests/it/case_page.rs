//! The coordinator's case page: finding, understanding, correcting; two people at one case; how each
//! field came to be; taking back.

use crate::support::{App, all_no, config_for, csrf, on_both, triggering};
use serde_json::{Value, json};

/// The boxes of the form that posts to `action`, as a browser would send them untouched.
fn boxes(page: &str, action: &str) -> Vec<(String, String)> {
    let start = page
        .find(&format!("action=\"{action}\""))
        .unwrap_or_else(|| panic!("no form {action} in {page}"));
    let form = &page[start..];
    let form = &form[..form.find("</form>").unwrap()];
    let attr = |tag: &str, name: &str| {
        let at = tag.find(&format!(" {name}=\""))? + name.len() + 3;
        Some(unescaped(&tag[at..at + tag[at..].find('"')?]))
    };
    let mut out = Vec::new();
    let mut rest = form;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').unwrap();
        let tag = &rest[..end];
        let named = attr(tag, "name");
        if tag.starts_with("input") {
            let kind = attr(tag, "type").unwrap_or_default();
            let chosen =
                !["radio", "checkbox"].contains(&kind.as_str()) || tag.contains(" checked");
            if let (Some(n), true) = (named, chosen) {
                out.push((n, attr(tag, "value").unwrap_or_default()));
            }
        } else if tag.starts_with("textarea") {
            let text = &rest[end + 1..rest.find("</textarea").unwrap()];
            out.push((named.unwrap(), unescaped(text.strip_prefix('\n').unwrap_or(text))));
        } else if tag.starts_with("select") {
            let inside = &rest[..rest.find("</select").unwrap()];
            let picked = inside
                .split("<option")
                .find(|o| o.split('>').next().unwrap().contains(" selected"));
            out.push((named.unwrap(), picked.and_then(|o| attr(o, "value")).unwrap_or_default()));
        }
    }
    out
}

fn unescaped(text: &str) -> String {
    text.replace("&#x2f;", "/")
        .replace("&#x27;", "'")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// A signed-in coordinator at one case.
struct Desk<'a> {
    app: &'a App,
    cookie: String,
    case: String,
}

struct Answer {
    status: u16,
    to: String,
    page: String,
}

impl Desk<'_> {
    async fn open(&self, path: &str) -> String {
        let (s, page) = self.app.page(&format!("{}{path}", self.case), &self.cookie).await;
        assert_eq!(s, 200, "{path}: {page}");
        page.replace("&#x2f;", "/")
    }

    /// The form of a group, untouched.
    async fn form(&self, group: &str) -> Vec<(String, String)> {
        let path = format!("/edit/{group}");
        boxes(&self.open(&path).await, &format!("{}{path}", self.case))
    }

    async fn post(&self, path: &str, fields: &[(String, String)]) -> Answer {
        let pairs: Vec<(&str, &str)> =
            fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let (status, to, page) =
            self.app.form(&format!("{}{path}", self.case), &self.cookie, &pairs).await;
        Answer { status, to, page: page.replace("&#x2f;", "/") }
    }

    /// Sends a group's form with some boxes changed.
    async fn change(&self, group: &str, changes: &[(&str, &str)]) -> Answer {
        let form = with(self.form(group).await, changes);
        self.post(&format!("/edit/{group}"), &form).await
    }

    /// Presses the button of the form that came back.
    async fn press(&self, a: &Answer, path: &str, changes: &[(&str, &str)]) -> Answer {
        let form = with(boxes(&a.page, &format!("{}{path}", self.case)), changes);
        self.post(path, &form).await
    }

    async fn facts(&self) -> Value {
        self.app.get(&format!("/api/v1{}", self.case)).await.1["facts"].clone()
    }

    async fn version(&self) -> i64 {
        self.app.get(&format!("/api/v1{}", self.case)).await.1["version"].as_i64().unwrap()
    }
}

fn with(mut form: Vec<(String, String)>, changes: &[(&str, &str)]) -> Vec<(String, String)> {
    for (name, value) in changes {
        form.retain(|(n, _)| n != name);
        form.push(((*name).to_owned(), (*value).to_owned()));
    }
    form
}

async fn desk<'a>(app: &'a App, email: &str, reference: &str) -> Desk<'a> {
    app.add_user(email, "coordinator", "northshire", None).await;
    Desk { app, cookie: app.sign_in(email).await, case: format!("/cases/{reference}") }
}

async fn notified(app: &App, body: Value) -> String {
    app.notify(body).await["reference"].as_str().unwrap().to_owned()
}

on_both! {
    async fn a_birth_date_is_corrected_seen_in_the_history_and_put_back(db: Db) {
        let app = App::start(db).await;
        let reference = notified(&app, triggering()).await;
        let d = desk(&app, "a@x.example", &reference).await;
        let page = d.open("").await;
        for said in ["A Joint Agency Response is due", "Zephyrine Quorlswick", "Not reached yet", "1 March 2024", "href=\"tel:01632960777\"", "mailto:gp@gp.example", "Markermother Quorlswick"] {
            assert!(page.contains(said), "the page does not say: {said}");
        }
        assert!(page.contains(&format!("{}/edit/child", d.case)) && !page.contains("Also said"));
        // Sent as it was shown, every group changes nothing.
        for group in ["child", "death", "places", "jar", "household", "professionals", "notifier"] {
            let form = d.form(group).await;
            let a = d.post(&format!("/edit/{group}"), &form).await;
            assert_eq!((a.status, a.to), (303, format!("{}?changed=nothing", d.case)), "{group}: {}", a.page);
        }
        let version = d.version().await;
        let a = d.change("child", &[("child.date_of_birth-day", "2"), ("_reason", "seen on the red book")]).await;
        assert_eq!(a.status, 303, "{}", a.page);
        assert_eq!(a.to, format!("{}?changed={}", d.case, version + 1));
        let page = app.page(&a.to, &d.cookie).await.1;
        assert!(page.contains("Corrected or added: Date of birth") && page.contains("Undo this change") && page.contains("2 March 2024"));
        let history = d.open("/history?field=child.date_of_birth").await;
        let (latest, first) = (history.find("2 March 2024").unwrap(), history.rfind("Notified,").unwrap());
        assert!(latest < first && history.contains("seen on the red book") && history.contains("Name of coordinator"));
        assert!(!history.contains("Quorlswick"), "only the field that was asked for");
        // The banner's way, and the button behind it.
        let way = format!("/history/{}", version + 1);
        let asked = Answer { status: 200, to: String::new(), page: d.open(&way).await };
        let undone = d.press(&asked, &way, &[("_reason", "it was the other child")]).await;
        assert_eq!(undone.status, 303, "{}", undone.page);
        assert_eq!(d.facts().await["child"]["date_of_birth"], "2024-03-01");
        let history = d.open("/history").await;
        assert!(history.contains("Change undone") && history.contains("it was the other child") && history.contains("seen on the red book"), "nothing is gone");
        // Once more: the same fields have changed since.
        let page = d.open(&way).await;
        assert!(page.contains("changed again since") && !page.contains("<button class=\"govuk-button\""));
        let csrf = csrf(&d.open("").await);
        let again = d.post(&way, &[("_csrf".into(), csrf)]).await;
        assert_eq!(again.status, 409);
        // The undo can be undone in its turn.
        let way = format!("/history/{}", undone.to.rsplit('=').next().unwrap());
        let asked = Answer { status: 200, to: String::new(), page: d.open(&way).await };
        assert_eq!(d.press(&asked, &way, &[]).await.status, 303);
        assert_eq!(d.facts().await["child"]["date_of_birth"], "2024-03-02");
        let looks = app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'read_history'").await;
        let edits = app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'edit_case'").await;
        assert!(looks >= 5 && edits >= 10, "every look is an audit line: {looks}, {edits}");
    }

    async fn two_people_at_one_case_do_not_overwrite_each_other(db: Db) {
        let app = App::start(db).await;
        let reference = notified(&app, triggering()).await;
        let (a, b) = (desk(&app, "a@x.example", &reference).await, desk(&app, "b@x.example", &reference).await);
        // Different fields: both simply go through, though both were shown the same version.
        let (one, two) = (a.form("child").await, b.form("child").await);
        assert_eq!(a.post("/edit/child", &with(one, &[("child.given_names", "Zephyrina")])).await.status, 303);
        assert_eq!(b.post("/edit/child", &with(two, &[("child.sex", "male")])).await.status, 303);
        let f = a.facts().await;
        assert_eq!((&f["child"]["given_names"], &f["child"]["sex"]), (&json!("Zephyrina"), &json!("male")));
        // The same field, and another one beside it.
        let (one, two) = (a.form("child").await, b.form("child").await);
        assert_eq!(a.post("/edit/child", &with(one, &[("child.date_of_birth-day", "5"), ("child.family_name", "Theirname")])).await.status, 303);
        let version = a.version().await;
        let mine = with(two, &[("child.date_of_birth-day", "7"), ("child.family_name", "Minename"), ("child.age_description", "about two"), ("_reason", "the midwife")]);
        let clash = b.post("/edit/child", &mine).await;
        assert_eq!(clash.status, 409);
        for said in ["1 March 2024", "5 March 2024", "7 March 2024", "Theirname", "Minename", "Quorlswick", "Age, as described", "Name of coordinator"] {
            assert!(clash.page.contains(said), "the page of both does not say: {said}");
        }
        assert!(!clash.page.contains("Zephyrina</p>"), "what nobody disputes is not asked");
        assert_eq!(a.version().await, version, "nothing was stored");
        // No choice for one of them: asked again, what was typed and chosen is still there.
        let again = b.press(&clash, "/edit/child", &[("_keep.child.family_name", "theirs")]).await;
        assert_eq!(again.status, 409);
        assert!(again.page.contains("Choose what holds") && again.page.contains("7 March 2024"));
        assert_eq!(a.version().await, version);
        let done = b.press(&again, "/edit/child", &[("_keep.child.date_of_birth", "both")]).await;
        assert_eq!(done.status, 303, "{}", done.page);
        let f = a.facts().await;
        assert_eq!(f["child"]["family_name"], "Theirname");
        assert_eq!(f["child"]["date_of_birth"], "2024-03-05");
        assert_eq!(f["other_accounts"]["child.date_of_birth"], json!(["2024-03-07"]));
        assert_eq!(f["child"]["age_description"], "about two", "went through with it");
        // Mine, knowingly; and a third who was quicker still is asked about anew.
        let (one, two) = (a.form("child").await, b.form("child").await);
        assert_eq!(a.post("/edit/child", &with(one, &[("child.family_name", "Thirdname")])).await.status, 303);
        let clash = b.post("/edit/child", &with(two, &[("child.family_name", "Fourthname")])).await;
        assert_eq!(a.change("child", &[("child.family_name", "Fifthname")]).await.status, 303);
        let again = b.press(&clash, "/edit/child", &[("_keep.child.family_name", "mine")]).await;
        assert_eq!(again.status, 409);
        assert!(again.page.contains("Fifthname") && again.page.contains("Fourthname"));
        assert_eq!(b.press(&again, "/edit/child", &[("_keep.child.family_name", "mine")]).await.status, 303);
        assert_eq!(a.facts().await["child"]["family_name"], "Fourthname");
        // Both at once, on the wire.
        let (one, two) = (a.form("places").await, b.form("places").await);
        let (one, two) = (with(one, &[("death.place.name", "Here")]), with(two, &[("death.place.name", "There")]));
        let (x, y) = tokio::join!(a.post("/edit/places", &one), b.post("/edit/places", &two));
        let mut both = [x.status, y.status];
        both.sort_unstable();
        assert_eq!(both, [303, 409], "one goes through, the other is asked");
    }

    async fn taking_a_value_back_is_shown_before_it_is_done(db: Db) {
        let app = App::start(db).await;
        let reference = notified(&app, triggering()).await;
        let d = desk(&app, "a@x.example", &reference).await;
        let version = d.version().await;
        let a = d.change("child", &[("child.nhs_number", ""), ("child.sex", "male")]).await;
        assert_eq!(a.status, 200, "{}", a.page);
        assert!(a.page.contains("Check before you save") && a.page.contains("Not known after all") && a.page.contains("999 000 0018"));
        assert_eq!(d.version().await, version, "nothing is stored yet");
        let back = d.press(&a, "/edit/child", &[("_back", "yes")]).await;
        assert!(back.status == 200 && back.page.contains("What kind of change is it?"));
        let form = boxes(&back.page, &format!("{}/edit/child", d.case));
        assert!(form.contains(&("child.sex".into(), "male".into())) && form.contains(&("child.nhs_number".into(), String::new())), "what was typed is still there");
        let done = d.press(&a, "/edit/child", &[]).await;
        assert_eq!(done.status, 303);
        let f = d.facts().await;
        assert!(f["child"].get("nhs_number").is_none());
        assert_eq!(f["not_known"], json!(["child.nhs_number"]));
        // A list, row by row, and all of it.
        let form = with(d.form("household").await, &[("household.1.name", "Markerbrother"), ("household.1.relationship", "brother")]);
        assert_eq!(d.post("/edit/household", &form).await.status, 303);
        let form = with(d.form("household").await, &[("household.0-remove", "yes")]);
        assert_eq!(d.post("/edit/household", &form).await.status, 303);
        assert_eq!(d.facts().await["household"], json!([{ "relationship": "brother", "name": "Markerbrother" }]));
        let more = d.change("household", &[("_add", "household")]).await;
        assert!(more.status == 200 && more.page.contains("household.2.name"), "another row");
        let a = d.change("household", &[("household.0-remove", "yes")]).await;
        assert!(a.status == 200 && a.page.contains("Not known after all"));
        assert_eq!(d.press(&a, "/edit/household", &[]).await.status, 303);
        assert!(d.facts().await.get("household").is_none());
        // Nobody else can say nothing.
        let a = d.change("child", &[("child.sex", ""), ("_how", "further_account")]).await;
        assert!(a.status == 422 && a.page.contains("what does the other person say?"));
        // What cannot be is named, and what was typed stays.
        let a = d.change("death", &[("death.date-day", "31"), ("death.date-month", "2"), ("death.circumstances", "Kept <b>text</b>")]).await;
        assert!(a.status == 422 && a.page.contains("must be a real date") && a.page.contains("Kept &lt;b&gt;text&lt;"));
        let a = d.change("death", &[("death.date-year", "2019")]).await;
        assert!(a.status == 422 && a.page.contains("before the date of birth"));
    }

    async fn a_change_of_the_decision_is_shown_before_and_cannot_be_unsent_after(db: Db) {
        let app = App::start(db).await;
        let reference = notified(&app, all_no()).await;
        let d = desk(&app, "a@x.example", &reference).await;
        let alerts = app.db.number("SELECT COUNT(*) FROM alert").await;
        let a = d.change("jar", &[("jar_answers.external_cause", "yes")]).await;
        assert_eq!(a.status, 200);
        assert!(a.page.contains("makes a Joint Agency Response due") && a.page.contains("The police"), "{}", a.page);
        assert_eq!(app.db.number("SELECT COUNT(*) FROM alert").await, alerts, "nobody is alerted by a look");
        // A confirmation of something else is none.
        let other = d.press(&a, "/edit/jar", &[("_effect", "not_triggered")]).await;
        assert_eq!(other.status, 200);
        assert_eq!(app.db.number("SELECT COUNT(*) FROM alert").await, alerts);
        let done = d.press(&a, "/edit/jar", &[]).await;
        assert_eq!(done.status, 303, "{}", done.page);
        assert!(app.db.number("SELECT COUNT(*) FROM alert").await > alerts);
        let entry = done.to.rsplit('=').next().unwrap().to_owned();
        let page = app.page(&done.to, &d.cookie).await.1;
        assert!(page.contains("cannot be unsent") && !page.contains(&format!("/history/{entry}\"")));
        let page = d.open(&format!("/history/{entry}")).await;
        assert!(page.contains("The police") && page.contains("stand the response down if none is due"));
        // Back to no: the rules say so, the response stands, and that is said.
        let a = d.change("jar", &[("jar_answers.external_cause", "no")]).await;
        assert!(a.page.contains("Nothing is stopped by that") && a.page.contains("until a person stands it down"));
        assert_eq!(d.press(&a, "/edit/jar", &[]).await.status, 303);
        let (_, case) = app.get(&format!("/api/v1{}", d.case)).await;
        assert_eq!((&case["standing"], &case["jar"]["decision"]), (&json!("triggered"), &json!("not_triggered")));
        // A decision by a person ends what can be undone.
        let last = d.version().await - 1;
        let (s, _) = app.post(&format!("/api/v1{}/jar/decisions", d.case), json!({ "decision": "stand_down", "reason": "natural", "consulted": ["Dr A"], "decided_by": { "name": "Dr B" } })).await;
        assert_eq!(s, 200);
        let page = d.open(&format!("/history/{last}")).await;
        assert!(page.contains("decided about the response since"), "{page}");
    }

    async fn accounts_that_differ_stand_side_by_side_until_somebody_settles_them(db: Db) {
        let app = App::start(db).await;
        let reference = notified(&app, triggering()).await;
        let d = desk(&app, "a@x.example", &reference).await;
        let a = d.change("child", &[("child.date_of_birth-day", "9"), ("_how", "further_account"), ("_reason", "the grandmother")]).await;
        assert_eq!(a.status, 303, "{}", a.page);
        let page = d.open("").await;
        assert!(page.contains("Also said:") && page.contains("9 March 2024") && page.contains("1 March 2024"));
        let way = "/settle/child.date_of_birth";
        let asked = Answer { status: 200, to: String::new(), page: d.open(way).await };
        assert!(asked.page.contains("9 March 2024") && asked.page.contains("Name of coordinator"));
        let none = d.press(&asked, way, &[]).await;
        assert!(none.status == 422 && none.page.contains("Choose which account holds") && none.page.contains("Say why"));
        // The earlier one holds: a correction to what is held already would not have said so.
        let done = d.press(&asked, way, &[("choice", "0"), ("_reason", "birth certificate")]).await;
        assert_eq!(done.status, 303, "{}", done.page);
        let f = d.facts().await;
        assert_eq!(f["child"]["date_of_birth"], "2024-03-01");
        assert!(f.get("other_accounts").is_none());
        let history = d.open("/history?group=child").await;
        assert!(history.contains("Accounts settled") && history.contains("birth certificate") && history.contains("9 March 2024"));
        assert!(d.open(way).await.contains("nothing to settle"));
        // Meanwhile settled by somebody else: not overwritten.
        assert_eq!(d.change("child", &[("child.family_name", "Otherwise"), ("_how", "further_account")]).await.status, 303);
        let way = "/settle/child.family_name";
        let asked = Answer { status: 200, to: String::new(), page: d.open(way).await };
        assert_eq!(d.change("child", &[("child.family_name", "Corrected")]).await.status, 303);
        let late = d.press(&asked, way, &[("choice", "1"), ("_reason", "x")]).await;
        assert!(late.status == 409 && late.page.contains("Nothing was overwritten"));
        assert_eq!(d.facts().await["child"]["family_name"], "Corrected");
        // The case as rebuilt from its events is the same.
        let mut app = app;
        let before = app.get(&format!("/api/v1/cases/{reference}")).await.1;
        app.stop().await;
        let config = config_for(&app.db);
        let store = crate::store::open(&app.db, &config.crypt.master_key).await;
        store.rebuild().await.unwrap();
        let (id, _) = store.find(&child_death_review::domain::id::Reference::parse(&reference).unwrap()).await.unwrap().unwrap();
        let state = store.load(id).await.unwrap().unwrap().state;
        assert_eq!(json!(state.facts), before["facts"]);
        assert_eq!(json!(state.version), before["version"]);
    }

    async fn a_client_that_names_its_version_overwrites_nobody(db: Db) {
        let app = App::start(db).await;
        let reference = notified(&app, triggering()).await;
        let case = format!("/api/v1/cases/{reference}");
        let r = app.http.get(format!("{}{case}", app.url)).bearer_auth(&app.token).send().await.unwrap();
        let tag = r.headers()["etag"].to_str().unwrap().to_owned();
        let path = format!("{case}/amendments");
        let send = |body: Value, tag: Option<String>| {
            let (app, path) = (&app, path.clone());
            async move {
                let headers: Vec<(&str, &str)> = tag.iter().map(|t| ("if-match", t.as_str())).collect();
                app.raw(&path, body.to_string().as_bytes(), &headers).await
            }
        };
        let (s, first) = send(json!({ "child": { "family_name": "One" } }), Some(tag.clone())).await;
        assert_eq!(s, 200, "{first}");
        let (s, said) = send(json!({ "child": { "family_name": "Two", "sex": "male" } }), Some(tag.clone())).await;
        assert_eq!((s, &said["type"]), (412, &json!("urn:cdr:problem:changed_meanwhile")));
        assert_eq!(said["errors"][0]["field"], "child.family_name");
        assert_eq!(said["errors"].as_array().unwrap().len(), 1, "only the field in conflict");
        assert!(!said.to_string().contains("One"), "no value in an error");
        assert_eq!(app.get(&case).await.1["facts"]["child"]["sex"], "female", "whole or not at all");
        let (s, _) = send(json!({ "child": { "sex": "male" } }), Some(tag.clone())).await;
        assert_eq!(s, 200, "another field");
        let (s, _) = send(json!({ "child": { "family_name": "Two" }, "how": "further_account" }), Some(tag.clone())).await;
        assert_eq!(s, 200, "another account overwrites nothing");
        let version = app.get(&case).await.1["version"].clone();
        let (s, _) = send(json!({ "child": { "family_name": "Two" }, "version": version }), None).await;
        assert_eq!(s, 200, "the body may name it");
        assert_eq!(app.get(&case).await.1["facts"]["child"]["family_name"], "Two");
        let (s, _) = send(json!({ "not_known": ["child.family_name", "household"] }), None).await;
        assert_eq!(s, 200);
        let f = app.get(&case).await.1["facts"].clone();
        assert!(f["child"].get("family_name").is_none() && f.get("household").is_none());
        for (body, tag, status) in [
            (json!({ "child": {} }), Some("\"x\"".to_owned()), 400),
            (json!({ "child": {}, "version": 999 }), None, 422),
            (json!({ "version": 1 }), Some("\"2\"".to_owned()), 422),
            (json!({ "not_known": ["child.shoe_size"] }), None, 422),
            (json!({ "child": { "sex": "male" }, "not_known": ["child.sex"] }), None, 422),
        ] {
            let (s, said) = send(body.clone(), tag).await;
            assert_eq!(s, status, "{body}: {said}");
        }
    }
}

mod purely {
    //! History and undo, from events alone.

    use child_death_review::domain::alert::{AlertKind, Desk, Recipient};
    use child_death_review::domain::case::{self, CaseState, Context, Edit};
    use child_death_review::domain::event::{Event, Recorded, Route, SetHow};
    use child_death_review::domain::facts::Facts;
    use child_death_review::domain::history;
    use child_death_review::domain::id::{CaseId, Reference};
    use child_death_review::domain::intake::{self, Need};
    use child_death_review::domain::reading::{self, Readings};
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    fn now() -> DateTime<Utc> {
        "2026-11-23T08:00:00Z".parse().unwrap()
    }

    fn facts(body: Value) -> Facts {
        intake::read(body, Need::Nothing, now()).unwrap().facts
    }

    fn with<T>(f: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let mut n = 0_u128;
        let mut new_id = || {
            n += 1;
            Uuid::from_u128(n)
        };
        let nobody = |_: AlertKind| -> Vec<Recipient> { Vec::new() };
        let desk = Desk { area: "a".into(), area_name: "A".into(), call_back: "1".into() };
        f(&mut Context {
            new_id: &mut new_id,
            recipients: &nobody,
            desk: &desk,
            extra: &[],
            opened: &|_| false,
            usable: &|_| true,
        })
    }

    /// A few fields with few values, so that people meet at them.
    fn patch() -> impl Strategy<Value = Value> {
        let word = prop::sample::select(vec![None, Some("A"), Some("B"), Some("C")]);
        let answer = prop::sample::select(vec![None, Some("yes"), Some("no"), Some("unknown")]);
        let rows = prop::collection::vec(prop::sample::select(vec!["M", "F", "S"]), 0..3);
        (word.clone(), word, answer.clone(), answer, rows).prop_map(|(a, b, c, d, rows)| {
            let mut v = json!({ "child": {}, "jar_answers": {} });
            for (group, field, x) in [
                ("child", "given_names", a),
                ("child", "family_name", b),
                ("child", "live_born", c),
                ("jar_answers", "external_cause", d),
            ] {
                if let Some(x) = x {
                    v[group][field] = json!(x);
                }
            }
            if !rows.is_empty() {
                v["household"] = rows.iter().map(|n| json!({ "name": n })).collect();
            }
            v
        })
    }

    #[derive(Clone, Debug)]
    enum Step {
        Edit {
            corrections: Value,
            accounts: Value,
            gone: bool,
        },
        /// Undoes the nth entry from the end, if it can be.
        Undo(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (patch(), patch(), any::<bool>()).prop_map(|(corrections, accounts, gone)| Step::Edit { corrections, accounts, gone }),
            1 => (0..6_usize).prop_map(Step::Undo),
        ]
    }

    fn state(events: &[(Recorded, String)]) -> CaseState {
        case::replay(CaseId(Uuid::nil()), events.iter().map(|(r, _)| r.clone())).unwrap()
    }

    /// Through JSON, as the journal keeps them.
    fn kept(events: Vec<Event>) -> Vec<(Recorded, String)> {
        let again: Vec<Event> =
            serde_json::from_str(&serde_json::to_string(&events).unwrap()).unwrap();
        assert_eq!(again, events);
        again
            .into_iter()
            .map(|event| (Recorded { at: now(), event }, "user:x".to_owned()))
            .collect()
    }

    fn lived(first: Value, steps: &[Step]) -> Vec<(Recorded, String)> {
        let accepted = intake::read(first, Need::Nothing, now()).unwrap();
        let mut all = kept(with(|c| {
            case::notify(Reference::new(2026, 1), "a".into(), Route::Api, accepted, c)
        }));
        for s in steps {
            let now_state = state(&all);
            let new = match s {
                Step::Edit { corrections, accounts, gone } => {
                    let mut edit = Edit {
                        base: Some(now_state.facts.clone()),
                        corrections: facts(corrections.clone()),
                        accounts: facts(accounts.clone()),
                        reason: "r".into(),
                    };
                    if *gone && corrections["child"].get("given_names").is_none() {
                        edit.corrections.not_known.insert("child.given_names".into());
                    }
                    with(|c| case::edit(&now_state, &edit, now(), c))
                }
                Step::Undo(back) => {
                    let version = i64::try_from(all.len().saturating_sub(*back)).unwrap();
                    let Ok(puts) = history::undo(&now_state, &all, version) else { continue };
                    with(|c| case::put(&now_state, &puts, SetHow::Undo { version }, "", now(), c))
                }
            };
            all.extend(kept(new.unwrap_or_default()));
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn the_history_adds_up_to_the_facts_and_never_changes_behind_itself(first in patch(), steps in prop::collection::vec(step(), 0..8)) {
            let all = lived(first, &steps);
            let changes = history::changes(&all);
            prop_assert_eq!(&changes, &history::changes(&all), "pure");
            // Laid one over the other, the changes are the facts, at every point.
            for n in 1..=all.len() {
                let version = i64::try_from(n).unwrap();
                let mut sum = Readings::new();
                for c in changes.iter().filter(|c| c.version <= version) {
                    prop_assert_eq!(&sum.get(&c.field).cloned().unwrap_or_default(), &c.before, "each begins where the last ended");
                    sum.insert(c.field.clone(), c.after.clone());
                }
                sum.retain(|_, r| *r != reading::Reading::default());
                prop_assert_eq!(&sum, &reading::readings(&history::facts_at(&all, version)));
                let early = history::changes(&all[..n]);
                prop_assert_eq!(&early[..], &changes[..early.len()], "the past stays as it was");
            }
            prop_assert_eq!(&history::facts_at(&all, i64::MAX), &state(&all).facts);
        }

        #[test]
        fn an_undo_puts_back_exactly_what_stood_and_touches_nothing_else(first in patch(), steps in prop::collection::vec(step(), 1..8)) {
            let all = lived(first, &steps);
            let s = state(&all);
            let changes = history::changes(&all);
            for version in 1..=i64::try_from(all.len()).unwrap() {
                let Ok(puts) = history::undo(&s, &all, version) else { continue };
                let own: Vec<&str> = puts.iter().map(|p| p.field.as_str()).collect();
                prop_assert!(changes.iter().all(|c| c.version <= version || !own.contains(&c.field.as_str())), "nobody changed them since");
                let events = with(|c| case::put(&s, &puts, SetHow::Undo { version }, "", now(), c)).unwrap();
                let mut more = all.clone();
                more.extend(kept(events));
                let (was, is) = (reading::readings(&history::facts_at(&all, version - 1)), reading::readings(&state(&more).facts));
                let before = reading::readings(&s.facts);
                for f in reading::FIELDS {
                    let wanted = if own.contains(&f) { was.get(f) } else { before.get(f) };
                    prop_assert_eq!(is.get(f), wanted, "{}", f);
                }
                prop_assert!(state(&more).standing >= s.standing, "never silently withdrawn");
            }
        }

        #[test]
        fn nobody_who_saw_an_old_version_overwrites_what_came_since(first in patch(), steps in prop::collection::vec(step(), 1..6), mine in patch(), back in 0..6_usize) {
            let all = lived(first, &steps);
            let s = state(&all);
            let seen = i64::try_from(all.len().saturating_sub(back).max(1)).unwrap();
            let base = history::facts_at(&all, seen);
            let edit = Edit { base: Some(base.clone()), corrections: facts(mine), ..Edit::default() };
            let (was, is) = (reading::readings(&base), reading::readings(&s.facts));
            let get = |all: &Readings, f: &str| all.get(f).cloned().unwrap_or_default();
            match with(|c| case::edit(&s, &edit, now(), c)) {
                Err(case::Refusal::ChangedMeanwhile(fields)) => {
                    prop_assert!(!fields.is_empty() && fields.iter().all(|f| !get(&is, f).says_as(&get(&was, f))));
                }
                Err(_) => {}
                Ok(events) => {
                    let mut more = all.clone();
                    more.extend(kept(events));
                    let then = reading::readings(&state(&more).facts);
                    for f in reading::FIELDS {
                        let theirs = !get(&is, f).says_as(&get(&was, f));
                        prop_assert!(!theirs || get(&then, f).says_as(&get(&is, f)), "{} was overwritten", f);
                    }
                }
            }
        }
    }
}
