//! Answers by link, page and API that do not say yes: links that ran out or were touched, "cannot,
//! ask them", and what the board makes of it while somebody watches.

use crate::story::*;
use crate::support::{on_both, triggering};
use crate::visitor::Visitor;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use child_death_review::domain::escalation::Phase;
use child_death_review::domain::event::Means;
use child_death_review::domain::id::Reference;
use child_death_review::service::Reply;
use serde_json::json;

const CARA: &str = "07700 900777";

async fn look(story: &Story, link: &str) -> (u16, String) {
    let r = story.http.get(format!("{}{link}", story.node().url)).send().await.unwrap();
    (r.status().as_u16(), r.text().await.unwrap())
}

async fn nobody_has_it(story: &Story, case: &Reference) {
    let s = story.state(case).await;
    assert!(s.alerts.values().all(|a| a.acknowledged.is_none() && a.handed_on.is_none()));
}

/// Whoever was named is told at once and only they; the board says who handed on to whom; their
/// answer ends it.
async fn cara_is_next(mut story: Story, who: &str, means: Means) {
    let case = story.case();
    let text = story.expect_text("police", CARA, "The police hands this on to you").await;
    story.expect_call("police", CARA).await;
    story.expect_nothing_more().await;
    let police = story.alert(&case, "police").await;
    let s = story.state(&case).await;
    let alert = &s.alerts[&police];
    assert_eq!(alert.progress.phase, Phase::Climbing, "still open");
    assert!(alert.acknowledged.is_none());
    let office = Visitor::of(&story, "coordinator", "northshire", None).await;
    let line =
        format!("<span class=\"late\">cannot attend</span>: {who}, who named Cara Successor");
    for path in ["/board".to_owned(), format!("/cases/{case}/reached")] {
        let (_, page) = office.page(&path).await;
        assert!(page.contains(&line), "{path}: {page}");
    }
    let (_, t) = story.get(&format!("/api/v1/cases/{case}/timeline")).await;
    let said = format!(
        "The police: {who} cannot attend ({}); named Cara Successor, tried ",
        means.label()
    );
    assert!(t.to_string().contains(&said), "{said} is not in {t}");
    // They have the usual time; then the ladder goes on.
    story.forward(seconds(179)).await;
    story.expect_nothing_more().await;
    story.forward(seconds(1)).await;
    story.expect_rung("police", 1).await;
    story.expect_rung("social_care", 1).await;
    let (status, _) = story.answer_link(&link_in(&text.words), &[("name", "Cara Successor")]).await;
    assert_eq!(status, 200);
    let s = story.state(&case).await;
    assert_eq!(s.alerts[&police].acknowledged.as_ref().unwrap().person.name, "Cara Successor");
    let (_, page) = office.page("/board").await;
    assert!(!page.contains("cannot attend"), "answered: {page}");
    story.forward(minutes(3)).await;
    story.expect_rung("social_care", 2).await;
    story.finish().await;
}

on_both! {
    async fn a_link_that_has_run_out_answers_nothing_and_says_what_to_do(db: Db) {
        let mut story = Story::with(db, |c| c.messages.link_hours = 1, "").await;
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        let case = story.case();
        let link = link_in(&story.last_text(AMY).words);
        let alert = story.alert(&case, "police").await;
        let first = story.now();
        // While the alert climbs each message carries the link anew; later they are hours apart.
        let last = loop {
            let made = story.look.made(alert.0).await;
            let last = made.iter().map(|(_, at)| *at).max().unwrap();
            story.forward(last + minutes(60) - story.now()).await;
            let made = story.look.made(alert.0).await;
            if made.iter().all(|(_, at)| *at <= last) {
                break last;
            }
        };
        assert!(last > first, "the ladder went on");
        let (status, page) = look(&story, &link).await;
        assert!(status == 200 && page.contains("We have this"), "to the last second: {status}");
        story.forward(seconds(1)).await;
        let tells = |page: &str| {
            page.contains("This link has run out")
                && page.contains("href=\"tel:01632960100\"")
                && page.contains(&format!("href=\"/cases/{case}\""))
                && !page.contains("<form")
        };
        for fields in [vec![("name", "Sgt Late")], vec![("name", "Sgt Late"), ("answer", "cannot"), ("to", "Cara"), ("reach", CARA)], vec![]] {
            let (status, page) = story.answer_link(&link, &fields).await;
            assert_eq!(status, 410);
            assert!(tells(&page), "{page}");
        }
        let (status, page) = look(&story, &link).await;
        assert!(status == 410 && tells(&page), "{page}");
        nobody_has_it(&story, &case).await;
        assert!(!story.all.iter().any(|g| g.to == international(CARA)));
        // The ladder did not mind the link.
        assert_eq!(story.state(&case).await.alerts.values().filter(|a| a.progress.is_unanswered()).count(), 2);
        story.pending.clear();
        story.finish().await;
    }

    async fn a_link_that_was_touched_or_pieced_together_opens_nothing(db: Db) {
        let story = first_night(db).await;
        let case = story.case();
        let police = link_in(&story.last_text(AMY).words);
        let care = link_in(&story.last_text(CARE).words);
        let bytes = |link: &str| URL_SAFE_NO_PAD.decode(link.strip_prefix("/a/").unwrap()).unwrap();
        let (p, c) = (bytes(&police), bytes(&care));
        let made = |parts: &[&[u8]]| format!("/a/{}", URL_SAFE_NO_PAD.encode(parts.concat()));
        assert_eq!(look(&story, &made(&[&p])).await.0, 200, "whole, it opens");
        let mut wrong = vec![
            made(&[&p[..16], &c[16..]]),
            made(&[&c[..16], &p[16..]]),
            made(&[&p[..16]]),
            made(&[&p[..31]]),
            made(&[&p, &[0]]),
            made(&[&p, &p]),
            made(&[&p[..16], &[0; 16]]),
            made(&[uuid::Uuid::new_v4().as_bytes().as_slice(), &p[16..]]),
            format!("{police}="),
            format!("{police}x"),
            police[..police.len() - 1].to_owned(),
            "/a/x".to_owned(),
        ];
        // One bit wrong, wherever it is.
        for n in 0..p.len() {
            let mut one = p.clone();
            one[n] ^= 1 << (n % 8);
            wrong.push(made(&[&one]));
        }
        // The same length in other letters.
        let other = police.to_uppercase().replace("/A/", "/a/");
        if other != police {
            wrong.push(other);
        }
        for link in wrong {
            let (status, page) = look(&story, &link).await;
            assert_eq!(status, 404, "{link}");
            assert!(page.contains("This link does not work") && page.contains("call-back number"));
            assert!(!page.contains(&case.to_string()), "it shows nothing");
            assert_eq!(story.answer_link(&link, &[("name", "Mallory")]).await.0, 404, "{link}");
        }
        nobody_has_it(&story, &case).await;
        story.finish().await;
    }

    async fn cannot_on_the_page_of_the_link_tells_whoever_is_named(db: Db) {
        let story = first_night(db).await;
        let link = link_in(&story.last_text(AMY).words);
        let fields = [("name", "Sgt Away"), ("answer", "cannot"), ("to", "Cara Successor")];
        // Wrong words change nothing and stand in the form again.
        let (status, page) = story.answer_link(&link, &[fields.as_slice(), &[("reach", "the usual number")]].concat()).await;
        assert_eq!(status, 422);
        assert!(page.contains("value=\"the usual number\"") && page.contains("value=\"Cara Successor\""), "{page}");
        nobody_has_it(&story, &story.case()).await;
        let (status, page) = story.answer_link(&link, &[fields.as_slice(), &[("reach", CARA)]].concat()).await;
        assert_eq!(status, 200);
        assert!(page.contains("It is recorded that you cannot attend") && page.contains("Whoever you named is being told now"), "{page}");
        cara_is_next(story, "Sgt Away", Means::Link).await;
    }

    async fn cannot_over_the_api_tells_whoever_is_named(db: Db) {
        let story = first_night(db).await;
        let police = story.alert(&story.case(), "police").await;
        let path = format!("/api/v1/alerts/{police}/acknowledgements");
        let body = |reach: &str| json!({ "name": "DI Busy", "answer": "cannot", "hand_on_to": "Cara Successor", "hand_on_reach": reach });
        for wrong in ["0123", "cara@", "07700 900 77", "+1 212 555 0100", "0906 1234567"] {
            let (status, answer) = story.post(&path, body(wrong)).await;
            assert_eq!((status, answer["errors"][0]["field"].as_str()), (422, Some("reach")), "{wrong}: {answer}");
        }
        let (status, answer) = story.post(&path, json!({ "name": "DI Busy", "answer": "perhaps" })).await;
        assert_eq!(status, 422, "{answer}");
        nobody_has_it(&story, &story.case()).await;
        let (status, answer) = story.post(&path, body(CARA)).await;
        assert_eq!(status, 201, "{answer}");
        assert_eq!((answer["state"].as_str(), answer["phase"].as_str()), (Some("opened"), Some("climbing")));
        assert!(answer["acknowledged_at"].is_null());
        assert_eq!(story.post(&path, body(CARA)).await.0, 200, "twice is once");
        cara_is_next(story, "DI Busy", Means::Themselves).await;
    }

    async fn cannot_said_on_the_telephone_and_entered_by_the_office_tells_whoever_is_named(db: Db) {
        let story = first_night(db).await;
        let case = story.case();
        let police = story.alert(&case, "police").await;
        let office = Visitor::of(&story, "coordinator", "northshire", None).await;
        let path = format!("/cases/{case}/alerts/{police}");
        let fields = [("by", "telephone"), ("at", "04:02"), ("answer", "cannot"), ("to", "Cara Successor"), ("reach", CARA)];
        let (status, _, page) = office.fill(&path, &path, &fields).await;
        assert!(status == 422 && page.contains("Enter the name of the person you spoke to"), "{page}");
        let named = |reach: &'static str| [[("name", "Sgt Spoken")].as_slice(), &fields[..4], &[("reach", reach)]].concat();
        let (status, _, page) = office.fill(&path, &path, &named("soon")).await;
        assert!(status == 422 && page.contains("value=\"soon\""), "{page}");
        nobody_has_it(&story, &case).await;
        let (status, to, _) = office.fill(&path, &path, &named(CARA)).await;
        assert_eq!((status, to), (303, format!("/cases/{case}/reached")));
        cara_is_next(story, "Sgt Spoken", Means::Telephone).await;
    }

    async fn whoever_is_named_by_an_address_is_written_to_there(db: Db) {
        let mut story = first_night(db).await;
        let link = link_in(&story.last_text(AMY).words);
        let fields = [("name", "Sgt Away"), ("answer", "cannot"), ("to", "Cara"), ("reach", "cara@police.example")];
        assert_eq!(story.answer_link(&link, &fields).await.0, 200);
        let mail = story.expect_mail("cara@police.example", "handed on to you").await;
        story.expect_nothing_more().await;
        assert_eq!(story.answer_link(&link_in(&mail.words), &[("name", "Cara")]).await.0, 200);
        let police = story.alert(&story.case(), "police").await;
        assert!(story.state(&story.case()).await.alerts[&police].acknowledged.is_some());
        story.finish().await;
    }

    async fn a_cannot_at_night_rings_nobody_of_the_day_before_the_office_opens(db: Db) {
        let waits = "[[policy]]\nagencies = [\"social_care\"]\nevents = [\"jar_triggered\"]\nurgency = \"office\"\n";
        let mut story = Story::with(db, |_| {}, waits).await;
        story.notify(triggering()).await;
        story.expect_rung("police", 0).await;
        story.expect_mail("edt@socialcare.example", "Joint Agency Response").await;
        story.expect_mail(OFFICE, "Joint Agency Response").await;
        story.expect_nothing_more().await;
        let case = story.case();
        story.acknowledge(story.alert(&case, "police").await, Reply::CanAttend).await;
        story.plan(&case, "police").await;
        // Four in the morning, five hours before it opens: nobody is named, nobody is woken.
        let care = story.alert(&case, "social_care").await;
        story.cannot(care, "", "").await;
        story.expect_nothing_more().await;
        story.forward(minutes(120)).await;
        story.expect_nothing_more().await;
        // Whoever is named is told at once, and the morning's rung comes in the morning.
        story.cannot(care, "Cara Successor", CARA).await;
        story.expect_text("social_care", CARA, "hands this on to you").await;
        story.expect_call("social_care", CARA).await;
        story.forward(minutes(180) - seconds(1)).await;
        story.expect_nothing_more().await;
        story.forward(seconds(1)).await;
        story.expect_text("social_care", CARE, "URGENT: Joint Agency Response").await;
        story.expect_nothing_more().await;
        // By day a "cannot" that names nobody sends the next at once.
        story.cannot(care, "nobody here", "").await;
        story.expect_rung("social_care", 1).await;
        story.finish().await;
    }

    async fn whoever_watches_a_board_sees_an_answer_and_whoever_has_no_case_sees_none(db: Db) {
        let mut story = first_night(db).await;
        let case = story.case();
        let office = Visitor::of(&story, "coordinator", "northshire", None).await;
        let mut one = Live::of(office.open(&format!("/cases/{case}/reached/live")).await);
        let mut all = Live::of(office.open("/board/live").await);
        for live in [&mut one, &mut all] {
            let (event, html) = live.next().await;
            assert_eq!(event, "board");
            assert!(html.contains("2 partners have not acknowledged yet") && html.contains(&case.to_string()), "{html}");
        }
        // Whoever has no case is told so, or gets a page to sign in: never an event.
        for (role, area, agency) in [("agency", "northshire", Some("coroner")), ("coordinator", "elsewhere", None), ("panel_member", "northshire", None)] {
            let other = Visitor::of(&story, role, area, agency).await;
            for path in [format!("/cases/{case}/reached/live"), "/board/live".to_owned()] {
                let r = other.open(&path).await;
                let (status, kind) = (r.status().as_u16(), r.headers()["content-type"].to_str().unwrap().to_owned());
                if (role, path.as_str()) == ("coordinator", "/board/live") {
                    // Their own board, on which this case does not stand.
                    let (_, html) = Live::of(r).next().await;
                    assert!(html.contains("No alert is open") && !html.contains(&case.to_string()), "{html}");
                    continue;
                }
                assert!([403, 404].contains(&status) && kind.starts_with("text/html"), "{role} {path}: {status} {kind}");
                assert!(!r.text().await.unwrap().contains("The police"));
            }
        }
        let nobody = story.http.get(format!("{}/board/live", story.node().url)).header("cookie", "").send().await.unwrap();
        assert_ne!(nobody.headers()["content-type"], "text/event-stream");
        let police = story.alert(&case, "police").await;
        story.acknowledge(police, Reply::CanAttend).await;
        for live in [&mut one, &mut all] {
            let html = live.until("1 partner has not acknowledged yet").await;
            assert!(html.contains("acknowledged</span> by Pat Exampleton"), "{html}");
        }
        story.cannot(story.alert(&case, "social_care").await, "Cara Successor", CARA).await;
        for live in [&mut one, &mut all] {
            live.until("who named Cara Successor").await;
        }
        story.expect_text("social_care", CARA, "hands this on to you").await;
        story.expect_call("social_care", CARA).await;
        story.finish().await;
    }
}

/// A page that watches, as a browser reads it.
struct Live {
    r: reqwest::Response,
    read: String,
}

impl Live {
    fn of(r: reqwest::Response) -> Self {
        assert_eq!(r.status(), 200);
        assert_eq!(r.headers()["content-type"], "text/event-stream");
        assert_eq!(r.headers()["cache-control"], "no-cache");
        Self { r, read: String::new() }
    }

    /// The next event's name and data.
    async fn next(&mut self) -> (String, String) {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let of = |name: &str| {
                    let lines = event.lines().filter_map(|l| l.strip_prefix(name));
                    lines.map(|l| l.strip_prefix(' ').unwrap_or(l)).collect::<Vec<_>>().join("\n")
                };
                let found = (of("event:"), of("data:"));
                self.read = rest.to_owned();
                // A line without either keeps the connection open and says nothing.
                if !found.0.is_empty() {
                    return found;
                }
                continue;
            }
            let more = tokio::time::timeout(std::time::Duration::from_secs(60), self.r.chunk());
            let more = more.await.expect("an event").unwrap().expect("the page is not over");
            self.read.push_str(std::str::from_utf8(&more).unwrap());
        }
    }

    /// Reads on until the board says this.
    async fn until(&mut self, words: &str) -> String {
        for _ in 0..20 {
            let (event, html) = self.next().await;
            assert_eq!(event, "board");
            if html.contains(words) {
                return html;
            }
        }
        panic!("the board never said {words:?}");
    }
}
