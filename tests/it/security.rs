//! The security list, row by row: headers, forgery, stored markup, leaks, floods, exhaustion.

use crate::access::served;
use crate::doubles::mail::MailDouble;
use crate::faults::Program;
use crate::support::{App, Db, MARKS, Sink, area_text, csrf, triggering, until};
use child_death_review::alerts::link::Links;
use child_death_review::auth::policy::Caller;
use child_death_review::config::Config;
use child_death_review::domain::id::AlertId;
use child_death_review::platform::clock::SystemClock;
use child_death_review::service::Invited;
use child_death_review::store::ServiceKey;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn app_with(change: impl FnOnce(&mut Config)) -> App {
    let sink = Sink::start().await;
    let area = area_text(&sink, "");
    App::with(Db::sqlite(), sink, &area, change, Arc::new(SystemClock)).await
}

fn some(path: &str) -> String {
    let mut p = String::new();
    for part in path.split('/').skip(1) {
        p.push('/');
        p.push_str(match part {
            "{reference}" => "CDR-2026-999999",
            "{area}" => "northshire",
            "{agency}" => "police",
            part if part.starts_with('{') => "00000000-0000-4000-8000-000000000000",
            part => part,
        });
    }
    p
}

/// Every route, signed in and not, found or not, carries the same guards.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_security_headers() {
    let app = app_with(|_| {}).await;
    app.add_user("c@x.example", "administrator", "northshire", None).await;
    let cookie = app.sign_in("c@x.example").await;
    let mut seen = 0;
    for (method, path) in served() {
        for cookie in ["", cookie.as_str()] {
            let verb = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let r = app.http.request(verb, format!("{}{}", app.url, some(&path)));
            let r = r.header("cookie", cookie).send().await.unwrap();
            let h = r.headers();
            let said = |n: &str| h.get(n).map_or("", |v| v.to_str().unwrap());
            let csp = said("content-security-policy");
            assert!(
                csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"),
                "{path}"
            );
            assert!(!csp.contains("unsafe"), "{path}: {csp}");
            assert_eq!(said("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(said("x-frame-options"), "DENY", "{path}");
            assert_eq!(
                said("referrer-policy"),
                "same-origin",
                "{path}: an address never leaves to another site"
            );
            assert_eq!(said("cross-origin-opener-policy"), "same-origin", "{path}");
            let cached = said("cache-control");
            let static_one =
                (path.starts_with("/static/") || path == "/favicon.ico") && r.status() == 200;
            assert!(
                static_one || cached.contains("no-store") || cached.contains("no-cache"),
                "{path}: {cached}"
            );
            assert!(h.get("server").is_none() && h.get("x-powered-by").is_none());
            seen += 1;
        }
    }
    assert!(seen > 150);
}

/// No page changes anything without the session's own word, nor at another site's bidding.
#[tokio::test(flavor = "multi_thread")]
async fn no_change_without_the_sessions_word() {
    let app = app_with(|_| {}).await;
    app.add_user("c@x.example", "administrator", "northshire", None).await;
    let cookie = app.sign_in("c@x.example").await;
    let word = csrf(&app.page("/panels", &cookie).await.1);
    // Open to whoever holds the link, or to everybody.
    let open = ["/notify", "/a/{token}", "/invitation/{token}", "/sign-in"];
    let mut seen = 0;
    for (method, path) in served() {
        let page = !["/api/", "/hooks/"].iter().any(|p| path.starts_with(p));
        if method != "post" || !page || open.iter().any(|o| path.starts_with(o)) {
            continue;
        }
        for (fields, site) in [
            ("x=y".to_owned(), "same-origin"),
            ("_csrf=wrong".to_owned(), "same-origin"),
            (format!("_csrf={word}"), "cross-site"),
        ] {
            let r = app
                .http
                .post(format!("{}{}", app.url, some(&path)))
                .header("cookie", &cookie)
                .header("sec-fetch-site", site)
                .body(fields.clone())
                .send()
                .await
                .unwrap();
            assert_eq!(r.status(), 403, "{path} {fields} {site}");
        }
        seen += 1;
    }
    assert!(seen > 40, "{seen}");
    let forged = app
        .http
        .post(format!("{}/sign-in", app.url))
        .header("sec-fetch-site", "cross-site")
        .body("email=c@x.example&password=correct+horse+battery")
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), 403, "signing in is not forged either");
    assert_eq!(app.page("/", &cookie).await.0, 200, "the session still stands");
}

/// Every table that a form of a stranger could change, as comparable text.
async fn open_tables(db: &Db) -> Vec<String> {
    let mut out = Vec::new();
    for q in [
        "SELECT group_concat(hex(id) || version || COALESCE(sent_at, '') || changed_at) FROM draft",
        "SELECT group_concat(hex(stream_id) || version) FROM journal",
        "SELECT group_concat(hex(id) || state || phase) FROM alert",
        "SELECT group_concat(hex(id)) FROM delivery",
        "SELECT group_concat(hex(id)) FROM bulletin",
        "SELECT COUNT(*) FROM session",
        "SELECT COUNT(*) FROM sign_in_step",
        "SELECT COUNT(*) FROM known_device",
        "SELECT group_concat(hex(id) || COALESCE(used_at, '')) FROM invitation",
        "SELECT group_concat(hex(id) || COALESCE(password_hash, '') || COALESCE(disabled_at, '')) FROM user_account",
        "SELECT COUNT(*) FROM audit",
    ] {
        out.push(format!("{q}: {}", db.text(q).await));
    }
    out
}

/// Forms that need no session act for no other site: refused, nothing changed, no cookie set.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_site_acts_through_the_open_forms() {
    let app = app_with(|c| c.server.public_url = "http://localhost".into()).await;
    app.add_user("c@x.example", "coordinator", "northshire", None).await;
    let a = app.notify(triggering()).await;
    let key = app.service().store.service_key(ServiceKey::Links).clone();
    let links = Links::new(key, &app.url);
    let police = a["alerts"].as_array().unwrap().iter().find(|x| x["agency"] == "police").unwrap();
    let alert = uuid::Uuid::parse_str(police["id"].as_str().unwrap()).unwrap();
    let answer = links.acknowledge(AlertId(alert));
    let invited = Invited {
        name: "Somebody Else".into(),
        email: "new@x.example".into(),
        role: "coordinator".into(),
        area: "northshire".into(),
        agency: None,
    };
    let by = Caller::operator();
    let invitation = app.service().invite(&by, &invited, 72, false).await.unwrap();
    let invitation = links.invitation(invitation);
    // A draft that was begun, and one that was sent.
    let (open, code) = begun(&app).await;
    let (sent, _) = begun(&app).await;
    assert_eq!(
        app.form(
            "/notify/caller",
            &sent,
            &[("_version", "9"), ("notifier.telephone", "07700 900987")]
        )
        .await
        .0,
        303
    );
    assert_eq!(app.form("/notify/send", &sent, &[]).await.1, "/notify/done");
    // Nothing changes by itself any more.
    let alerts = "SELECT COUNT(*) FROM alert WHERE state IN ('planned', 'sending')";
    until("sent", || async { app.db.number(alerts).await == 0 }).await;
    let prefixes = ["/notify", "/a/", "/invitation/", "/sign-in"];
    let foreign: [&[(&str, &str)]; 4] = [
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site"), ("origin", "null")],
    ];
    let fields = [
        ("_key", "a-key-of-another-site-that-is-as-long-as-ours-are"),
        ("_version", "9"),
        ("event", "death"),
        ("child.family_name", "Forged"),
        ("notifier.telephone", "07700 900123"),
        ("code", code.as_str()),
        ("_mail", "thief@evil.example"),
        ("_from", "A"),
        ("_to", "B"),
        ("name", "Sgt Forged"),
        ("answer", "can"),
        ("email", "c@x.example"),
        ("password", "correct horse battery"),
        ("_anyway", "yes"),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut routes = 0;
    for (method, path) in served() {
        if method != "post" || !prefixes.iter().any(|p| path.starts_with(p)) {
            continue;
        }
        routes += 1;
        let paths: Vec<String> = match path.as_str() {
            "/a/{token}" => vec![answer.replace(&app.url, "")],
            "/invitation/{token}" => vec![invitation.replace(&app.url, "")],
            "/notify/{page}" => ["what", "who", "caller"].map(|p| format!("/notify/{p}")).into(),
            "/notify/more/{section}" => vec!["/notify/more/child".to_owned()],
            p => vec![p.to_owned()],
        };
        for path in paths {
            for cookie in [&open, &sent] {
                for headers in foreign {
                    let before = open_tables(&app.db).await;
                    let mut r =
                        app.http.post(format!("{}{path}", app.url)).header("cookie", cookie);
                    for (n, v) in headers {
                        r = r.header(*n, *v);
                    }
                    let r = r.body(body.clone()).send().await.unwrap();
                    assert_eq!(r.status(), 403, "{path} {headers:?}");
                    assert!(r.headers().get("set-cookie").is_none(), "{path} {headers:?}");
                    assert_eq!(open_tables(&app.db).await, before, "{path} {headers:?}");
                }
            }
        }
    }
    assert!(routes >= 14, "{routes}");
    // The same from our own page acts, so that the test means something.
    let r = app.http.post(&answer).header("sec-fetch-site", "same-origin").body(body).send().await;
    assert_eq!(r.unwrap().status(), 200);
}

/// A draft with a page filled in: its cookie and its code.
async fn begun(app: &App) -> (String, String) {
    let page = app.page("/notify", "").await.1;
    let key = page.split("name=\"_key\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let r = app.http.post(format!("{}/notify/what", app.url));
    let r = r.body(format!("_key={key}&_version=0&event=death")).send().await.unwrap();
    assert_eq!(r.status(), 303);
    let cookie = r.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let code = cookie.split_once('=').unwrap().1.to_owned();
    (cookie, code)
}

/// A session's cookie is out of scripts' reach, new at each sign-in, and dead after signing out.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_fresh_guarded_and_end() {
    let app = app_with(|_| {}).await;
    app.add_user("c@x.example", "coordinator", "northshire", None).await;
    let fixed = "cdr_session=chosen-by-an-attacker";
    let r = app
        .http
        .post(format!("{}/sign-in", app.url))
        .header("cookie", fixed)
        .body("email=c@x.example&password=correct+horse+battery")
        .send()
        .await
        .unwrap();
    let set = r.headers()["set-cookie"].to_str().unwrap().to_owned();
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(set.contains(flag), "{set}");
    }
    assert!(!set.contains("chosen-by-an-attacker"));
    assert_eq!(app.page("/", fixed).await.0, 303, "a fixed id opens nothing");
    let (one, two) = (app.sign_in("c@x.example").await, app.sign_in("c@x.example").await);
    assert_ne!(one, two);
    let word = csrf(&app.page("/", &one).await.1);
    assert_eq!(app.form("/sign-out", &one, &[("_csrf", &word)]).await.0, 303);
    assert_eq!((app.page("/", &one).await.0, app.page("/", &two).await.0), (303, 200));
}

/// Behind TLS no cookie travels in clear or belongs to a neighbouring host, and the browser is told to
/// stay with TLS; what was set over plain HTTP counts for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_every_cookie_is_secure_and_bound_to_the_host() {
    let app = app_with(|c| c.server.public_url = "https://cdr.example".into()).await;
    app.add_user("c@x.example", "coordinator", "northshire", None).await;
    let signed = app
        .http
        .post(format!("{}/sign-in", app.url))
        .body("email=c@x.example&password=correct+horse+battery")
        .send()
        .await
        .unwrap();
    let first = app.http.get(format!("{}/notify", app.url)).send().await.unwrap();
    assert!(first.headers()["strict-transport-security"].to_str().unwrap().contains("max-age="));
    let page = first.text().await.unwrap();
    let key = page.split("name=\"_key\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let begun = app
        .http
        .post(format!("{}/notify/what", app.url))
        .body(format!("_key={key}&_version=0&event=death"))
        .send()
        .await
        .unwrap();
    let mut names = Vec::new();
    for r in [&signed, &begun] {
        assert_eq!(r.status(), 303);
        for c in r.headers().get_all("set-cookie") {
            let c = c.to_str().unwrap();
            for flag in ["; Secure", "; HttpOnly", "; Path=/;", "; SameSite=Lax"] {
                assert!(c.contains(flag), "{c} has no {flag}");
            }
            assert!(c.starts_with("__Host-") && !c.contains("Domain="), "{c}");
            names.push(c.split('=').next().unwrap().to_owned());
        }
    }
    for name in ["__Host-cdr_session", "__Host-cdr_device", "__Host-cdr_draft"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
    let session = signed.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    assert_eq!(app.page("/", session).await.0, 200);
    let plain = session.trim_start_matches("__Host-");
    assert_eq!(app.page("/", plain).await.0, 303, "a cookie of plain HTTP opens nothing");
}

/// Whether an account exists cannot be read from the answer.
#[tokio::test(flavor = "multi_thread")]
async fn signing_in_does_not_say_who_exists() {
    let app = app_with(|_| {}).await;
    app.add_user("somebody@x.example", "coordinator", "northshire", None).await;
    let attempt = |who: &'static str| {
        let app = &app;
        async move {
            app.form("/sign-in", "", &[("email", who), ("password", "not the password")]).await
        }
    };
    let (known, unknown) =
        (attempt("somebody@x.example").await, attempt("nobodyxx@x.example").await);
    assert_eq!(known.0, unknown.0);
    assert_eq!(
        crate::access::same(&known.2).replace("somebody@x.example", ""),
        crate::access::same(&unknown.2).replace("nobodyxx@x.example", "")
    );
}

fn marked_up(v: &mut Value, markup: &str) {
    match v {
        Value::String(s) if s.chars().any(char::is_alphabetic) && s.len() > 3 => {
            *s = format!("{s}{markup}")
        }
        Value::Array(a) => a.iter_mut().for_each(|x| marked_up(x, markup)),
        Value::Object(o) => o.values_mut().for_each(|x| marked_up(x, markup)),
        _ => {}
    }
}

/// Markup in every field comes out as text on every page.
#[tokio::test(flavor = "multi_thread")]
async fn stored_markup_stays_text() {
    const MARKUP: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let app = app_with(|_| {}).await;
    for (name, role) in [("c", "coordinator"), ("g", "guardian")] {
        app.add_user(&format!("{name}@x.example"), role, "northshire", None).await;
    }
    app.db
        .run(&format!("UPDATE user_account SET name = '{}'", MARKUP.replace('\'', "''")))
        .await
        .unwrap();
    let mut body = triggering();
    for part in ["notifier", "household", "professionals"] {
        marked_up(&mut body[part], MARKUP);
    }
    for field in ["given_names", "family_name"] {
        body["child"][field] = json!(format!("Zephyrine{MARKUP}"));
    }
    body["child"]["address"]["lines"] = json!([MARKUP]);
    body["death"]["circumstances"] = json!(format!("Zephyrine Test {MARKUP}"));
    body["death"]["place"]["name"] = json!(MARKUP);
    body[MARKUP] = json!(MARKUP);
    let a = app.notify(body).await;
    let reference = a["reference"].as_str().unwrap();
    let case = format!("/api/v1/cases/{reference}");
    let alert = a["alerts"][0]["id"].as_str().unwrap();
    app.post(
        &format!("/api/v1/alerts/{alert}/acknowledgements"),
        json!({ "name": MARKUP, "role": MARKUP, "note": MARKUP }),
    )
    .await;
    app.post(
        &format!("{case}/jar/plan"),
        json!({ "agency": "police", "entry": MARKUP, "person": { "name": MARKUP } }),
    )
    .await;
    app.post(&format!("{case}/jar/decisions"), json!({ "decision": "stand_down", "reason": MARKUP, "consulted": [MARKUP], "decided_by": { "name": MARKUP } })).await;
    app.post(
        &format!("{case}/milestones"),
        json!({ "milestone": "inquest", "standing": "awaited", "note": MARKUP }),
    )
    .await;
    app.post(&format!("{case}/holds"), json!({ "reason": MARKUP })).await;
    let (_, panel) =
        app.post("/api/v1/panels", json!({ "name": MARKUP, "held_on": "2026-12-01" })).await;
    let panel = panel["id"].as_str().unwrap();
    app.post(
        &format!("/api/v1/panels/{panel}/cases"),
        json!({ "reference": reference, "despite": MARKUP }),
    )
    .await;
    let cookie = app.sign_in("c@x.example").await;
    let guardian = app.sign_in("g@x.example").await;
    let mut pages = Vec::new();
    for path in [
        "/",
        "/board",
        "/panels",
        "/drills",
        "/directory",
        "/directory/northshire",
        "/break-glass",
        "/subject-access",
    ] {
        pages.push(app.page(path, &cookie).await);
    }
    for path in [
        format!("/cases/{reference}"),
        format!("/cases/{reference}/reached"),
        format!("/panels/{panel}"),
    ] {
        pages.push(app.page(&path, &cookie).await);
    }
    for path in
        ["/audit".to_owned(), format!("/audit/cases/{reference}"), "/retention?all=true".to_owned()]
    {
        pages.push(app.page(&path, &guardian).await);
    }
    let word = csrf(&pages[0].1);
    let posted = [
        ("_csrf", word.as_str()),
        ("reference", reference),
        ("name", "Zephyrine Other"),
        ("q", MARKUP),
        ("reason", MARKUP),
    ];
    for path in ["/subject-access", "/search", "/break-glass"] {
        let (s, _, page) = app.form(path, &cookie, &posted).await;
        pages.push((s, page));
    }
    let (s, _, page) = app
        .form("/notify", "", &[("child.family_name", MARKUP), ("death.circumstances", MARKUP)])
        .await;
    pages.push((s, page));
    let mut shown = 0;
    for (status, page) in pages {
        assert!(status < 500, "{page}");
        for raw in ["<script>alert", "<img src=x", "\"'>"] {
            assert!(!page.contains(raw), "{raw} in {page}");
        }
        shown += usize::from(page.contains("&lt;script&gt;"));
    }
    assert!(shown >= 6, "the markup is shown somewhere: {shown}");
}

/// What is asked too often waits, says how long, and never a notification.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_wait_and_notifications_go_through() {
    let app = app_with(|c| {
        c.limits.pages_a_minute = 100;
        c.limits.api_a_minute = 20;
        c.limits.sign_in_a_minute = 5;
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(app.get("/api/v1/cases").await.0);
    }
    assert!(statuses[..20].iter().all(|s| *s == 200) && statuses.contains(&429), "{statuses:?}");
    let r = app
        .http
        .get(format!("{}/api/v1/cases", app.url))
        .bearer_auth(&app.token)
        .send()
        .await
        .unwrap();
    assert_eq!(r.status(), 429);
    assert!(r.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(r.headers()["content-type"], "application/problem+json");
    assert!(r.headers().contains_key("content-security-policy"));
    for _ in 0..30 {
        app.notify(triggering()).await;
        assert_eq!(app.page("/notify", "").await.0, 200);
    }
    let tries: Vec<u16> = {
        let mut t = Vec::new();
        for _ in 0..8 {
            t.push(app.form("/sign-in", "", &[("email", "x"), ("password", "y")]).await.0);
        }
        t
    };
    assert!(tries.contains(&429) && tries[0] == 401, "{tries:?}");
    assert_eq!(app.get("/health/live").await.0, 200);
}

/// Tokens that anybody can make up are counted by where they come from, and keep out nobody who has one.
#[tokio::test(flavor = "multi_thread")]
async fn made_up_tokens_are_one_address_and_a_good_one_goes_through() {
    let app = app_with(|c| c.limits.notify_a_minute = 20).await;
    app.notify(triggering()).await;
    let mut said = Vec::new();
    for n in 0..30 {
        let url = format!("{}/api/v1/notifications", app.url);
        let r = app.http.post(url).bearer_auth(format!("cdr_made_up_{n}")).body("{}");
        said.push(r.send().await.unwrap().status().as_u16());
    }
    assert!(said[0] == 401 && said.last() == Some(&429), "{said:?}");
    app.notify(triggering()).await;
}

/// Whoever has signed in from a browser before is not kept out by what others try from its address.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_known_signs_in_while_others_try_from_its_address() {
    let app = app_with(|c| c.limits.sign_in_a_minute = 10).await;
    app.add_user("known@x.example", "coordinator", "northshire", None).await;
    let enter = |cookie: String| {
        let body = "email=known%40x.example&password=correct+horse+battery";
        let r = app.http.post(format!("{}/sign-in", app.url)).header("cookie", cookie);
        r.header("content-type", "application/x-www-form-urlencoded").body(body).send()
    };
    let r = enter(String::new()).await.unwrap();
    assert_eq!(r.status(), 303);
    let device = r.headers().get_all("set-cookie").iter().map(|c| c.to_str().unwrap());
    let device = device.filter_map(|c| c.split(';').next());
    let device = device.into_iter().find(|c| c.starts_with("cdr_device=")).unwrap().to_owned();
    for n in 0..10 {
        // An account each: that one account is slowed is another matter.
        app.form("/sign-in", "", &[("email", &format!("x{n}")), ("password", "y")]).await;
    }
    assert_eq!(enter(String::new()).await.unwrap().status(), 429);
    assert_eq!(enter(device).await.unwrap().status(), 303);
}

fn packed_with_spaces(text: &str, spaces: usize) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(text.as_bytes()).unwrap();
    out.write_all(&vec![b' '; spaces]).unwrap();
    out.finish().unwrap()
}

/// Twenty people of one hospital notify page by page, behind the address from which an office has read
/// all that it may; and a flood of notifications is stopped in the middle of the pages too.
#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_notifies_page_by_page_whatever_else_it_reads() {
    let app = app_with(|c| c.limits.pages_a_minute = 60).await;
    while app.page("/sign-in", "").await.0 != 429 {}
    let tell = |n: usize| {
        let app = &app;
        async move {
            let page = app.page("/notify", "").await.1;
            let key = page.split("name=\"_key\" value=\"").nth(1).unwrap();
            let key = key.split('"').next().unwrap().to_owned();
            let begun = [("_key", key.as_str()), ("_version", "0"), ("event", "death")];
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(begun).finish();
            let r = app.http.post(format!("{}/notify/what", app.url)).body(body).send();
            let r = r.await.unwrap();
            assert_eq!(r.status(), 303, "{n}");
            let cookie = r.headers()["set-cookie"].to_str().unwrap();
            let cookie = cookie.split(';').next().unwrap().to_owned();
            for page in ["who", "when", "where", "sudden", "cause", "care", "caller"] {
                assert_eq!(
                    app.page(&format!("/notify/{page}"), &cookie).await.0,
                    200,
                    "{n} {page}"
                );
                let field = match page {
                    "caller" => ("notifier.telephone", "07700 900123"),
                    _ => ("child.family_name", "Quorlswick"),
                };
                let path = format!("/notify/{page}");
                let typed = [("_version", "9999"), field];
                assert_eq!(app.form(&path, &cookie, &typed).await.0, 303, "{n} {page}");
            }
            assert_eq!(app.page("/notify/check", &cookie).await.0, 200, "{n}");
            let (s, to, _) = app.form("/notify/send", &cookie, &[]).await;
            assert_eq!((s, to.as_str()), (303, "/notify/done"), "{n}");
            for _ in 0..3 {
                assert_eq!(app.page("/notify/done/told", &cookie).await.0, 200, "{n}");
            }
        }
    };
    futures_util::future::join_all((0..20).map(tell)).await;
    assert_eq!(app.db.number("SELECT COUNT(*) FROM cases").await, 20);
    let few = app_with(|c| c.limits.notify_a_minute = 5).await;
    let mut said = Vec::new();
    for _ in 0..8 {
        said.push(few.form("/notify/who", "", &[("child.family_name", "x")]).await.0);
    }
    assert!(said.contains(&429), "pages of a notification are counted as one: {said:?}");
    assert_eq!(few.page("/sign-in", "").await.0, 200, "and nothing else is");
}

/// F15: what is too long, too deep, too many or packed is refused in bounded time.
#[tokio::test(flavor = "multi_thread")]
async fn oversized_deep_packed_and_many_keyed_bodies_are_refused_quickly() {
    let app = app_with(|_| {}).await;
    let n = "/api/v1/notifications";
    let started = Instant::now();
    let long = "x".repeat(5000);
    assert_eq!(app.get(&format!("/api/v1/cases?q={long}")).await.0, 414);
    let many: String = (0..40).map(|i| format!("a{i}=1&")).collect();
    assert_eq!(app.get(&format!("/api/v1/cases?{many}")).await.0, 400);
    let mut r = app.http.get(format!("{}/health/live", app.url));
    for i in 0..80 {
        r = r.header(format!("x-h{i}"), "1");
    }
    assert_eq!(r.send().await.unwrap().status(), 431);
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(app.raw(n, deep.as_bytes(), &[]).await.0, 400);
    // A sound notification with 16 MiB of spaces behind it, packed into a few kilobytes: taken as the
    // bytes that came. Unpacked it would be too large, or, without its spaces, a notification.
    let packed = packed_with_spaces(&triggering().to_string(), 16 << 20);
    assert!(packed.len() < 64 << 10, "{}", packed.len());
    assert_eq!(app.raw(n, &packed, &[("content-encoding", "gzip")]).await.0, 400);
    let bomb = packed_with_spaces("event=death", 16 << 20);
    let r = app.http.post(format!("{}/notify", app.url)).header("content-encoding", "gzip");
    assert_eq!(r.body(bomb).send().await.unwrap().status(), 422, "no form either");
    assert_eq!(app.db.number("SELECT COUNT(*) FROM cases").await, 0);
    // Many keys, as for a flood of collisions.
    let keys: Vec<String> = (0..30_000).map(|i| format!("\"k{i:05}\":1")).collect();
    let (s, _) = app
        .raw(
            n,
            format!("{{{},\"notifier\":{{\"telephone\":\"07700 900987\"}}}}", keys.join(","))
                .as_bytes(),
            &[],
        )
        .await;
    assert!(s == 201 || s == 422 || s == 413, "{s}");
    let form: String = (0..100_000).map(|i| format!("f{i}=1&")).collect();
    let r = app.http.post(format!("{}/notify", app.url)).body(form).send().await.unwrap();
    assert!(r.status().is_client_error(), "{}", r.status());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// A connection from one of many addresses.
async fn from_address(n: u8, to: &str) -> std::io::Result<tokio::net::TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(std::net::SocketAddr::from(([127, 0, 0, n], 0)))?;
    socket.connect(to.parse().unwrap()).await
}

/// How long a look took is an answer too: a stranger's report of a known death and of a new one, what
/// is another's and what is not there, all wait for the same moment (how alike, the bench says).
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_comes_sooner_for_what_is_known() {
    let app = app_with(|_| {}).await;
    for family in ["Evenmoor", "Evenmoor", "Oddmoor"] {
        let form =
            format!("event=death&child.family_name={family}&notifier.telephone=01632+960999");
        let asked = Instant::now();
        let r = app.http.post(format!("{}/notify/one-page", app.url)).body(form).send().await;
        assert_eq!(r.unwrap().status(), 201);
        assert!(asked.elapsed() >= Duration::from_millis(40), "{family}: {:?}", asked.elapsed());
    }
    for path in ["/api/v1/cases/CDR-2026-999999", "/api/v1/cases/nonsense"] {
        let asked = Instant::now();
        assert_eq!(app.get(path).await.0, 404);
        assert!(asked.elapsed() >= Duration::from_millis(10), "{path}: {:?}", asked.elapsed());
    }
}

/// Time that passes before a request is here as a whole does not count: whoever sends the rest late
/// would have no floor under the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_runs_ahead_of_its_body_gains_no_time() {
    let app = app_with(|_| {}).await;
    let address = app.url.strip_prefix("http://").unwrap().to_owned();
    let report = "event=death&child.family_name=Evenmoor&notifier.telephone=01632+960999";
    for body in [report, report] {
        let mut s = from_address(1, &address).await.unwrap();
        let head = format!(
            "POST /notify/one-page HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        s.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
        let sent = Instant::now();
        s.write_all(body.as_bytes()).await.unwrap();
        let mut said = String::new();
        s.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 201"), "{said}");
        assert!(sent.elapsed() >= Duration::from_millis(40), "{:?}", sent.elapsed());
    }
}

/// Nothing is read of a call-back that carries no proof: anybody can send one, as large and as
/// slowly as is let.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_back_without_proof_is_refused_unread() {
    let app = app_with(|c| c.server.body_timeout_seconds = 60).await;
    let address = app.url.strip_prefix("http://").unwrap().to_owned();
    for path in ["/hooks/gateway", "/hooks/twilio/x", "/hooks/notify"] {
        let mut s = from_address(1, &address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 16000\r\n\r\n");
        s.write_all(head.as_bytes()).await.unwrap();
        let mut said = [0; 12];
        let read = s.read_exact(&mut said);
        tokio::time::timeout(Duration::from_secs(20), read).await.expect(path).unwrap();
        assert_eq!(&said, b"HTTP/1.1 401", "{path}");
    }
}

/// F15: connections that say nothing, that say no more after their first answer, or that never end
/// what they say, from one address and from many, and honest clients beside them. With patience for
/// a minute, only giving them up lets anybody in.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_stand_in_the_way() {
    let app = app_with(|c| {
        c.server.header_timeout_seconds = 60;
        c.server.body_timeout_seconds = 60;
        c.server.max_connections = 50;
    })
    .await;
    let address = app.url.strip_prefix("http://").unwrap().to_owned();
    for said in [
        "",
        "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /notify/one-page HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\na=b",
    ] {
        let mut idle = Vec::new();
        for n in 0..400_u32 {
            let from = if n % 2 == 0 { 1 } else { u8::try_from(2 + n % 200).unwrap() };
            let mut s = from_address(from, &address).await.unwrap();
            let _ = s.write_all(said.as_bytes()).await;
            idle.push(s);
        }
        let started = Instant::now();
        for n in 0..20 {
            // Each on a connection of its own.
            let http = reqwest::Client::new();
            let r = http.get(format!("{}/health/live", app.url)).send().await;
            assert_eq!(r.unwrap().status(), 200, "{n} {said:?}");
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{said:?}: {:?}", started.elapsed());
    }
}

/// F15: a body that comes one letter at a time, each in time, is cut off all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_dribbles_is_cut_off() {
    let app = app_with(|c| c.server.body_timeout_seconds = 2).await;
    let address = app.url.strip_prefix("http://").unwrap().to_owned();
    let (app_token, size) = (&app.token, 2000);
    let head = format!(
        "POST /api/v1/notifications HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {app_token}\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    );
    let (mut answers, mut sends) = from_address(1, &address).await.unwrap().into_split();
    sends.write_all(head.as_bytes()).await.unwrap();
    let dribble = tokio::spawn(async move {
        for _ in 0..100 {
            if sends.write_all(b" ").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let mut said = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(15), answers.read(&mut said)).await;
    let n = read.expect("an answer in time").unwrap();
    let said = String::from_utf8_lossy(&said[..n]).into_owned();
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(
        said.contains("too_slow") && said.contains("the body did not arrive in time"),
        "{said}"
    );
    dribble.abort();
    assert_eq!(app.db.number("SELECT COUNT(*) FROM cases").await, 0);
}

/// Canary values through every error path: none in logs, headers, figures or answers to others;
/// and no line of the log can be forged.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_leaks_by_any_error() {
    let (db, sink) = (Db::sqlite(), Sink::start().await);
    let mut p = Program::new(&db, &sink, None);
    let config = p.dir.join("cdr.toml");
    let text =
        std::fs::read_to_string(&config).unwrap().replace("level = \"error\"", "level = \"debug\"");
    std::fs::write(&config, text).unwrap();
    p.start(None);
    assert!(p.ready().await);
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let base = format!("http://127.0.0.1:{}", p.port);
    let mut answers = String::new();
    let note = triggering().to_string();
    assert!(p.post_once(&http, "k").await.is_some());
    let mut bodies: Vec<Vec<u8>> = vec![
        note[..note.len() - 5].into(),
        note.replace("2024-03-01", "2024-03-0Z").into(),
        note.replace("\"death\"", "\"Quorlswick\"").into(),
        format!("[{note}]").into(),
        note.replace("notifier", "Quorlswick 9990000018").into(),
    ];
    bodies.push(format!("child.family_name=Quorlswick&death.date=2026-02-31&child.nhs_number=9990000018&x={note}").into());
    let forged = "%0d%0a%7B%22level%22:%22ERROR%22%7D";
    for (method, path) in served() {
        let verb = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let path = path
            .replace("{reference}", "Quorlswick")
            .replace("{id}", "Zephyrine")
            .replace("{token}", "Quorlswick")
            .replace("{area}", "Markermother");
        let path = some(&path);
        for body in &bodies {
            for token in [p.token.as_str(), "Zephyrine Quorlswick"] {
                let r = http
                    .request(
                        verb.clone(),
                        format!("{base}{path}?q=Quorlswick&cursor=Zephyrine{forged}"),
                    )
                    .bearer_auth(token)
                    .header("cookie", "cdr_session=Quorlswick")
                    .header("referer", "http://x/Quorlswick")
                    .header("idempotency-key", "Quorlswick")
                    .header("x-forwarded-for", "Quorlswick")
                    .timeout(Duration::from_secs(10))
                    .body(body.clone())
                    .send()
                    .await
                    .unwrap();
                for (name, value) in r.headers() {
                    answers.push_str(&format!("{name}: {value:?}\n"));
                }
                let json = r
                    .headers()
                    .get("content-type")
                    .is_some_and(|t| t == "application/problem+json");
                let text = r.text().await.unwrap_or_default();
                if json {
                    answers.push_str(&text);
                }
            }
            if method == "get" {
                break;
            }
        }
    }
    let metrics = http
        .get(format!("{base}/metrics"))
        .bearer_auth(&p.token)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    p.kill();
    let log = std::fs::read_to_string(p.dir.join("log")).unwrap();
    for mark in MARKS {
        for (what, text) in [("the log", &log), ("the figures", &metrics), ("an answer", &answers)]
        {
            let found = text.lines().find(|l| l.contains(mark));
            assert!(found.is_none(), "{mark} in {what}: {found:?}");
        }
    }
    assert!(!log.is_empty());
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "not a line of ours: {line}");
    }
    for secret in [p.token.as_str(), p.key.split_once(':').unwrap().1, crate::support::SECRET] {
        assert!(!log.contains(secret) && !metrics.contains(secret) && !answers.contains(secret));
    }
}

/// Secrets are in no debug text, no shown configuration, no complaint about it.
#[tokio::test]
async fn secrets_are_never_printed() {
    const SECRET: &str = "markersecret-0123456789";
    let mut c = child_death_review::config::load(None).unwrap();
    c.crypt.master_key = format!("k:{SECRET}").into();
    c.database.url = format!("postgres://u:{SECRET}@h/d").into();
    c.mail.password = SECRET.into();
    c.govuk_notify.api_key = SECRET.into();
    c.govuk_notify.callback_token = SECRET.into();
    c.gateway.secrets = SECRET.into();
    c.twilio.auth_token = SECRET.into();
    let shown =
        [format!("{c:?}"), serde_json::to_string(&c).unwrap(), c.check().unwrap_err().to_string()];
    for text in shown {
        assert!(!text.contains(SECRET), "{text}");
    }
    let (db, sink) = (Db::sqlite(), Sink::start().await);
    let p = Program::new(&db, &sink, None);
    let out = p
        .command(&["check-config"])
        .env("CDR__MAIL__PASSWORD", SECRET)
        .env("CDR__CRYPT__MASTER_KEY", format!("k:{SECRET}"))
        .output()
        .unwrap();
    let text = [out.stdout, out.stderr].concat();
    assert!(!String::from_utf8_lossy(&text).contains(SECRET));
    let facts: child_death_review::domain::facts::Facts =
        serde_json::from_value(json!({ "child": { "family_name": "Quorlswick" } })).unwrap();
    assert!(!format!("{facts:?}").contains("Quorlswick"));
}

/// F19: with 64 file descriptors it sheds load, and what it said was stored is stored.
#[tokio::test(flavor = "multi_thread")]
async fn out_of_file_descriptors_it_sheds_load_and_never_half_commits() {
    let (db, sink) = (Db::sqlite(), Sink::start().await);
    let mut p = Program::new(&db, &sink, None);
    p.start_after("ulimit -n 64", &[]);
    assert!(p.ready().await);
    let http = reqwest::Client::new();
    let mut held = Vec::new();
    for _ in 0..200 {
        if let Ok(Ok(s)) = tokio::time::timeout(
            Duration::from_millis(200),
            tokio::net::TcpStream::connect(("127.0.0.1", p.port)),
        )
        .await
        {
            held.push(s);
        }
    }
    let tries = futures_util::future::join_all((0..40).map(|n| {
        let (p, http) = (&p, &http);
        async move {
            let key = format!("k{n}");
            let sent = http
                .post(format!("http://127.0.0.1:{}/api/v1/notifications", p.port))
                .bearer_auth(&p.token)
                .header("idempotency-key", key)
                .timeout(Duration::from_secs(4))
                .body(triggering().to_string())
                .send()
                .await;
            match sent {
                Ok(r) => r.status().as_u16(),
                Err(_) => 0,
            }
        }
    }))
    .await;
    let accepted = i64::try_from(tries.iter().filter(|s| **s == 201).count()).unwrap();
    assert!(tries.iter().all(|s| [0, 201, 503].contains(s)), "{tries:?}");
    drop(held);
    // With room again it serves by itself, and a repeat under an old key is the same notification.
    let http = reqwest::Client::new();
    let started = Instant::now();
    while p.post_once(&http, "k0").await.is_none() {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "does not get well: {}",
            std::fs::read_to_string(p.dir.join("log")).unwrap()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    p.kill();
    let cases = db.number("SELECT COUNT(*) FROM cases").await;
    assert!(cases >= accepted, "{cases} of {accepted}");
    assert_eq!(db.number("SELECT COUNT(*) FROM alert").await, cases * 5, "each with its alerts");
    assert_eq!(db.number("SELECT COUNT(*) FROM stream").await, cases);
    let store = p.store().await;
    assert!(store.verify(&[]).await.unwrap().findings.is_empty());
}

/// A line break in anything that a mail's head is made of adds no line to it.
#[tokio::test(flavor = "multi_thread")]
async fn no_text_adds_a_header_to_a_mail() {
    const BREAKS: [&str; 3] =
        ["\r\nBcc: thief@evil.example", "\nBcc: thief@evil.example", "\rBcc: thief@evil.example"];
    let (sink, smtp) = (Sink::start().await, MailDouble::start().await);
    let mut agencies = String::new();
    for (n, b) in BREAKS.iter().enumerate() {
        let b = b.replace('\r', "\\r").replace('\n', "\\n");
        agencies.push_str(&format!(
            "[[agency]]\nid = \"a{n}\"\nname = \"Agency{b}\"\nring = \"01632 960102\"\ntold_of = [\"jar_triggered\"]\n[[agency.contact]]\nid = \"mail\"\nchannel = \"email\"\naddress = \"duty{n}@agency.example\"\n"
        ));
    }
    let area = format!(
        "id = \"northshire\"\nname = \"Northshire\\r\\nBcc: thief@evil.example\"\ncall_back = \"01632 960100\"\n{agencies}"
    );
    let port = smtp.port;
    let change = move |c: &mut Config| {
        c.mail.host = "127.0.0.1".into();
        c.mail.port = port;
    };
    let app = App::with(Db::sqlite(), sink, &area, change, Arc::new(SystemClock)).await;
    app.add_user("adm@x.example", "administrator", "*", None).await;
    app.notify(triggering()).await;
    until("alerts", || async { smtp.got_from(0).len() >= 3 }).await;
    // Invitations: the name is said, the address is written to.
    let cookie = app.sign_in("adm@x.example").await;
    let word = csrf(&app.page("/users", &cookie).await.1);
    for (n, b) in BREAKS.iter().enumerate() {
        let (name, email) = (format!("New Person{b}"), format!("new{n}@x.example"));
        let bad = format!("{email}{b}");
        for (address, status) in [(&bad, 422), (&email, 303)] {
            let all = [
                ("_csrf", word.as_str()),
                ("name", &name),
                ("email", address),
                ("role", "coordinator"),
                ("area", "northshire"),
            ];
            let (s, _, page) = app.form("/users", &cookie, &all).await;
            assert_eq!(s, status, "{address:?} {page}");
        }
    }
    // The resume code, to whatever a stranger calls their address.
    let (draft, _) = begun(&app).await;
    for (n, b) in BREAKS.iter().enumerate() {
        for bad in [
            format!("n{n}@nhs.example{b}"),
            format!("N{b} <n{n}@nhs.example>"),
            format!("\"N{b}\"@nhs.example"),
        ] {
            assert_eq!(
                app.form("/notify/code/mail", &draft, &[("_mail", &bad)]).await.0,
                422,
                "{bad:?}"
            );
        }
    }
    assert_eq!(app.form("/notify/code/mail", &draft, &[("_mail", "n@nhs.example")]).await.0, 303);
    until("all mails", || async { smtp.got_from(0).len() >= 7 }).await;
    for mail in smtp.got_from(0) {
        assert!(!mail.to.contains("evil") && !mail.to.contains(','), "{}", mail.to);
        let head = mail.text.split("\n\n").next().unwrap();
        for line in head.lines() {
            let name = line.split(':').next().unwrap().to_ascii_lowercase();
            let ours = [
                "message-id",
                "from",
                "to",
                "subject",
                "date",
                "mime-version",
                "content-type",
                "content-transfer-encoding",
            ];
            assert!(line.starts_with(' ') || ours.contains(&name.as_str()), "{line:?} in {head}");
            assert!(!line.contains('\r'), "{line:?}");
        }
    }
}

/// The checklist names no proof that is gone.
#[test]
fn every_named_test_exists() {
    fn sources(dir: &str, out: &mut String) {
        for e in std::fs::read_dir(dir).unwrap().flatten() {
            let p = e.path();
            if p.is_dir() {
                sources(p.to_str().unwrap(), out);
            } else if p.extension().is_some_and(|x| x == "rs") {
                out.push_str(&std::fs::read_to_string(p).unwrap());
            }
        }
    }
    let mut all = String::new();
    sources("src", &mut all);
    sources("tests/it", &mut all);
    let list = std::fs::read_to_string("docs/security/asvs.md").unwrap();
    let named: Vec<&str> = list
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|t| t.rsplit_once("::").map(|(_, name)| name))
        .filter(|n| n.contains('_'))
        .collect();
    assert!(named.len() > 25, "{named:?}");
    for name in named {
        assert!(all.contains(&format!("fn {name}(")), "{name} is named and does not exist");
    }
}
