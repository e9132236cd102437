//! Mail servers that refuse, dawdle or say nothing, and what the other partners notice of it.

use crate::doubles::mail::SILENCE;
use crate::story::*;
use crate::support::{on_both, triggering, until};
use crate::visitor::Visitor;
use child_death_review::config::{Config, Provider};
use child_death_review::service::Service;
use std::time::Duration;

const AMYS_MAIL: &str = "amy@police.example";
const CARE_MAIL: &str = "edt@socialcare.example";

fn mails(story: &Story, to: &str) -> usize {
    story.mail.got_from(0).iter().filter(|m| m.to == to).count()
}

/// Long enough for a server to be slow on a slow machine.
fn patient(c: &mut Config) {
    c.mail.timeout_seconds = 60;
    c.dispatch.lease_seconds = 200;
}

fn by_notify_too(c: &mut Config) {
    c.channels.email = vec![Provider::Smtp, Provider::GovukNotify];
    c.mail.username = "cdr".into();
    c.mail.password = "synthetic".into();
}

/// Everybody's first messages, the mails among them by GOV.UK Notify, at once.
async fn notify_takes_over(mut story: Story, why: &str) {
    story.notify(triggering()).await;
    story.expect_first_messages().await;
    story.expect_nothing_more().await;
    assert!(story.mail.got_from(0).is_empty());
    assert_eq!(story.notify.sent().len(), 3, "no mail of the three is left");
    let proof = format!("SELECT COUNT(*) FROM attempt WHERE outcome = 'smtp: {why}'");
    assert!(story.look.number(&proof).await >= 2, "who was passed over is part of the proof");
    let others = "SELECT COUNT(*) FROM delivery WHERE state <> 'done'";
    assert_eq!(story.look.number(others).await, 0);
    story.finish().await;
}

on_both! {
    async fn a_mail_server_that_asks_to_come_later_hands_over_to_the_next_provider_at_once(db: Db) {
        let story = Story::with(db, by_notify_too, "").await;
        story.mail.answer("*", "451 not now");
        notify_takes_over(story, "the mail server asks to try later").await;
    }

    async fn a_mail_server_that_does_not_take_our_password_hands_over_to_the_next_provider_at_once(db: Db) {
        let story = Story::with(db, by_notify_too, "").await;
        story.mail.answer("AUTH", "535 5.7.8 authentication failed");
        notify_takes_over(story, "the mail server does not take our name and password").await;
    }

    async fn a_mail_server_that_blocks_our_network_hands_over_to_the_next_provider_at_once(db: Db) {
        let story = Story::with(db, by_notify_too, "").await;
        story.mail.answer("*", "554 we do not like your network");
        notify_takes_over(story, "the mail server refuses mail of ours").await;
    }

    async fn a_mail_server_that_never_greets_leaves_the_next_provider_its_time(db: Db) {
        let story = Story::with(db, by_notify_too, "").await;
        story.mail.greet_after(None);
        notify_takes_over(story, "no answer in time").await;
    }

    async fn without_another_provider_refused_mail_waits_until_the_server_is_mended(db: Db) {
        let change = |c: &mut Config| c.mail.username = "cdr".into();
        let mut story = Story::with(db, change, "").await;
        let dead = "SELECT COUNT(*) FROM delivery WHERE state = 'dead'";
        let refusals = [("AUTH", "535 5.7.8 authentication failed"), ("*", "421 closing"), ("MAIL", "530 log in first"), ("*", "554 no"), ("MAIL", "550 we do not know you")];
        for (command, refusal) in refusals {
            let before = story.mail.got_from(0).len();
            story.mail.answer(command, refusal);
            story.notify(triggering()).await;
            story.settle().await;
            // Half a minute of tries.
            story.forward(seconds(6)).await;
            story.forward(seconds(17)).await;
            assert_eq!(story.mail.got_from(0).len(), before, "{refusal}");
            assert_eq!(story.look.number(dead).await, 0, "{refusal}");
            story.mail.answer(command, "");
            story.forward(seconds(34)).await;
            assert_eq!(story.mail.got_from(before).len(), 3, "{refusal}");
        }
        assert_eq!(story.look.number("SELECT COUNT(*) FROM point WHERE unusable IS NOT NULL").await, 0);
        story.settle().await;
        story.pending.clear();
        story.finish().await;
    }

    async fn a_block_of_our_sender_is_no_dead_mailbox_and_an_unknown_mailbox_is_one(db: Db) {
        let mut story = Story::begin(db).await;
        story.mail.set(AMYS_MAIL, "550 5.7.1 your network is blocked");
        story.mail.set(CARE_MAIL, "550 5.1.1 no such user");
        story.notify(triggering()).await;
        story.settle().await;
        let dead = "SELECT COUNT(*) FROM delivery WHERE state = 'dead'";
        assert_eq!(story.look.number(&format!("{dead} AND lane LIKE '%social_care/mail'")).await, 1);
        assert_eq!(story.look.number(dead).await, 1);
        let gone = "SELECT COUNT(*) FROM point WHERE unusable IS NOT NULL";
        assert_eq!(story.look.number(&format!("{gone} AND lane LIKE '%social_care/mail'")).await, 1);
        assert_eq!(story.look.number(gone).await, 1);
        story.mail.set(AMYS_MAIL, "");
        story.forward(seconds(6)).await;
        assert_eq!((mails(&story, AMYS_MAIL), mails(&story, CARE_MAIL)), (1, 0));
        story.pending.clear();
        story.finish().await;
    }

    async fn a_mailbox_that_is_refused_for_good_is_an_urgent_gap_and_left_out_from_then_on(db: Db) {
        let mut story = Story::begin(db).await;
        story.mail.set(AMYS_MAIL, "550 no such mailbox");
        story.notify(triggering()).await;
        story.expect_hook("police", "").await;
        story.expect_text("police", AMY, "URGENT").await;
        story.expect_rung("social_care", 0).await;
        story.expect_mail(OFFICE, "Joint Agency Response").await;
        story.expect_nothing_more().await;
        let dead = "SELECT COUNT(*) FROM delivery WHERE state = 'dead'";
        assert_eq!(story.look.number(dead).await, 1, "not tried again");
        // The watcher tells the office within its minute, and once.
        for _ in 0..2 {
            story.node().with(|s: Service| async move { s.tell_gaps().await.unwrap() }).await;
        }
        let told = story.expect_mail(OFFICE, "URGENT: cover for The police needs attention").await;
        assert!(told.words.contains("amy-mail") && told.words.contains("the address bounces for good"), "{}", told.words);
        story.expect_nothing_more().await;
        let office = Visitor::of(&story, "coordinator", "northshire", None).await;
        let (status, page) = office.page("/directory").await;
        let (status, page) = if status == 303 { office.page("/directory/northshire").await } else { (status, page) };
        assert_eq!(status, 200);
        let gap = "Amy Exampleton (e-mail): the address bounces for good";
        let at = page.find(gap).unwrap_or_else(|| panic!("{page}"));
        assert!(page.find("never seen to work").is_none_or(|weak| at < weak), "what is urgent comes first");
        // From the next alert on she is reached by her telephone alone: every node reads what is known
        // of the points again every few seconds.
        story.node().with(|s: Service| async move { s.refresh_directory().await.unwrap() }).await;
        story.mail.set(AMYS_MAIL, "");
        story.notify(triggering()).await;
        story.expect_hook("police", "").await;
        story.expect_text("police", AMY, "URGENT").await;
        story.expect_rung("social_care", 0).await;
        story.expect_mail(OFFICE, "Joint Agency Response").await;
        story.finish().await;
    }

    async fn a_refusal_that_is_not_about_the_mailbox_leaves_it_in_the_plan(db: Db) {
        let mut story = Story::begin(db).await;
        story.mail.set(AMYS_MAIL, "554 we do not like your network");
        story.notify(triggering()).await;
        story.settle().await;
        assert_eq!(mails(&story, AMYS_MAIL), 0);
        story.node().with(|s: Service| async move { s.tell_gaps().await.unwrap() }).await;
        story.settle().await;
        assert!(!story.all.iter().any(|g| g.words.contains("bounces")));
        story.mail.set(AMYS_MAIL, "");
        story.notify(triggering()).await;
        story.settle().await;
        assert_eq!(mails(&story, AMYS_MAIL), 1);
        story.forward(seconds(6)).await;
        assert_eq!(mails(&story, AMYS_MAIL), 2, "and the first one goes later");
        story.pending.clear();
        story.finish().await;
    }

    async fn a_mail_server_that_never_greets_keeps_nobody_from_texts_and_systems_and_gets_its_mail_later(db: Db) {
        let mut story = Story::begin(db).await;
        story.mail.greet_after(None);
        story.notify(triggering()).await;
        story.expect_hook("police", "").await;
        story.expect_text("police", AMY, "URGENT").await;
        story.expect_text("social_care", CARE, "URGENT").await;
        story.expect_nothing_more().await;
        let tried = "SELECT COUNT(*) FROM attempt WHERE outcome IN ('no answer in time', 'no connection to the mail server')";
        assert_eq!(story.look.number(tried).await, 3);
        // The ladder goes by its times, mail or no mail.
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.expect_nothing_more().await;
        story.mail.greet_after(Some(Duration::ZERO));
        story.forward(minutes(2)).await;
        story.expect_mail(AMYS_MAIL, "Joint Agency Response").await;
        story.expect_mail(CARE_MAIL, "Joint Agency Response").await;
        story.expect_mail(OFFICE, "Joint Agency Response").await;
        story.finish().await;
    }

    async fn a_mail_server_that_greets_slowly_gets_each_mail_once(db: Db) {
        let mut story = Story::with(db, patient, "").await;
        story.mail.greet_after(Some(Duration::from_secs(3)));
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        story.expect_nothing_more().await;
        assert_eq!(story.look.number("SELECT COUNT(*) FROM attempt WHERE outcome <> 'accepted'").await, 0);
        story.finish().await;
    }

    async fn one_mailbox_that_is_never_answered_about_delays_no_other(db: Db) {
        let mut story = Story::with(db, patient, "").await;
        story.mail.set(AMYS_MAIL, SILENCE);
        for _ in 0..30 {
            story.notify(triggering()).await;
        }
        // All of the others' while hers hang, more of them than there are connections.
        until("the others have theirs", || async { mails(&story, CARE_MAIL) == 30 && mails(&story, OFFICE) == 30 }).await;
        let waiting = "SELECT COUNT(*) FROM delivery WHERE state <> 'done' AND lane LIKE '%amy-mail%'";
        assert_eq!(story.look.number(waiting).await, 30);
        assert_eq!(mails(&story, AMYS_MAIL), 0);
        until("texts and systems too", || async {
            story.look.number("SELECT COUNT(*) FROM delivery WHERE state <> 'done'").await == 30
        }).await;
        story.nodes[0].kill().await;
        story.strict = false;
    }

    async fn one_mailbox_that_is_always_full_delays_no_other_and_is_tried_again(db: Db) {
        let mut story = Story::begin(db).await;
        story.mail.set(AMYS_MAIL, "452 mailbox full");
        for _ in 0..5 {
            story.notify(triggering()).await;
        }
        story.settle().await;
        assert_eq!((mails(&story, CARE_MAIL), mails(&story, OFFICE), mails(&story, AMYS_MAIL)), (5, 5, 0));
        assert_eq!(story.look.number("SELECT COUNT(*) FROM attempt WHERE outcome = 'the mail server asks to try later' AND code = 452").await, 5);
        story.mail.set(AMYS_MAIL, "");
        story.forward(seconds(30)).await;
        assert_eq!(mails(&story, AMYS_MAIL), 5);
        story.pending.clear();
        story.finish().await;
    }
}
