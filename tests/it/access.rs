//! Every route by every kind of caller, over real HTTP, held to the reviewed file
//! `tests/data/routes.csv`. A route without a row fails; what is denied is answered byte for byte
//! like what does not exist.
//!
//! `CDR_WRITE_ROUTES=1` writes the file as the service behaves, for a review of the difference.

use crate::documents::EDGE;
use crate::support::{App, Db, MARKS, Sink, all_no, area_text, triggering, until};
use child_death_review::auth::policy::TokenScope;
use child_death_review::auth::{session, token};
use child_death_review::domain::id::Reference;
use child_death_review::platform::clock::SystemClock;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

const FILE: &str = "tests/data/routes.csv";

/// Columns for pages: a role, its agency, and whether it is on the list of the restricted case.
const PEOPLE: [(&str, &str, Option<&str>); 12] = [
    ("administrator", "administrator", None),
    ("coordinator", "coordinator", None),
    ("designated_doctor", "designated_doctor", None),
    ("on_call", "on_call", None),
    ("agency", "agency", Some("police")),
    ("other_agency", "agency", Some("ambulance")),
    ("auditor", "auditor", None),
    ("notifier", "notifier", None),
    ("panel_member", "panel_member", None),
    ("chair", "chair", None),
    ("guardian", "guardian", None),
    ("named", "coordinator", None),
];

/// Columns for the API: a scope each, and tokens of an agency with every scope.
const TOKENS: [(&str, Option<TokenScope>, Option<&str>); 8] = [
    ("t_notify", Some(TokenScope::Notify), None),
    ("t_read", Some(TokenScope::Read), None),
    ("t_write", Some(TokenScope::Write), None),
    ("t_acknowledge", Some(TokenScope::Acknowledge), None),
    ("t_export", Some(TokenScope::Export), None),
    ("t_metrics", Some(TokenScope::Metrics), None),
    ("t_agency", None, Some("police")),
    ("t_other_agency", None, Some("ambulance")),
];

/// Every `.route(…)` in the sources: method and path. The demo's are left out: it is for trying.
pub fn served() -> BTreeSet<(String, String)> {
    fn files(dir: &Path, out: &mut Vec<std::path::PathBuf>) {
        for e in std::fs::read_dir(dir).unwrap().flatten() {
            let p = e.path();
            if p.is_dir() {
                files(&p, out);
            } else if p.extension().is_some_and(|x| x == "rs") && !p.ends_with("demo.rs") {
                out.push(p);
            }
        }
    }
    let mut all = Vec::new();
    files(Path::new("src/web"), &mut all);
    let mut out = BTreeSet::new();
    for file in all {
        let text = std::fs::read_to_string(&file).unwrap();
        for part in text.split(".route(").skip(1) {
            // Up to the parenthesis that closes this one.
            let mut depth = 1;
            let end = part.char_indices().find(|(_, c)| {
                depth += match c {
                    '(' => 1,
                    ')' => -1,
                    _ => 0,
                };
                depth == 0
            });
            let inside = &part[..end.map_or(part.len(), |(i, _)| i)];
            let (path, methods) = match inside.trim_start().strip_prefix('"') {
                Some(rest) => {
                    let (path, rest) = rest.split_once('"').unwrap();
                    (path.to_owned(), rest)
                }
                None => {
                    let (name, rest) = inside.trim_start().split_once(',').unwrap();
                    let name = name.rsplit("::").next().unwrap().trim_end_matches("()");
                    (format!("/static/{name}"), rest)
                }
            };
            let mut found = false;
            for method in ["get", "post", "put", "patch", "delete", "any"] {
                let call = format!("{method}(");
                let starts = methods.match_indices(&call).any(|(i, _)| {
                    !methods[..i].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                });
                if starts {
                    found = true;
                    out.insert((method.to_owned(), path.clone()));
                }
            }
            assert!(found, "{}: {path} has no method", file.display());
        }
    }
    out
}

/// What the routes are tried with.
struct Things {
    app: App,
    cookies: BTreeMap<&'static str, (String, String)>,
    tokens: BTreeMap<&'static str, String>,
    /// For each kind of object: what stands in a path instead of its name.
    own: BTreeMap<&'static str, String>,
    area: BTreeMap<&'static str, String>,
    restricted: BTreeMap<&'static str, String>,
    /// Reviewed by a panel, and closed: some roles lose a case with its stage.
    reviewed: BTreeMap<&'static str, String>,
    closed: BTreeMap<&'static str, String>,
    missing: BTreeMap<&'static str, String>,
}

fn people_and_a_rota() -> &'static str {
    "[[agency.person]]\nid = \"nurse-a\"\nname = \"Nurse Mockridge\"\nrole = \"JAR nurse\"\n[[agency.person.contact]]\nid = \"nurse-a-mobile\"\nchannel = \"mobile\"\naddress = \"07700 900104\"\n[agency.rota]\nid = \"nurses\"\nname = \"Nurses\"\n[[agency.rota.rotations]]\nid = \"weeks\"\nstarts = \"2026-01-05\"\nhandover = \"09:00:00\"\nevery_days = 7\npeople = [\"nurse-a\"]\n[[agency.rota.covers]]\nfrom = \"2026-12-24T09:00:00\"\nto = \"2026-12-26T09:00:00\"\nperson = \"nurse-a\"\n"
}

impl Things {
    async fn make() -> Self {
        let sink = Sink::start().await;
        let plain = area_text(&sink, "");
        let rota = people_and_a_rota();
        let with_rota = plain.replacen(
            "[[agency]]\nid = \"cdop_office\"",
            &format!("{rota}[[agency]]\nid = \"cdop_office\""),
            1,
        );
        let south =
            with_rota.replace("northshire", "southshire").replace("Northshire", "Southshire");
        let app = App::with_areas(
            Db::sqlite(),
            sink,
            &[&with_rota, &south],
            |c| {
                // Thousands of requests in seconds, from one address.
                (c.limits.pages_a_minute, c.limits.api_a_minute) = (0, 0);
                c.limits.sign_in_a_minute = 0;
            },
            Arc::new(SystemClock),
        )
        .await;
        let mut cookies = BTreeMap::new();
        for (name, role, agency) in PEOPLE {
            let email = format!("{name}@x.example");
            app.add_user(&email, role, "northshire", agency).await;
            let cookie = app.sign_in(&email).await;
            let word = word_of(&app, &cookie).await;
            cookies.insert(name, (cookie, word));
        }
        let store = &app.service().store;
        let mut tokens = BTreeMap::new();
        let all: Vec<TokenScope> =
            TokenScope::WORDS.iter().filter_map(|w| TokenScope::parse(w)).collect();
        for (name, scope, agency) in TOKENS {
            let scopes = scope.map_or_else(|| all.clone(), |s| vec![s]);
            let agency = agency.map(str::to_owned);
            let now = chrono::Utc::now();
            let t = token::issue(store, name, &scopes, "northshire", agency, now).await.unwrap();
            tokens.insert(name, t);
        }
        let case = |area: &'static str| {
            let app = &app;
            async move {
                let path = format!("/api/v1/notifications?area={area}");
                let (s, a) = app.post(&path, triggering()).await;
                assert_eq!(s, 201, "{a}");
                let police = a["alerts"].as_array().unwrap().iter();
                let police = police.clone().find(|x| x["agency"] == "police").unwrap();
                (
                    a["reference"].as_str().unwrap().to_owned(),
                    police["id"].as_str().unwrap().to_owned(),
                )
            }
        };
        let (own, area, shut) =
            (case("northshire").await, case("southshire").await, case("northshire").await);
        let (reviewed, closed) = (case("northshire").await, case("northshire").await);
        app.add_user("south@x.example", "coordinator", "southshire", None).await;
        let south = app.sign_in("south@x.example").await;
        let south_word = word_of(&app, &south).await;
        let north = &cookies["coordinator"];
        let mut papers = Vec::new();
        for c in [&own, &area, &shut, &reviewed, &closed] {
            let there = if c.0 == area.0 { (&south, &south_word) } else { (&north.0, &north.1) };
            papers.push(document(&app, there.0, there.1, &c.0).await);
        }
        for (c, milestone) in [(&reviewed, "panel_review"), (&closed, "finalised")] {
            let done = json!({ "milestone": milestone, "standing": "done" });
            let (s, said) = app.post(&format!("/api/v1/cases/{}/milestones", c.0), done).await;
            assert_eq!(s, 200, "{said}");
        }
        let extras = |area: &'static str| {
            let app = &app;
            async move {
                let panel = json!({ "name": "P", "held_on": "2026-12-01", "area": area });
                let (_, p) = app.post("/api/v1/panels", panel).await;
                let (_, d) = app.post("/api/v1/drills", json!({ "area": area })).await;
                (p["id"].as_str().unwrap().to_owned(), d["reference"].as_str().unwrap().to_owned())
            }
        };
        let (own_extra, area_extra) = (extras("northshire").await, extras("southshire").await);
        until("sent", || async { store.outbox_figures().await.unwrap().waiting == 0 }).await;
        // One person's name stands on the list of the restricted case.
        let people = store.everybody().await.unwrap();
        let named = store.user_by_email("named@x.example").await.unwrap().unwrap().id;
        assert!(people.len() >= PEOPLE.len());
        let (s, said) = app
            .post(
                &format!("/api/v1/cases/{}/restrictions", shut.0),
                json!({ "reason": "a member of staff's child", "people": [named] }),
            )
            .await;
        assert_eq!(s, 200, "{said}");
        let delivery = |alert: &str| {
            let hex = alert.replace('-', "");
            format!("UPDATE delivery SET state = 'dead' WHERE alert_id = x'{hex}'; SELECT 1")
        };
        app.db.run(&delivery(&own.1)).await.unwrap();
        app.db.run(&delivery(&area.1)).await.unwrap();
        let first = |alert: &str| {
            let (store, id) = (store.clone(), uuid::Uuid::try_parse(alert).unwrap());
            async move {
                let id = child_death_review::domain::id::AlertId(id);
                store.first_delivery(id).await.unwrap().unwrap().to_string()
            }
        };
        let nobody = uuid::Uuid::new_v4().to_string();
        // Another case of the area, to compare with.
        let other = case("northshire").await.0;
        let set = |c: &(String, String),
                   paper: &str,
                   extra: &(String, String),
                   area: &str,
                   delivery: String| {
            let ((r, alert), (panel, drill)) = (c, extra);
            BTreeMap::from([
                ("reference", r.to_owned()),
                ("alert", alert.to_owned()),
                ("panel", panel.to_owned()),
                ("drill", drill.to_owned()),
                ("document", paper.to_owned()),
                ("area", area.to_owned()),
                ("delivery", delivery),
                ("other", other.clone()),
            ])
        };
        let nothing = (String::new(), String::new());
        let own_alert = first(&own.1).await;
        let own = set(&own, &papers[0], &own_extra, "northshire", own_alert);
        let area_alert = first(&area.1).await;
        let area = set(&area, &papers[1], &area_extra, "southshire", area_alert);
        let restricted = set(&shut, &papers[2], &nothing, "", String::new());
        let reviewed = set(&reviewed, &papers[3], &nothing, "", String::new());
        let closed = set(&closed, &papers[4], &nothing, "", String::new());
        let none = ("CDR-2026-999999".to_owned(), nobody.clone());
        let no_extra = (nobody.clone(), none.0.clone());
        let missing = set(&none, &nobody, &no_extra, "nowhere", nobody.clone());
        Self { app, cookies, tokens, own, area, restricted, reviewed, closed, missing }
    }

    /// One request; status, where a redirect leads, and the body unless it never ends.
    async fn ask(&self, who: &str, method: &str, path: &str) -> (u16, String, String) {
        let verb = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let mut r = self.app.http.request(verb, format!("{}{path}", self.app.url));
        let api = path.starts_with("/api/") || path == "/metrics";
        if let Some(t) = self.tokens.get(who) {
            r = r.bearer_auth(t);
        } else if let Some((cookie, word)) = self.cookies.get(who) {
            r = r.header("cookie", cookie);
            if method != "get" {
                let reference = &self.own["reference"];
                r = r.body(format!(
                    "_csrf={word}&by=telephone&area=northshire&reference={reference}"
                ));
            }
        }
        if method != "get" && api {
            r = r.header("content-type", "application/json").body(body_for(path));
        }
        let answer = r.send().await.unwrap();
        let status = answer.status().as_u16();
        let to = answer.headers().get("location").map(|l| l.to_str().unwrap().to_owned());
        let endless =
            answer.headers().get("content-type").is_some_and(|t| t == "text/event-stream");
        let text = if endless { String::new() } else { same(&answer.text().await.unwrap()) };
        (status, to.unwrap_or_default(), text)
    }
}

/// Adds a document to a case by its page; its id.
async fn document(app: &App, cookie: &str, word: &str, reference: &str) -> String {
    let case = format!("/cases/{reference}");
    let content = b"%PDF-1.7\nQuorlswick";
    let r = app
        .http
        .post(format!("{}{case}/documents", app.url))
        .header("cookie", cookie)
        .header("content-type", format!("multipart/form-data; boundary={EDGE}"))
        .body(crate::documents::form(word, "report.pdf", content))
        .send()
        .await
        .unwrap();
    assert_eq!(r.status(), 303, "{}", r.text().await.unwrap());
    let page = app.page(&case, cookie).await.1.replace("&#x2f;", "/");
    let start = format!("href=\"{case}/documents/");
    let mut links = page.split(&start).skip(1);
    let id = links.find_map(|l| l.split('"').next().filter(|id| !id.contains('/')));
    id.expect("the case page links to its document").to_owned()
}

/// A page without what is new each time: its scripts' nonce.
pub fn same(page: &str) -> String {
    let mut parts = page.split("nonce=\"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('"').map_or("", |(_, rest)| rest));
    }
    out
}

/// The word that a session's forms carry, for those too who have no page with one.
async fn word_of(app: &App, cookie: &str) -> String {
    let id = cookie.split_once('=').unwrap().1;
    let hour = chrono::Duration::hours(1);
    let limits = session::Limits { idle: hour, absolute: hour };
    let found = session::resume(&app.service().store, id, chrono::Utc::now(), limits).await;
    found.unwrap().unwrap().csrf
}

/// A body that is read, and refused only after the caller was let in.
fn body_for(path: &str) -> String {
    let value = match path {
        p if p.ends_with("/notifications") || p.ends_with("/assessments") => all_no(),
        p if p.ends_with("/search") => json!({ "person": "Quorlswick" }),
        p if p.ends_with("/acknowledgements") => json!({ "name": "Sgt Walker" }),
        p if p.ends_with("/drills") => json!({ "area": "northshire" }),
        p if p.ends_with("/end") || p.ends_with("/replays") => json!({}),
        _ => json!({}),
    };
    value.to_string()
}

/// Puts an object into a path.
fn filled(path: &str, with: &BTreeMap<&'static str, String>) -> String {
    let id = if path.contains("/panels/") {
        "panel"
    } else if path.contains("/deliveries/") {
        "delivery"
    } else {
        "alert"
    };
    let reference = if path.contains("/drills/") { "drill" } else { "reference" };
    let mut p = path
        .replace("{reference}", &with[reference])
        .replace("{id}", &with[id])
        .replace("{area}", &with["area"])
        .replace("{agency}", "jar_nurse")
        .replace("{person}", "nurse-a")
        .replace("{contact}", "hook")
        .replace("{document}", &with["document"])
        .replace("{group}", "child")
        .replace("{field}", "child.date_of_birth")
        .replace("{rotation}", "weeks")
        .replace("{version}", "0")
        .replace("{n}", "0")
        .replace("{token}", "not-a-link")
        .replace("{other}", &with["other"])
        .replace("{message}", "00000000-0000-0000-0000-000000000000");
    if p == "/static/css_path" || p == "/static/js_path" {
        p = "/static/none".to_owned();
    }
    if p.ends_with("/exports/ncmd") {
        p += "?from=2026-01-01&to=2026-12-31&format=json";
    }
    if p.ends_with("/dry-run") {
        p += "?kind=jar_triggered";
    }
    p
}

fn class(status: u16, to: &str) -> &'static str {
    match status {
        303 if to == "/sign-in" => "in",
        401 => "in",
        403 => "no",
        404 => "none",
        500.. => "broken",
        _ => "yes",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_answers_every_caller_as_reviewed() {
    let things = Things::make().await;
    let mut header = vec!["method", "path", "object", "nobody"];
    header.extend(PEOPLE.iter().map(|p| p.0));
    header.extend(TOKENS.iter().map(|t| t.0));
    let mut text = header.join(",") + "\n";
    let mut unlike = Vec::new();
    // Signing out ends the session that the others need: it comes last.
    let mut routes: Vec<_> = served().into_iter().collect();
    routes.sort_by_key(|(m, p)| (p == "/sign-out", p.clone(), m.clone()));
    for (method, path) in &routes {
        let api = path.starts_with("/api/") || path == "/metrics";
        let objects: &[&str] = match path {
            p if p.contains("{reference}") && !p.contains("/drills/") => {
                &["own", "area", "restricted", "reviewed", "closed"]
            }
            p if p.contains("/alerts/{id}") => &["own", "area", "restricted", "reviewed", "closed"],
            p if ["{reference}", "{id}", "{area}"].iter().any(|x| p.contains(x)) => {
                &["own", "area"]
            }
            _ => &["-"],
        };
        for object in objects {
            let with = match *object {
                "area" => &things.area,
                "restricted" => &things.restricted,
                "reviewed" => &things.reviewed,
                "closed" => &things.closed,
                _ => &things.own,
            };
            let there = filled(path, with);
            let nowhere = filled(path, &things.missing);
            write!(text, "{method},{path},{object}").unwrap();
            for who in header.iter().skip(3) {
                let machine = who.starts_with("t_");
                if *who != "nobody" && machine != api {
                    text.push(',');
                    continue;
                }
                let (status, to, body) = things.ask(who, method, &there).await;
                let is = match status {
                    // Tried too often: no way in either.
                    429 if path == "/sign-in" => "in",
                    _ => class(status, &to),
                };
                write!(text, ",{is}").unwrap();
                if is == "none" && there != nowhere {
                    let (s, _, b) = things.ask(who, method, &nowhere).await;
                    if (status, &body) != (s, &b) {
                        unlike.push(format!("{who} {method} {there}: {status} is not {s}"));
                    }
                }
                if is == "broken" {
                    unlike.push(format!("{who} {method} {there}: {status} {body}"));
                }
            }
            text.push('\n');
        }
    }
    assert!(unlike.is_empty(), "denied unlike missing:\n{}", unlike.join("\n"));
    if std::env::var_os("CDR_WRITE_ROUTES").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let reviewed = std::fs::read_to_string(FILE).unwrap_or_default();
    let differ: Vec<String> = text
        .lines()
        .filter(|l| !reviewed.lines().any(|r| r == *l))
        .map(|l| format!("is       {l}"))
        .chain(
            reviewed
                .lines()
                .filter(|r| !text.lines().any(|l| l == *r))
                .map(|r| format!("reviewed {r}")),
        )
        .collect();
    assert!(
        differ.is_empty(),
        "if this is meant, review it in {FILE} (CDR_WRITE_ROUTES=1 writes it):\n{}",
        differ.join("\n")
    );
}

/// GET routes of a case that write no audit line, and why. None of them says anything about the child,
/// which the test holds them to.
const UNAUDITED: [(&str, &str); 5] = [
    ("/api/v1/cases/{reference}/alerts", "who is alerted and where that stands"),
    (
        "/api/v1/cases/{reference}/likenesses",
        "references of other cases, and what kind of fact agrees",
    ),
    ("/cases/{reference}/alerts/{id}", "the form \"spoke to them\" of one alert"),
    ("/cases/{reference}/reached", "who is alerted and where that stands"),
    ("/cases/{reference}/reached/live", "the same page's part, sent as it changes"),
];

/// Whoever reads what a case says of the child leaves a line with the case's id, every time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_look_at_a_case_is_an_audit_line() {
    let things = Things::make().await;
    let reference = Reference::parse(&things.own["reference"]).unwrap();
    let (id, _) = things.app.service().store.find(&reference).await.unwrap().unwrap();
    let lines = format!("SELECT COUNT(*) FROM audit WHERE case_id = x'{}'", id.0.simple());
    let of_a_case = |p: &str| {
        (p.contains("{reference}") && !p.contains("/drills/")) || p.contains("/alerts/{id}")
    };
    let (mut walked, mut silent) = (0, Vec::new());
    for (method, path) in served() {
        if method != "get" || !of_a_case(&path) {
            continue;
        }
        let api = path.starts_with("/api/");
        // Retention and the audit itself are for other roles.
        let who = match path.as_str() {
            _ if api => "t_read",
            p if p.starts_with("/audit/") || p.starts_with("/retention/") => "guardian",
            _ => "coordinator",
        };
        let before = things.app.db.number(&lines).await;
        let (status, _, text) = things.ask(who, "get", &filled(&path, &things.own)).await;
        let after = things.app.db.number(&lines).await;
        walked += usize::from(status == 200);
        let excepted = UNAUDITED.iter().any(|(p, _)| *p == path);
        let told = MARKS.iter().find(|m| text.contains(*m)).filter(|_| excepted);
        assert_eq!(told, None, "{path} says something of the child and writes no line");
        if (status == 200 && after <= before) != excepted {
            silent.push(format!("{who} {path}: {status}, {} lines", after - before));
        }
    }
    assert!(walked >= 15, "{walked}");
    assert!(
        silent.is_empty(),
        "read without a line, or listed in UNAUDITED without need:\n{}",
        silent.join("\n")
    );
}
