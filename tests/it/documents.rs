//! Documents of a case: kept whole or not at all, sealed, given out as what they are, gone with the
//! case.

use crate::support::{App, MARKS, config_for, csrf, on_both, triggering, until};
use child_death_review::domain::id::{CaseId, Reference};
use child_death_review::store::DestructionRow;
use serde_json::json;
use tokio::io::AsyncWriteExt;

pub(crate) const EDGE: &str = "----edge7MA4YWxk";

/// A form as a browser sends it.
pub(crate) fn form(word: &str, name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = format!("--{EDGE}\r\nContent-Disposition: form-data; name=\"_csrf\"\r\n\r\n{word}\r\n--{EDGE}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n").into_bytes();
    out.extend_from_slice(content);
    out.extend_from_slice(format!("\r\n--{EDGE}--\r\n").as_bytes());
    out
}

fn pdf(size: usize) -> Vec<u8> {
    let mut out = b"%PDF-1.7\nQuorlswick Marker Lane\n".to_vec();
    out.extend((out.len()..size).map(|n| (n % 251) as u8));
    out
}

struct Desk<'a> {
    app: &'a App,
    cookie: String,
    word: String,
    case: String,
}

impl Desk<'_> {
    async fn send(&self, body: Vec<u8>, edge: &str) -> (u16, String) {
        let r = self
            .app
            .http
            .post(format!("{}{}/documents", self.app.url, self.case))
            .header("cookie", &self.cookie)
            .header("content-type", format!("multipart/form-data; boundary={edge}"))
            .body(body)
            .send()
            .await
            .unwrap();
        (r.status().as_u16(), r.text().await.unwrap())
    }

    async fn add(&self, name: &str, content: &[u8]) -> (u16, String) {
        self.send(form(&self.word, name, content), EDGE).await
    }

    /// Where the documents are that the case page links to.
    async fn links(&self) -> Vec<String> {
        let (s, page) = self.app.page(&self.case, &self.cookie).await;
        assert_eq!(s, 200);
        let start = format!("href=\"{}/documents/", self.case);
        let all = page.replace("&#x2f;", "/");
        all.split(&start)
            .skip(1)
            .map(|r| r.split('"').next().unwrap().to_owned())
            .filter(|p| !p.contains('/'))
            .map(|id| format!("{}/documents/{id}", self.case))
            .collect()
    }

    async fn rows(&self) -> (i64, i64) {
        (
            self.app.db.number("SELECT COUNT(*) FROM document").await,
            self.app.db.number("SELECT COUNT(*) FROM document_part").await,
        )
    }
}

async fn desk<'a>(app: &'a App, reference: &str) -> Desk<'a> {
    app.add_user("c@x.example", "coordinator", "northshire", None).await;
    let cookie = app.sign_in("c@x.example").await;
    let case = format!("/cases/{reference}");
    let word = csrf(&app.page(&case, &cookie).await.1);
    Desk { app, cookie, word, case }
}

/// What a copy for a living person says of the case's documents.
async fn copy_of(d: &Desk<'_>) -> String {
    let reference = d.case.rsplit('/').next().unwrap();
    let asked = [
        ("_csrf", d.word.as_str()),
        ("reference", reference),
        ("name", "Markermother Quorlswick"),
        ("format", "page"),
    ];
    let (s, _, page) = d.app.form("/subject-access", &d.cookie, &asked).await;
    assert_eq!(s, 200, "{page}");
    page.replace("&#x2f;", "/")
}

async fn started(db: crate::support::Db) -> (App, String) {
    let sink = crate::support::Sink::start().await;
    let text = crate::support::area_text(&sink, "");
    let app = App::with(
        db,
        sink,
        &text,
        |c| {
            c.documents.file_mib = 1;
            c.documents.case_mib = 2;
        },
        std::sync::Arc::new(child_death_review::platform::clock::SystemClock),
    )
    .await;
    let reference = app.notify(triggering()).await["reference"].as_str().unwrap().to_owned();
    (app, reference)
}

on_both! {
    async fn what_came_with_a_second_account_is_found_at_the_first_case(db: Db) {
        let (app, first) = started(db).await;
        let mut other = triggering();
        other["child"] = json!({ "family_name": "Somebodyelse" });
        let second = app.notify(other).await["reference"].as_str().unwrap().to_owned();
        let d = desk(&app, &second).await;
        let content = pdf(5_000);
        assert_eq!(d.add("report.pdf", &content).await.0, 303);
        let link = d.links().await.remove(0);
        let merge = json!({ "account": second, "reason": "one death" });
        let (s, said) = app.post(&format!("/api/v1/cases/{first}/merge"), merge).await;
        assert_eq!(s, 200, "{said}");
        let (s, page) = app.page(&format!("/cases/{first}"), &d.cookie).await;
        assert!(s == 200 && page.contains("report.pdf") && page.contains(&format!("with {second}")));
        let id = link.rsplit('/').next().unwrap();
        for reference in [&first, &second] {
            let url = format!("{}/cases/{reference}/documents/{id}", app.url);
            let r = app.http.get(url).header("cookie", &d.cookie).send().await.unwrap();
            assert_eq!(r.status(), 200);
            assert_eq!(r.bytes().await.unwrap(), content);
        }
        assert_eq!(app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'read_document'").await, 4, "a look at both, twice");
        // Nothing searches a document: whoever makes a copy for a living person is sent to read it.
        let of_first = Desk { case: format!("/cases/{first}"), app: &app, cookie: d.cookie.clone(), word: d.word.clone() };
        let page = copy_of(&of_first).await;
        assert!(page.contains(&format!("href=\"/cases/{first}/documents/{id}\">report.pdf</a>")) && page.contains(&format!("came with {second}")), "{page}");
    }

    async fn a_document_comes_back_as_it_was_and_lies_sealed(db: Db) {
        let (app, reference) = started(db).await;
        let d = desk(&app, &reference).await;
        let content = pdf(700_000);
        let (s, said) = d.add("../secret/Bericht ü %22x.pdf", &content).await;
        assert_eq!(s, 303, "{said}");
        assert_eq!(d.rows().await, (1, 3), "in parts");
        let links = d.links().await;
        assert_eq!(links.len(), 1);
        let r = app.http.get(format!("{}{}", app.url, links[0])).header("cookie", &d.cookie).send().await.unwrap();
        let h = |n: &str| r.headers().get(n).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        assert_eq!(r.status(), 200);
        assert!(h("content-disposition").starts_with("attachment; filename=\"Bericht"), "{}", h("content-disposition"));
        assert!(!h("content-disposition").contains("secret"));
        assert_eq!((h("content-type"), h("x-content-type-options"), h("cache-control"), h("content-security-policy"), h("content-length")), ("application/pdf".into(), "nosniff".into(), "no-store".into(), "sandbox; default-src 'none'".into(), "700000".into()));
        assert_eq!(r.bytes().await.unwrap(), content);
        assert_eq!(app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'read_document'").await, 1);
        // Nothing of it is readable where it lies.
        if app.db.is_sqlite() {
            for f in std::fs::read_dir(app.db.dir.path()).unwrap().flatten() {
                let bytes = std::fs::read(f.path()).unwrap_or_default();
                for m in MARKS.iter().chain(&["Bericht", "%PDF-1.7"]) {
                    assert!(!bytes.windows(m.len()).any(|w| w == m.as_bytes()), "{m} in {:?}", f.path());
                }
            }
        }
        // Whoever may not read the case may not read its documents; nor may anybody under another case.
        app.add_user("s@x.example", "coordinator", "southshire", None).await;
        let south = app.sign_in("s@x.example").await;
        assert_eq!(app.page(&links[0], &south).await.0, 404);
        let other = app.notify(triggering()).await["reference"].as_str().unwrap().to_owned();
        let id = links[0].rsplit('/').next().unwrap();
        assert_eq!(app.page(&format!("/cases/{other}/documents/{id}"), &d.cookie).await.0, 404);
        // The case rebuilt has it still.
        app.service().store.rebuild().await.unwrap();
        assert_eq!(d.links().await, links);
        assert_eq!(app.page(&links[0], &d.cookie).await.0, 200);
        // Withdrawn: asked first, with a reason; then the content is gone and the line stays.
        assert!(copy_of(&d).await.contains(&format!("href=\"{}\"", links[0])));
        let way = format!("{}/withdraw", links[0]);
        let (_, page) = app.page(&way, &d.cookie).await;
        assert!(page.contains("This cannot be undone"));
        assert_eq!(app.form(&way, &d.cookie, &[("_csrf", &d.word)]).await.0, 422, "no reason");
        assert_eq!(d.rows().await.0, 1);
        assert_eq!(app.form(&way, &d.cookie, &[("_csrf", &d.word), ("reason", "another child's")]).await.0, 303);
        assert_eq!(d.rows().await, (0, 0));
        assert_eq!(app.page(&links[0], &d.cookie).await.0, 404);
        assert!(d.links().await.is_empty());
        let (_, page) = app.page(&d.case, &d.cookie).await;
        assert!(page.contains("another child&#x27;s") && page.contains("Bericht"));
        assert!(copy_of(&d).await.contains("No document is with this case"));
        app.service().store.rebuild().await.unwrap();
        assert_eq!(d.rows().await, (0, 0));
        assert_eq!(app.form(&way, &d.cookie, &[("_csrf", &d.word), ("reason", "again")]).await.0, 404);
    }

    async fn a_content_that_was_swept_away_while_it_came_is_never_said_to_be_there(db: Db) {
        let (app, reference) = started(db).await;
        let store = app.service().store.clone();
        let reference = child_death_review::domain::id::Reference::parse(&reference).unwrap();
        let (case, _) = store.find(&reference).await.unwrap().unwrap();
        let mut coming = store.begin_document(case, chrono::Utc::now()).await.unwrap();
        store.add_part(&mut coming, b"%PDF-1.7 one").await.unwrap();
        store.forget_arrivals(chrono::Utc::now() + chrono::Duration::hours(1)).await.unwrap();
        assert!(store.add_part(&mut coming, b"two").await.is_err());
    }

    async fn what_is_not_taken_leaves_nothing_behind(db: Db) {
        let (app, reference) = started(db).await;
        let d = desk(&app, &reference).await;
        let before = app.get(&format!("/api/v1{}", d.case)).await.1["version"].clone();
        let large = pdf(1024 * 1024 + 1);
        for (what, name, content, status, says) in [
            ("zero bytes", "a.pdf", &b""[..], 422, "empty"),
            ("another ending", "a.exe", b"MZ", 422, "not taken"),
            ("a page", "a.html", b"<html>", 422, "not taken"),
            ("no name", "", b"%PDF-", 422, "Choose a file"),
            ("only folders", "../../", b"%PDF-", 422, "Choose a file"),
            ("not what it says", "a.png", b"%PDF-1.7", 422, "not what its name says"),
            ("a program as text", "a.txt", b"MZ\x00\x00", 422, "not what its name says"),
            ("an archive as Word", "a.docx", b"PK\x03\x04 evil.sh", 422, "not what its name says"),
            ("too large", "a.pdf", &large, 422, "larger than 1 MiB"),
        ] {
            let (s, page) = d.add(name, content).await;
            assert_eq!(s, status, "{what}: {page}");
            assert!(page.contains(says) && page.contains("There is a problem"), "{what}: {page}");
            assert_eq!(d.rows().await, (0, 0), "{what}");
        }
        // Broken off, forged, and no form at all.
        let whole = form(&d.word, "a.pdf", &pdf(300_000));
        let (s, page) = d.send(whole[..200_000].to_vec(), EDGE).await;
        assert!(s == 400 && page.contains("did not arrive whole"), "{s}");
        assert_eq!(d.send(form("wrong", "a.pdf", &pdf(100)), EDGE).await.0, 403);
        let file_first = String::from_utf8(form(&d.word, "a.txt", b"text")).unwrap().replacen("name=\"_csrf\"", "name=\"other\"", 1);
        assert_eq!(d.send(file_first.into_bytes(), EDGE).await.0, 403);
        assert_eq!(d.send(b"nothing".to_vec(), "x").await.0, 400);
        assert_eq!(app.form(&format!("{}/documents", d.case), &d.cookie, &[("_csrf", &d.word)]).await.0, 422);
        assert_eq!(d.rows().await, (0, 0));
        // A line that is cut in the middle.
        let at = app.url.split_once("://").unwrap().1;
        let mut line = tokio::net::TcpStream::connect(at).await.unwrap();
        let head = format!("POST {}/documents HTTP/1.1\r\nhost: {at}\r\ncookie: {}\r\ncontent-type: multipart/form-data; boundary={EDGE}\r\ncontent-length: 900000\r\n\r\n", d.case, d.cookie);
        line.write_all(head.as_bytes()).await.unwrap();
        line.write_all(&form(&d.word, "a.pdf", &pdf(600_000))[..500_000]).await.unwrap();
        until("half of it is there", || async { d.rows().await.1 > 0 }).await;
        assert!(d.links().await.is_empty(), "nothing half arrived is shown");
        drop(line);
        let store = app.service().store.clone();
        until("swept away", || async {
            store.forget_arrivals(chrono::Utc::now() + chrono::Duration::hours(1)).await.unwrap();
            d.rows().await == (0, 0)
        }).await;
        assert_eq!(app.get(&format!("/api/v1{}", d.case)).await.1["version"], before, "the case knows of none of it");
        // Two of the largest, and the third is one too many.
        for n in 0..2 {
            assert_eq!(d.add(&format!("{n}.pdf"), &pdf(1024 * 1024)).await.0, 303);
        }
        let (s, page) = d.add("3.pdf", &pdf(100)).await;
        assert!(s == 409 && page.contains("withdraw one that is not needed"), "{page}");
        assert_eq!(d.links().await.len(), 2);
        // Names that would be markup or a formula elsewhere.
        let (app2, reference) = (&app, app.notify(triggering()).await["reference"].as_str().unwrap().to_owned());
        let d2 = Desk { app: app2, cookie: d.cookie.clone(), word: d.word.clone(), case: format!("/cases/{reference}") };
        assert_eq!(d2.add("=HYPERLINK(1)<b>.txt", b"text").await.0, 303);
        let (_, page) = app.page(&d2.case, &d.cookie).await;
        assert!(page.contains("HYPERLINK(1)b.txt") && !page.contains("=HYPERLINK"));
    }

    async fn documents_go_with_the_case_and_come_with_a_backup(db: Db) {
        let (app, reference) = started(db).await;
        let d = desk(&app, &reference).await;
        let content = pdf(300_000);
        assert_eq!(d.add("a.pdf", &content).await.0, 303);
        let store = app.service().store.clone();
        let parsed = Reference::parse(&reference).unwrap();
        let (case, area) = store.find(&parsed).await.unwrap().unwrap();
        let id = uuid::Uuid::parse_str(d.links().await[0].rsplit('/').next().unwrap()).unwrap();
        if app.db.is_sqlite() {
            let out = app.db.dir.path().join("copy.sqlite");
            let target = child_death_review::store::Target::parse(&app.db.url).unwrap();
            child_death_review::store::backup::backup(&target, &out).await.unwrap();
            let copy = crate::support::Db { url: format!("sqlite://{}", out.display()), dir: tempfile::tempdir().unwrap() };
            let there = crate::store::open(&copy, &config_for(&app.db).crypt.master_key).await;
            let mut c = there.document(case, id).await.unwrap().unwrap();
            let mut read = Vec::new();
            while let Some(p) = there.next_part(&mut c).await.unwrap() {
                read.extend(p);
            }
            assert_eq!(read, content);
        }
        // A part moved elsewhere cannot be read.
        app.db.run("UPDATE document_part SET n = n + 10; UPDATE document_part SET n = 11 - n").await.unwrap();
        let mut c = store.document(case, id).await.unwrap().unwrap();
        assert!(store.next_part(&mut c).await.is_err());
        let now = chrono::Utc::now();
        store.ask_destruction(DestructionRow { case_id: case.0, reference: reference.clone(), area, rule: "test".into(), received_at: now, asked_at: now, asked_by: "user:a".into(), confirmed_at: None, confirmed_by: None, version: None, head: None }).await.unwrap();
        assert!(store.destroy(CaseId(case.0), "user:b".into(), now).await.unwrap());
        assert_eq!(d.rows().await, (0, 0), "nothing is left to be read, with or without a key");
        assert_eq!(app.page(&format!("{}/documents/{id}", d.case), &d.cookie).await.0, 410);
        assert_eq!(d.add("b.pdf", &content).await.0, 410);
        assert_eq!(json!(store.verify(&[]).await.unwrap().findings.len()), json!(0));
    }
}
