//! Two nodes on one PostgreSQL, one of them paused or with a clock that is wrong; and one node whose
//! clock jumps a day.

use crate::doubles::gateway::Fault;
use crate::story::*;
use crate::support::{Db, on_both, triggering, until};
use child_death_review::config::Config;
use child_death_review::domain::id::Reference;
use std::collections::BTreeSet;

/// Nothing is closed, given up or answered by itself.
async fn all_is_open(story: &Story) {
    let s = story.state(&story.case()).await;
    let open = s.alerts.values().filter(|a| a.acknowledge && a.progress.is_unanswered()).count();
    assert_eq!(open, 2);
    let ended = "SELECT COUNT(*) FROM delivery WHERE state IN ('dead', 'cancelled')";
    assert_eq!(story.look.number(ended).await, 0);
}

/// What went to each point under each id.
fn ids(story: &Story) -> Vec<(String, String)> {
    let id = |g: &Got| g.order["id"].as_str().unwrap_or_default().to_owned();
    story.all.iter().filter(|g| g.by != "mail").map(|g| (g.to.clone(), id(g))).collect()
}

/// Every rung after the first, each at its time and once.
async fn climbs_on(story: &mut Story, from: usize) {
    for (rung, wait) in [(1, 180), (2, 180), (3, 240)] {
        if rung >= from {
            story.forward(seconds(wait)).await;
            story.expect_rung("police", rung).await;
            story.expect_rung("social_care", rung).await;
            story.expect_nothing_more().await;
        }
    }
}

/// Notifies at one node.
async fn notify_at(story: &mut Story, n: usize) {
    let url = format!("{}/api/v1/notifications", story.nodes[n].url);
    let r = story.http.post(url).bearer_auth(&story.token).body(triggering().to_string());
    let r = r.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(r.status(), 201);
    let answer: serde_json::Value = serde_json::from_str(&r.text().await.unwrap()).unwrap();
    story.references.push(Reference::parse(answer["reference"].as_str().unwrap()).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_paused_for_five_minutes_with_messages_in_hand_is_stood_in_for_and_tells_nobody_again()
 {
    // Long enough for both texts to hang when it is paused, short enough to run out meanwhile.
    let change = |c: &mut Config| c.channels.timeout_seconds = 5;
    let mut story = Story::with(Db::postgres().await, change, "").await;
    story.another_node().await;
    story.gateway.set("sms", Some(Fault::AcceptThenHang));
    notify_at(&mut story, 0).await;
    let gateway = story.gateway.clone();
    let done = "SELECT COUNT(*) FROM delivery WHERE state = 'done'";
    until("only the texts are in hand", || async {
        gateway.hits() >= 2 && story.look.number(done).await == 4
    })
    .await;
    story.nodes[0].freeze();
    story.gateway.set("sms", None);
    story.clock.forward(minutes(5));
    // The other takes over the texts, under their ids, and the rung that came due.
    story.expect_first_messages().await;
    story.expect_rung("police", 1).await;
    story.expect_rung("social_care", 1).await;
    story.expect_nothing_more().await;
    all_is_open(&story).await;
    // Longer than the paused node gave its texts: what it finds on waking is over.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    story.nodes[0].thaw();
    let woken = format!("{}/health/live", story.nodes[0].url);
    assert_eq!(story.http.get(woken).send().await.unwrap().status(), 200);
    story.expect_nothing_more().await;
    climbs_on(&mut story, 2).await;
    all_is_open(&story).await;
    let all = ids(&story);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "nothing came twice");
    assert_eq!(story.reply(AMY, "YES {code}").await, 200);
    let police = story.alert(&story.case(), "police").await;
    assert!(story.state(&story.case()).await.alerts[&police].acknowledged.is_some());
    story.finish().await;
}

/// Throws away what came again under the same id, which whoever got it drops.
async fn drop_repeats(story: &mut Story) {
    story.settle().await;
    let id = |g: &Got| g.words.lines().find(|l| l.starts_with("Message-ID:")).map(str::to_owned);
    let mut seen = BTreeSet::new();
    story.pending.retain(|g| g.by != "mail" || id(g).is_none_or(|i| seen.insert(i)));
}

/// One clock is five minutes ahead of the other; the death is notified at `at`.
async fn clocks_apart(off: i64, at: usize) {
    let mut story = Story::begin(Db::postgres().await).await;
    story.another_node_off_by(minutes(off)).await;
    notify_at(&mut story, at).await;
    // By the fast clock the slow one's leases are over when they begin: both may send one message.
    drop_repeats(&mut story).await;
    story.expect_first_messages().await;
    // Whoever is ahead may climb early, by as much as the clocks differ, and never late.
    let early = (off > 0) == (at == 0);
    if early {
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
    }
    story.expect_nothing_more().await;
    climbs_on(&mut story, if early { 2 } else { 1 }).await;
    all_is_open(&story).await;
    for n in 0..2 {
        let round = story.watch().await;
        assert!(round.findings.is_empty(), "{:?}", round.findings);
        if off > 0 && n == 0 {
            // The slow one looks: a step that lies so far ahead of its clock is a mistake to it, and
            // is put where its own clock has it. Early again, and once.
            story.expect_human_for_both().await;
        }
        story.expect_nothing_more().await;
    }
    let all = ids(&story);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "nothing came twice");
    // An answer at either is an answer.
    for agency in ["police", "social_care"] {
        let alert = story.alert(&story.case(), agency).await;
        story.acknowledge(alert, child_death_review::service::Reply::CanAttend).await;
        if off > 0 {
            story.expect_text("last_step", MANAGER, "has answered").await;
        }
    }
    story.forward(minutes(60)).await;
    story.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_notified_at_the_slow_one_of_two_clocks_is_climbed_once_and_never_late() {
    clocks_apart(5, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_notified_at_the_fast_one_of_two_clocks_is_climbed_once_and_never_late() {
    clocks_apart(5, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_that_is_five_minutes_slow_repeats_nothing() {
    clocks_apart(-5, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_notified_at_a_second_node_that_is_five_minutes_slow_is_told_under_one_id() {
    clocks_apart(-5, 1).await;
}

on_both! {
    async fn a_clock_that_jumps_a_day_ahead_climbs_one_rung_and_then_at_the_usual_pace(db: Db) {
        let mut story = Story::begin(db).await;
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        story.forward(minutes(24 * 60)).await;
        let round = story.watch().await;
        assert!(round.findings.is_empty(), "{:?}", round.findings);
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.expect_nothing_more().await;
        climbs_on(&mut story, 2).await;
        all_is_open(&story).await;
        story.finish().await;
    }

    async fn a_clock_that_falls_back_a_day_delays_no_step_and_no_message_by_more_than_a_look(db: Db) {
        let mut story = Story::begin(db).await;
        // Care's text meets an outage and is to be tried again.
        story.gateway.set(&international(CARE), Some(Fault::Status(503)));
        story.notify(triggering()).await;
        story.expect_rung("police", 0).await;
        story.expect_mail("edt@socialcare.example", "Joint Agency Response").await;
        story.expect_mail(OFFICE, "Joint Agency Response").await;
        story.expect_nothing_more().await;
        story.gateway.set(&international(CARE), None);
        story.clock.forward(-minutes(24 * 60));
        // The watcher looks every minute.
        story.forward(minutes(1)).await;
        let round = story.watch().await;
        assert!(round.mended > 0, "{round:?}");
        story.expect_text("social_care", CARE, "URGENT").await;
        story.expect_nothing_more().await;
        for rung in 1..4 {
            story.forward(minutes(5)).await;
            story.watch().await;
            story.expect_rung("police", rung).await;
            story.expect_rung("social_care", rung).await;
            story.expect_nothing_more().await;
        }
        all_is_open(&story).await;
        // Set right again, a day later: one rung, not a day's worth.
        story.forward(minutes(24 * 60)).await;
        story.watch().await;
        story.expect_human_for_both().await;
        story.expect_nothing_more().await;
        story.finish().await;
    }

    async fn on_the_night_on_which_clocks_go_forward_every_rung_comes_at_its_time_and_once(db: Db) {
        clocks_change(db, "2026-03-29T01:00:00Z").await;
    }

    async fn on_the_night_on_which_clocks_go_back_every_rung_comes_at_its_time_and_once(db: Db) {
        clocks_change(db, "2026-10-25T01:00:00Z").await;
    }

    async fn a_leap_second_repeats_nothing_and_delays_nothing_by_more_than_itself(db: Db) {
        let mut story = Story::begin(db).await;
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        for (rung, wait) in [(1, 180), (2, 180), (3, 240)] {
            // The second before the rung is told twice: 23:59:59 comes again.
            story.forward(seconds(wait - 1)).await;
            story.forward(seconds(-1)).await;
            story.expect_nothing_more().await;
            story.forward(seconds(2)).await;
            story.expect_rung("police", rung).await;
            story.expect_rung("social_care", rung).await;
            // And the one after it.
            story.forward(seconds(-1)).await;
            story.forward(seconds(1)).await;
            story.expect_nothing_more().await;
        }
        assert!(story.watch().await.findings.is_empty());
        all_is_open(&story).await;
        story.finish().await;
    }
}

/// A death five minutes before the clocks change at `at`: its ladder crosses that moment.
async fn clocks_change(db: Db, at: &str) {
    let mut story = Story::begin(db).await;
    let at: chrono::DateTime<chrono::Utc> = at.parse().unwrap();
    story.clock.set(at - minutes(5));
    story.settle().await;
    story.pending.clear();
    story.notify(triggering()).await;
    story.expect_first_messages().await;
    for (rung, wait) in [(1, 180), (2, 180), (3, 240)] {
        story.forward(seconds(wait - 1)).await;
        story.expect_nothing_more().await;
        story.forward(seconds(1)).await;
        story.expect_rung("police", rung).await;
        story.expect_rung("social_care", rung).await;
        story.expect_nothing_more().await;
        assert!(story.watch().await.findings.is_empty());
    }
    assert!(story.now() > at, "the ladder has crossed the change");
    // The hour that comes twice, or never, leaves nothing owed and closes nothing.
    story.forward(minutes(60)).await;
    assert!(story.watch().await.findings.is_empty());
    all_is_open(&story).await;
    story.pending.clear();
    story.finish().await;
}
