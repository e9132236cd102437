//! Who has waited longest, and what the networks' limits do to that.

use crate::doubles::gateway::Fault;
use crate::story::*;
use crate::support::{on_both, triggering, until};
use crate::visitor::Visitor;
use child_death_review::config::Config;
use child_death_review::service::{Reply, Service};
use chrono::{DateTime, Duration, Utc};

const DOCTOR: &str = "07700 900301";

fn doctor() -> String {
    format!(
        "[[agency]]\nid = \"designated_doctor\"\nname = \"The doctor\"\nring = \"01632 960103\"\ntold_of = [\"jar_triggered\"]\n[[agency.contact]]\nid = \"mobile\"\nchannel = \"mobile\"\naddress = \"{DOCTOR}\"\n"
    )
}

/// The figure as monitoring reads it; it is read anew every few seconds.
async fn figure(story: &Story, name: &str, value: i64) {
    let line = format!("\n{name} {value}\n");
    until(&line, || async {
        let (status, text) = story.get("/metrics").await;
        assert_eq!(status, 200);
        text.as_str().unwrap().contains(&line)
    })
    .await;
}

async fn oldest(story: &Story, minutes: i64) {
    figure(story, "cdr_oldest_unacknowledged_minutes", minutes).await;
}

async fn board(story: &Story) -> String {
    let (status, page) =
        Visitor::of(story, "coordinator", "northshire", None).await.page("/board").await;
    assert_eq!(status, 200);
    page
}

async fn answered(story: &Story, case: &child_death_review::domain::id::Reference, agency: &str) {
    let alert = story.alert(case, agency).await;
    story.acknowledge(alert, Reply::CanAttend).await;
}

/// No hour holds more than `most` of these.
fn no_hour_has_more_than(most: usize, at: &[DateTime<Utc>]) {
    for from in at {
        let n = at.iter().filter(|t| *from <= **t && **t < *from + Duration::hours(1)).count();
        assert!(n <= most, "{n} within an hour from {from}");
    }
}

const HELD_BACK: &str = "SELECT COUNT(*) FROM attempt WHERE outcome LIKE 'held back%'";

on_both! {
    async fn tries_that_no_provider_took_do_not_count_and_after_an_outage_all_go_at_once(db: Db) {
        let change = |c: &mut Config| c.dispatch.texts_an_hour = 3;
        let mut story = Story::with(db, change, &doctor()).await;
        story.gateway.set("sms", Some(Fault::Status(503)));
        let cases = [story.notify(triggering()).await, story.notify(triggering()).await];
        for wait in [0, 6, 17, 34] {
            story.forward(seconds(wait)).await;
        }
        let tries = "SELECT COUNT(*) FROM attempt WHERE code = 503";
        assert!(story.look.number(tries).await >= 24, "four tries of each of six texts");
        let texts = |story: &Story, words: &str| {
            story.all.iter().filter(|g| g.by == "text" && g.to == international(DOCTOR) && g.words.contains(words)).count()
        };
        assert_eq!(texts(&story, ""), 0);
        story.gateway.set("sms", None);
        story.forward(seconds(67)).await;
        for case in &cases {
            assert_eq!(texts(&story, &case.to_string()), 1);
        }
        assert_eq!(story.look.number(HELD_BACK).await, 0);
        // Those two do: a third goes, and a fourth is held back.
        for _ in 0..2 {
            story.notify(triggering()).await;
        }
        story.settle().await;
        assert_eq!(texts(&story, ""), 3);
        assert!(story.look.number(HELD_BACK).await > 0);
        story.pending.clear();
        story.finish().await;
    }

    async fn a_try_that_may_have_reached_the_handset_counts(db: Db) {
        let change = |c: &mut Config| c.dispatch.texts_an_hour = 2;
        let mut story = Story::with(db, change, &doctor()).await;
        story.gateway.set("sms", Some(Fault::AcceptThenHang));
        story.notify(triggering()).await;
        story.forward(seconds(6)).await;
        assert_eq!(story.look.number(HELD_BACK).await, 0);
        story.forward(seconds(17)).await;
        assert_eq!(story.look.number(HELD_BACK).await, 3, "the third try of each of three texts");
        story.gateway.set("sms", None);
        story.settle().await;
        story.pending.clear();
        story.finish().await;
    }

    async fn the_partner_who_has_waited_longest_is_a_figure_and_stands_on_the_board(db: Db) {
        let mut story = Story::begin(db).await;
        oldest(&story, 0).await;
        assert!(board(&story).await.contains("No alert is open"));
        let first = story.notify(triggering()).await;
        story.forward(minutes(4)).await;
        let second = story.notify(triggering()).await;
        story.forward(minutes(3)).await;
        oldest(&story, 7).await;
        figure(&story, "cdr_alerts_open", 4).await;
        let page = board(&story).await;
        assert!(page.contains("4 partners have not acknowledged yet; the oldest has waited 7 minutes."), "{page}");
        assert!(page.contains("7 minutes without an answer") && page.contains("3 minutes without an answer"));
        // Telling the human at the end of the ladder is no answer of the partner's.
        story.forward(minutes(13)).await;
        answered(&story, &first, "police").await;
        oldest(&story, 20).await;
        answered(&story, &first, "social_care").await;
        oldest(&story, 16).await;
        assert!(board(&story).await.contains("2 partners have not acknowledged yet; the oldest has waited 16 minutes."));
        // Nobody died in a drill: it is no figure, and does not count in the words.
        story.node().with(|s: Service| async move { s.start_drill(&child_death_review::auth::policy::Caller::operator(), "northshire", None).await.unwrap().0 }).await;
        answered(&story, &second, "police").await;
        answered(&story, &second, "social_care").await;
        story.forward(minutes(5)).await;
        oldest(&story, 0).await;
        let page = board(&story).await;
        assert!(page.contains("Everybody who has to has acknowledged.") && page.contains("drill"), "{page}");
        // What nobody put into the plan comes back after four hours, as old as it is.
        story.forward(minutes(240)).await;
        oldest(&story, 265).await;
        assert!(board(&story).await.contains("the oldest has waited 265 minutes"));
        story.pending.clear();
        story.finish().await;
    }

    async fn a_partner_whose_messages_are_all_held_back_counts_like_any_other(db: Db) {
        let change = |c: &mut Config| c.dispatch.texts_an_hour = 1;
        let mut story = Story::with(db, change, &doctor()).await;
        // One uses up the text, one the call; of the third nothing can leave.
        let mut cases = Vec::new();
        for _ in 0..3 {
            cases.push(story.notify(triggering()).await);
            story.settle().await;
        }
        for case in &cases {
            for agency in ["police", "social_care", "designated_doctor"] {
                if case != &cases[2] || agency != "designated_doctor" {
                    answered(&story, case, agency).await;
                }
            }
        }
        let id = story.alert(&cases[2], "designated_doctor").await;
        story.forward(minutes(9)).await;
        let said = international(DOCTOR);
        let got = |story: &Story| {
            let reference = cases[2].to_string();
            story.all.iter().filter(|g| g.to == said && g.words.contains(&reference)).count()
        };
        assert_eq!(got(&story), 0, "nothing of it went");
        let made = story.look.made(id.0).await;
        assert!(made.len() >= 2, "and it was tried: {made:?}");
        oldest(&story, 9).await;
        figure(&story, "cdr_alerts_open", 1).await;
        let page = board(&story).await;
        assert!(page.contains("1 partner has not acknowledged yet; the oldest has waited 9 minutes."), "{page}");
        let (_, alerts) = story.get(&format!("/api/v1/cases/{}/alerts", cases[2])).await;
        let doctor = alerts["items"].as_array().unwrap().iter().find(|a| a["agency"] == "designated_doctor").unwrap().clone();
        assert_eq!((doctor["waiting_minutes"].as_i64(), doctor["state"].as_str()), (Some(9), Some("sending")));
        // Held back is not dropped, and once it went it still waits for an answer.
        for _ in 0..8 {
            story.forward(minutes(10)).await;
        }
        assert!(got(&story) > 0, "it went once there was room");
        oldest(&story, 89).await;
        story.pending.clear();
        story.finish().await;
    }

    async fn of_thirty_identical_texts_to_one_number_twenty_go_in_an_hour_the_ladder_moves_on_and_none_is_lost(db: Db) {
        let mut story = Story::begin(db).await;
        let case = story.notify(triggering()).await;
        story.settle().await;
        answered(&story, &case, "social_care").await;
        story.pending.clear();
        let police = story.alert(&case, "police").await;
        let named = "07700 900777";
        // Thirty people cannot, and all name the same colleague.
        for n in 0..30 {
            story.cannot(police, &format!("Cara Successor, says number {n}"), named).await;
            // One after the other: what the last of them named is what the ladder waits for.
            story.settle().await;
        }
        let of = |story: &Story, by: &str| {
            let to = international(named);
            story.all.iter().filter(|g| g.by == by && g.to == to).map(|g| g.words.clone()).collect::<Vec<_>>()
        };
        let texts = of(&story, "text");
        assert_eq!(texts.len(), 20, "the default of dispatch.identical_texts_an_hour");
        assert!(texts.iter().all(|t| *t == texts[0]), "they are identical");
        assert_eq!(of(&story, "call").len(), 20);
        // What could not be sent sends the next rung at once, before its three minutes.
        story.expect_rung("police", 1).await;
        let mut at = vec![story.now(); 20];
        for _ in 0..36 {
            story.forward(minutes(5)).await;
            let n = of(&story, "text").len();
            while at.len() < n {
                at.push(story.now());
            }
        }
        no_hour_has_more_than(20, &at);
        assert_eq!((at.len(), of(&story, "call").len()), (30, 30), "all of them went in the end");
        assert_eq!(story.look.number("SELECT COUNT(*) FROM delivery WHERE state IN ('dead', 'cancelled')").await, 0);
        story.pending.clear();
        story.finish().await;
    }

    async fn word_of_thirty_gaps_fills_the_offices_mailbox_at_once_and_its_telephone_at_the_networks_pace(db: Db) {
        let office = "07700 900888";
        let number = |n: usize| format!("07700 9004{n:02}");
        let mut more = format!("[[agency.contact]]\nid = \"mobile\"\nchannel = \"mobile\"\naddress = \"{office}\"\n[[agency]]\nid = \"wards\"\nname = \"The wards\"\nring = \"01632 960109\"\n");
        for n in 0..30 {
            more.push_str(&format!("[[agency.contact]]\nid = \"ward-{n}\"\nchannel = \"mobile\"\naddress = \"{}\"\n", number(n)));
        }
        let mut story = Story::with(db, |_| {}, &more).await;
        for n in 0..30 {
            let stop = serde_json::json!({ "event": "reply", "from": international(&number(n)), "text": "STOP" });
            assert_eq!(story.hook(&stop).await, 200);
        }
        story.settle().await;
        let of = |story: &Story, by: &str, to: &str| story.all.iter().filter(|g| g.by == by && g.to == to).count();
        let to = international(office);
        assert_eq!(of(&story, "mail", OFFICE), 30);
        let mut at = vec![story.now(); of(&story, "text", &to)];
        assert_eq!(at.len(), 20);
        for _ in 0..18 {
            story.forward(minutes(5)).await;
            while at.len() < of(&story, "text", &to) {
                at.push(story.now());
            }
        }
        no_hour_has_more_than(20, &at);
        assert_eq!(at.len(), 30, "none is lost");
        assert_eq!(of(&story, "mail", OFFICE), 30, "nothing is said twice");
        story.pending.clear();
        story.finish().await;
    }
}
