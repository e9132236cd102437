//! Stories of one night each: who is told, by what, when, and what stops it.

use crate::doubles::gateway::{Fault, SECRET};
use crate::doubles::notify::{self, CALLBACK_TOKEN};
use crate::doubles::twilio::{self, TwilioDouble};
use crate::story::*;
use crate::support::{Db, Mood, Sink, on_both, triggering, until};
use axum::Router;
use axum::routing::get;
use child_death_review::alerts::phone;
use child_death_review::auth::policy::Caller;
use child_death_review::config::{Config, Provider};
use child_death_review::domain::directory::Gap;
use child_death_review::domain::escalation::Phase;
use child_death_review::domain::event::Means;
use child_death_review::service::{Reply, Service};
use child_death_review::store::UserRow;
use child_death_review::work::daily;
use child_death_review::work::watcher::{self, Watch};
use chrono::{Datelike, Duration, NaiveTime, Timelike, Weekday};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

/// A doctor with one mobile and nothing else.
const DOCTOR: &str = "07700 900301";

fn doctor() -> String {
    format!(
        "[[agency]]\nid = \"designated_doctor\"\nname = \"The doctor\"\nring = \"01632 960103\"\ntold_of = [\"jar_triggered\", \"jar_upgraded\"]\n[[agency.contact]]\nid = \"mobile\"\nchannel = \"mobile\"\naddress = \"{DOCTOR}\"\n"
    )
}

/// An agency with one mobile and nothing else.
fn one_mobile(id: &str, number: &str) -> String {
    format!(
        "[[agency]]\nid = \"{id}\"\nname = \"Team {id}\"\nring = \"01632 960103\"\ntold_of = [\"jar_triggered\"]\n[[agency.contact]]\nid = \"mobile\"\nchannel = \"mobile\"\naddress = \"{number}\"\n"
    )
}

/// The watcher's minute: the office hears of these gaps (agency and why), once each, and of no
/// other; from then on every node knows.
async fn told_of_gaps(story: &mut Story, gaps: &[(&str, &str)]) {
    story.settle().await;
    story.pending.clear();
    for _ in 0..2 {
        story.node().with(|s: Service| async move { s.tell_gaps().await.unwrap() }).await;
    }
    for (agency, why) in gaps {
        let words = format!("URGENT: cover for Team {agency} needs attention");
        let told = story.expect_mail(OFFICE, &words).await;
        assert!(told.words.contains(why), "{why:?} is not in {}", told.words);
    }
    story.expect_nothing_more().await;
    story.node().with(|s: Service| async move { s.refresh_directory().await.unwrap() }).await;
}

/// The police have answered: three minutes on, only social care's telephones ring.
async fn only_social_care_goes_on(mut story: Story, means: Means, by: &str) {
    let s = story.state(&story.case()).await;
    let police = s.alerts.values().find(|a| a.agency == "police").unwrap();
    let ack = police.acknowledged.as_ref().expect("acknowledged");
    assert_eq!(ack.means, means);
    assert!(ack.person.name.contains(by), "{:?}", ack.person);
    assert_eq!(police.progress.phase, Phase::Acting);
    story.expect_nothing_more().await;
    story.forward(minutes(3)).await;
    story.expect_rung("social_care", 1).await;
    story.forward(minutes(3)).await;
    story.expect_rung("social_care", 2).await;
    story.finish().await;
}

on_both! {
    async fn when_nobody_answers_the_ladder_is_climbed_to_the_named_human_who_is_told_ever_more_seldom(db: Db) {
        let mut story = first_night(db).await;
        story.forward(seconds(179)).await;
        story.expect_nothing_more().await;
        story.forward(seconds(1)).await;
        for (rung, wait) in [(1, 180), (2, 240), (3, 300)] {
            story.expect_rung("police", rung).await;
            story.expect_rung("social_care", rung).await;
            story.expect_nothing_more().await;
            story.forward(seconds(wait - 1)).await;
            story.expect_nothing_more().await;
            story.forward(seconds(1)).await;
        }
        for wait in [15, 15, 15, 15, 30, 60, 120, 120, 120] {
            story.expect_human_for_both().await;
            story.expect_nothing_more().await;
            story.forward(minutes(wait) - seconds(1)).await;
            story.expect_nothing_more().await;
            story.forward(seconds(1)).await;
        }
        story.expect_human_for_both().await;
        story.finish().await;
    }

    async fn the_button_behind_the_link_stops_its_own_agency_only(db: Db) {
        let story = first_night(db).await;
        let link = link_in(&story.last_text(AMY).words);
        let looked = story.http.get(format!("{}{link}", story.node().url)).send().await.unwrap();
        assert_eq!(looked.status(), 200);
        assert!(story.state(&story.case()).await.alerts.values().all(|a| a.acknowledged.is_none()), "looking is no answer");
        assert_eq!(story.answer_link(&link, &[("name", "Sgt Placehold")]).await.0, 200);
        only_social_care_goes_on(story, Means::Link, "Sgt Placehold").await;
    }

    async fn a_text_that_says_yes_with_the_code_stops_its_own_agency_only(db: Db) {
        let story = first_night(db).await;
        assert_eq!(story.reply(AMY, "Yes {code}").await, 200);
        only_social_care_goes_on(story, Means::Reply, "Amy Exampleton").await;
    }

    async fn a_text_that_says_yes_is_enough_while_one_case_is_open(db: Db) {
        let story = first_night(db).await;
        assert_eq!(story.reply(AMY, "YES").await, 200);
        only_social_care_goes_on(story, Means::Reply, "Amy Exampleton").await;
    }

    async fn key_one_during_the_call_stops_its_own_agency_only(db: Db) {
        let mut story = first_night(db).await;
        story.forward(minutes(3)).await;
        let call = story.expect_call("police", POLICE_DESK).await;
        story.expect_call("police", AMY).await;
        story.expect_rung("social_care", 1).await;
        assert_eq!(call.order["keys"], json!({ "1": "can attend", "2": "cannot attend" }));
        assert_eq!(story.press(&call, "7").await, 200);
        assert!(story.state(&story.case()).await.alerts.values().all(|a| a.acknowledged.is_none()), "key 7 means nothing");
        assert_eq!(story.press(&call, "1").await, 200);
        let police = story.alert(&story.case(), "police").await;
        let held = story.state(&story.case()).await.alerts[&police].acknowledged.clone().unwrap();
        assert_eq!((held.means, held.person.name.as_str()), (Means::VoiceKey, "desk"));
        story.forward(minutes(3)).await;
        story.expect_rung("social_care", 2).await;
        story.finish().await;
    }

    async fn a_key_pressed_in_a_call_by_twilio_counts_once_and_only_if_twilio_signed_it(db: Db) {
        let twilio = TwilioDouble::start().await;
        let settings = twilio.config();
        let change = move |c: &mut Config| {
            c.twilio = settings;
            c.channels.voice = vec![Provider::Twilio];
        };
        let mut story = Story::with(db, change, "").await;
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        let case = story.case();
        let police = story.alert(&case, "police").await;
        let care = story.alert(&case, "social_care").await;
        story.acknowledge(care, child_death_review::service::Reply::CanAttend).await;
        story.plan(&case, "social_care").await;
        story.forward(minutes(3)).await;
        let desk = |all: Vec<twilio::Taken>| all.into_iter().rfind(|c| c.get("To") == international(POLICE_DESK)).unwrap();
        let call = desk(twilio.taken());
        let phase = async |story: &Story| story.state(&case).await.alerts[&police].progress.phase;
        // Signed by somebody else, for another message, or about another key.
        let url = call.element("Gather").attribute("action").unwrap().to_owned();
        assert!(url.starts_with(&format!("{}/hooks/twilio/", story.node().url)), "{url}");
        let pressed = |key: &'static str| [("CallSid", call.sid.as_str()), ("CallStatus", "in-progress"), ("Digits", key)];
        let elsewhere = format!("{}/hooks/twilio/{}", story.node().url, Uuid::new_v4());
        let forgeries = [
            twilio::sign("another-token", &url, &pressed("1")),
            twilio::sign(twilio::TOKEN, &elsewhere, &pressed("1")),
            twilio::sign(twilio::TOKEN, &url, &pressed("2")),
            String::new(),
        ];
        for forged in forgeries {
            assert_eq!(twilio.post_signed(&url, &pressed("1"), &forged).await.0, 401);
        }
        assert_eq!(phase(&story).await, Phase::Climbing);
        // A key that means nothing is asked about again, as often as it is pressed.
        for _ in 0..2 {
            let (status, said) = twilio.press(&call, "7").await;
            assert!(status == 200 && said.contains("<Gather"), "{said}");
        }
        assert_eq!(phase(&story).await, Phase::Climbing);
        let (status, said) = twilio.press(&call, "1").await;
        assert!(status == 200 && said.contains("your agency has this"), "{said}");
        assert_eq!(phase(&story).await, Phase::Acting);
        let held = story.state(&case).await.alerts[&police].acknowledged.clone().unwrap();
        assert_eq!(held.means, Means::VoiceKey);
        let events = story.look.events(story.id(&case).await).await.len();
        let (status, said) = twilio.press(&call, "1").await;
        assert!(status == 200 && said.contains("<Hangup") && !said.contains("<Gather"), "{said}");
        assert_eq!(story.look.events(story.id(&case).await).await.len(), events);
        // Nothing is planned, so the alert comes back. The old call-back is no new answer.
        story.forward(minutes(240)).await;
        assert_eq!(phase(&story).await, Phase::Climbing);
        let events = story.look.events(story.id(&case).await).await.len();
        assert_eq!(twilio.press(&call, "1").await.0, 200);
        assert_eq!(phase(&story).await, Phase::Climbing);
        assert_eq!(story.look.events(story.id(&case).await).await.len(), events);
        // A key in the next call is.
        story.forward(minutes(3)).await;
        let next = desk(twilio.taken());
        assert_ne!(next.sid, call.sid);
        assert_eq!(twilio.press(&next, "1").await.0, 200);
        assert_eq!(phase(&story).await, Phase::Acting);
        story.settle().await;
        story.pending.clear();
        story.finish().await;
    }

    async fn stop_texted_to_twilios_number_is_a_gap_told_to_the_office_once(db: Db) {
        let twilio = TwilioDouble::start().await;
        let settings = twilio.config();
        let change = move |c: &mut Config| {
            c.twilio = settings;
            c.channels.sms = vec![Provider::Twilio];
        };
        let mut story = Story::with(db, change, "").await;
        story.notify(triggering()).await;
        story.settle().await;
        story.pending.clear();
        assert_eq!(twilio.asked(&international(AMY)), 1);
        let url = format!("{}/hooks/twilio/replies", story.node().url);
        let from = international(AMY);
        let stop = [("MessageSid", "SM00000000000000000000000000000001"), ("SmsStatus", "received"), ("From", from.as_str()), ("To", twilio::FROM_SMS), ("Body", "STOP")];
        let forged = twilio::sign("another-token", &url, &stop);
        assert_eq!(twilio.post_signed(&url, &stop, &forged).await.0, 401);
        story.expect_nothing_more().await;
        for _ in 0..2 {
            let (status, said) = twilio.post(&url, &stop).await;
            assert_eq!((status, said.as_str()), (200, "<Response/>"));
        }
        let told = story.expect_mail(OFFICE, "URGENT: cover for The police needs attention").await;
        assert!(told.words.contains("replied STOP"), "{}", told.words);
        // And the ladder moves on at once, once.
        story.expect_rung("police", 1).await;
        story.expect_nothing_more().await;
        story.notify(triggering()).await;
        story.settle().await;
        assert_eq!(twilio.asked(&from), 1, "no more texts go there");
        story.pending.clear();
        story.finish().await;
    }

    async fn the_api_and_spoke_to_them_by_telephone_stop_their_own_agency_only(db: Db) {
        let mut story = first_night(db).await;
        for (agency, by, means) in [("police", "self", Means::Themselves), ("social_care", "telephone", Means::Telephone)] {
            let alert = story.alert(&story.case(), agency).await;
            let path = format!("/api/v1/alerts/{alert}/acknowledgements");
            let body = json!({ "name": "Ms Answer", "by": by });
            assert_eq!(story.post(&path, body.clone()).await.0, 201);
            assert_eq!(story.post(&path, body).await.0, 200, "twice is once");
            assert_eq!(story.state(&story.case()).await.alerts[&alert].acknowledged.as_ref().unwrap().means, means);
            story.forward(minutes(3)).await;
            if agency == "police" {
                story.expect_rung("social_care", 1).await;
            }
            story.expect_nothing_more().await;
        }
        story.forward(minutes(30)).await;
        story.finish().await;
    }

    async fn somebody_signed_in_says_on_the_page_whom_they_spoke_to_and_that_ladder_stops(db: Db) {
        let story = first_night(db).await;
        let row = UserRow {
            id: Uuid::new_v4(),
            email: "office@cdr.example".into(),
            name: "Office Exampleton".into(),
            role: "coordinator".into(),
            area: "northshire".into(),
            agency: None,
            password_hash: child_death_review::auth::password::hash("correct horse battery".into()).await.unwrap(),
            created_at: story.now(),
            disabled_at: None,
        };
        assert!(story.node().with(move |s| async move { s.store.add_user(row).await.unwrap() }).await);
        let base = story.node().url.clone();
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let signed_in = browser.post(format!("{base}/sign-in")).body("email=office@cdr.example&password=correct+horse+battery").send().await.unwrap();
        let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let case = story.case();
        let page = browser.get(format!("{base}/cases/{case}/reached")).header("cookie", &cookie).send().await.unwrap().text().await.unwrap();
        let csrf = crate::support::csrf(&page);
        let police = story.alert(&case, "police").await;
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs([("_csrf", csrf.as_str()), ("by", "telephone"), ("name", "Sgt Spoken"), ("at", "04:02")]).finish();
        let done = browser.post(format!("{base}/cases/{case}/alerts/{police}")).header("cookie", &cookie).header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
        assert_eq!(done.status(), 303);
        only_social_care_goes_on(story, Means::Telephone, "Sgt Spoken").await;
    }

    async fn yes_without_a_code_is_no_answer_while_two_cases_are_open(db: Db) {
        let mut story = first_night(db).await;
        let first = story.case();
        let second = story.notify(triggering()).await;
        story.expect_first_messages().await;
        assert_eq!(story.reply(AMY, "YES").await, 200);
        for r in [&first, &second] {
            assert!(story.state(r).await.alerts.values().all(|a| a.acknowledged.is_none()), "which of the two?");
        }
        assert_eq!(story.look.number("SELECT COUNT(*) FROM stray").await, 1);
        // The code is the last text's: the second case.
        assert_eq!(story.reply(AMY, "YES {code}").await, 200);
        assert!(story.state(&first).await.alerts.values().all(|a| a.acknowledged.is_none()));
        assert_eq!(story.state(&second).await.alerts.values().filter(|a| a.acknowledged.is_some()).count(), 1);
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.expect_rung("social_care", 1).await;
        story.finish().await;
    }

    async fn whoever_cannot_and_names_somebody_has_them_told_at_once(db: Db) {
        let mut story = first_night(db).await;
        let police = story.alert(&story.case(), "police").await;
        story.cannot(police, "Cara Successor", "07700 900777").await;
        story.expect_text("police", "07700 900777", "hands this on to you").await;
        story.expect_call("police", "07700 900777").await;
        story.expect_nothing_more().await;
        // The same again changes nothing.
        story.cannot(police, "Cara Successor", "07700 900777").await;
        story.expect_nothing_more().await;
        story.forward(seconds(179)).await;
        story.expect_nothing_more().await;
        story.forward(seconds(1)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        // Whoever was named can answer by text like anybody else.
        assert_eq!(story.reply("07700 900777", "YES {code}").await, 200);
        assert!(story.state(&story.case()).await.alerts[&police].acknowledged.is_some());
        story.forward(minutes(3)).await;
        story.expect_rung("social_care", 2).await;
        story.finish().await;
    }

    async fn whoever_cannot_and_names_nobody_sends_the_next_rung_at_once(db: Db) {
        let mut story = first_night(db).await;
        assert_eq!(story.reply(AMY, "No {code}").await, 200);
        story.expect_rung("police", 1).await;
        story.expect_nothing_more().await;
        // Twice "no" is one "no".
        assert_eq!(story.reply(AMY, "No {code}").await, 200);
        story.expect_nothing_more().await;
        let call = story.last_call(POLICE_DESK).clone();
        assert_eq!(story.press(&call, "2").await, 200);
        // Answers alone do not make a ladder run: a minute lies between two of its steps.
        story.expect_nothing_more().await;
        story.forward(minutes(1)).await;
        story.expect_rung("police", 2).await;
        story.forward(minutes(2)).await;
        story.expect_rung("social_care", 1).await;
        story.finish().await;
    }

    async fn somebody_who_said_no_then_yes_then_no_again_does_not_keep_the_case(db: Db) {
        let mut story = first_night(db).await;
        let police = story.alert(&story.case(), "police").await;
        assert_eq!(story.reply(AMY, "no {code}").await, 200);
        story.expect_rung("police", 1).await;
        assert_eq!(story.reply(AMY, "yes {code}").await, 200);
        assert_eq!(story.state(&story.case()).await.alerts[&police].progress.phase, Phase::Acting);
        assert_eq!(story.reply(AMY, "no {code}").await, 200);
        assert_eq!(story.state(&story.case()).await.alerts[&police].progress.phase, Phase::Climbing);
        story.forward(minutes(1)).await;
        story.expect_rung("police", 2).await;
        story.finish().await;
    }

    async fn what_is_acknowledged_and_not_planned_comes_back_and_a_plan_entry_ends_it(db: Db) {
        let mut story = first_night(db).await;
        let case = story.case();
        for agency in ["police", "social_care"] {
            let alert = story.alert(&case, agency).await;
            story.acknowledge(alert, child_death_review::service::Reply::CanAttend).await;
        }
        story.plan(&case, "social_care").await;
        story.forward(minutes(240) - seconds(1)).await;
        story.expect_nothing_more().await;
        story.forward(seconds(1)).await;
        story.expect_hook("police", "jar.reminder").await;
        story.expect_mail("amy@police.example", "Reminder").await;
        story.expect_text("police", AMY, "Reminder").await;
        story.expect_nothing_more().await;
        // Open again, so no longer shown as acknowledged: only what the attempts prove.
        let police = story.alert(&case, "police").await;
        let shown = story.look.alert_rows().await.into_iter().find(|r| r.0 == police.0).unwrap().4;
        assert!(["accepted", "delivered", "opened"].contains(&shown.as_str()), "{shown}");
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_nothing_more().await;
        // Answered again, by somebody else, and now planned.
        assert_eq!(story.reply(AMY, "YES {code}").await, 200);
        let police_now = story.state(&case).await.alerts[&police].acknowledged.clone().unwrap();
        assert!(police_now.person.name.contains("Amy") && police_now.at == story.now(), "whoever has it now: {police_now:?}");
        let shown = story.look.alert_rows().await.into_iter().find(|r| r.0 == police.0).unwrap().4;
        assert_eq!(shown, "acknowledged");
        story.plan(&case, "police").await;
        story.forward(minutes(600)).await;
        let s = story.state(&case).await;
        assert!(s.alerts.values().all(|a| !a.progress.is_open()));
        story.finish().await;
    }

    async fn a_stand_down_tells_those_who_were_tried_where_they_were_tried_and_stops_every_ladder(db: Db) {
        let mut story = first_night(db).await;
        let case = story.case();
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        let link = link_in(&story.last_text(AMY).words);
        let seen = story.http.get(format!("{}{link}", story.node().url)).header("sec-fetch-mode", "navigate").send().await.unwrap();
        assert_eq!(seen.status(), 200);
        story.stand_down(&case).await;
        // Amy's mobile was rung and texted: the text is enough. Ben was not tried yet.
        story.expect_hook("police", "jar.stood-down").await;
        story.expect_mail("amy@police.example", "stood down").await;
        story.expect_text("police", AMY, "stood down").await;
        story.expect_call("police", POLICE_DESK).await;
        story.expect_mail("edt@socialcare.example", "stood down").await;
        story.expect_text("social_care", CARE, "stood down").await;
        story.expect_call("social_care", CARE_DESK).await;
        story.expect_mail(OFFICE, "stood down").await;
        let s = story.state(&case).await;
        let opened: Vec<&str> = s.alerts.values().filter(|a| a.opened_before_recall).map(|a| a.agency.as_str()).collect();
        assert_eq!(opened, ["police"]);
        story.forward(minutes(600)).await;
        story.finish().await;
    }

    async fn a_withdrawal_tells_everybody_who_was_told_and_stops_every_ladder(db: Db) {
        let mut story = first_night(db).await;
        story.withdraw(&story.case()).await;
        story.expect_hook("police", "notification.withdrawn").await;
        story.expect_mail("amy@police.example", "withdrawn").await;
        story.expect_text("police", AMY, "Withdrawn").await;
        story.expect_mail("edt@socialcare.example", "withdrawn").await;
        story.expect_text("social_care", CARE, "Withdrawn").await;
        story.expect_mail(OFFICE, "withdrawn").await;
        story.forward(minutes(600)).await;
        story.finish().await;
    }

    async fn the_running_alert_keeps_its_ladder_when_the_directory_changes_and_the_next_has_the_new_one(db: Db) {
        let mut story = first_night(db).await;
        story.node().with(|s| async move {
            let held = s.area_directory(&Caller::operator(), "northshire").unwrap();
            let mut area = held.area;
            let police = area.agencies.iter_mut().find(|a| a.id == "police").unwrap();
            for p in &mut police.people {
                for c in p.contacts.iter_mut().filter(|c| c.address == AMY) {
                    c.address = "07700 900103".into();
                }
            }
            area.last_step.as_mut().unwrap().after_seconds = 700;
            s.save_directory(&Caller::operator(), area, held.version, "Amy has a new mobile").await.unwrap();
        }).await;
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.notify(triggering()).await;
        story.expect_hook("police", "jar.triggered").await;
        story.expect_mail("amy@police.example", "").await;
        story.expect_text("police", "07700 900103", "URGENT").await;
        story.expect_rung("social_care", 0).await;
        story.expect_mail(OFFICE, "").await;
        story.finish().await;
    }

    async fn stop_is_a_gap_told_to_the_office_and_the_ladder_moves_on_at_once(db: Db) {
        let mut story = first_night(db).await;
        assert_eq!(story.reply(AMY, "STOP").await, 200);
        story.expect_mail(OFFICE, "replied STOP").await;
        story.expect_rung("police", 1).await;
        story.expect_nothing_more().await;
        // No more texts there from the next alert on; calls and mails still go.
        story.notify(triggering()).await;
        story.expect_hook("police", "jar.triggered").await;
        story.expect_mail("amy@police.example", "").await;
        story.expect_rung("social_care", 0).await;
        story.expect_mail(OFFICE, "").await;
        story.finish().await;
    }

    async fn the_named_human_who_says_stop_is_a_gap_and_a_code_makes_the_number_good_again(db: Db) {
        let mut story = first_night(db).await;
        let says = |text: &str| json!({ "event": "reply", "from": international(MANAGER), "text": text });
        assert_eq!(story.hook(&says("STOP")).await, 200);
        story.expect_mail(OFFICE, "replied STOP").await;
        story.expect_nothing_more().await;
        let gaps = async |story: &Story| {
            let look = |s: Service| async move { s.gaps(&Caller::operator(), "northshire").await.unwrap() };
            story.node().with(look).await
        };
        let dead = |g: &Gap| g.agency == "last_step" && g.point && g.urgent && g.why.contains("STOP");
        assert!(gaps(&story).await.iter().any(dead), "it stands among the gaps");
        // Until it does, a ladder that ends with them ends in a call, and the call says it all.
        story.nobody_answers().await;
        let call = story.expect_call("last_step", MANAGER).await;
        let spoken = phone::for_speech(&story.case().to_string());
        for said in ["Please ring these partners now", "The police", "Social care", spoken.trim_end_matches('.')] {
            assert!(call.words.contains(said), "{said:?} is not in {}", call.words);
        }
        for agency in ["police", "social_care"] {
            story.expect_rung(agency, 3).await;
            assert!(story.detail(agency).await.human_reached_at.is_some(), "a call tells them too");
        }
        story.expect_nothing_more().await;
        // Who asked for a check is texted all the same, and the code makes the number good.
        let check = |s: Service| async move { s.send_code(&Caller::operator(), "northshire", "last_step", "manager").await.unwrap() };
        story.node().with(check).await;
        let text = story.expect_text("last_step", MANAGER, "").await;
        story.expect_call("last_step", MANAGER).await;
        let code: String = text.words.chars().collect::<Vec<_>>().windows(6).find(|w| w.iter().all(char::is_ascii_digit)).unwrap().iter().collect();
        assert_eq!(story.hook(&says(&code)).await, 200);
        assert!(!gaps(&story).await.iter().any(dead));
        // A night on which nobody answers: the next ladder has the text again.
        story.withdraw(&story.case()).await;
        story.settle().await;
        story.pending.clear();
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        story.nobody_answers().await;
        story.expect_human_for_both().await;
        let told = story.detail("police").await;
        assert!(told.human_told_at.is_some() && told.human_reached_at.is_some());
        story.finish().await;
    }

    async fn a_human_whom_no_message_reaches_is_not_said_to_have_been_told(db: Db) {
        let mut story = first_night(db).await;
        for what in ["sms", "voice"] {
            story.gateway.set(what, Some(Fault::Status(503)));
        }
        for wait in [180, 180, 240, 300] {
            story.forward(seconds(wait)).await;
        }
        let told = story.detail("police").await;
        assert!(told.human_told_at.is_some() && told.human_reached_at.is_none(), "{told:?}");
        for what in ["sms", "voice"] {
            story.gateway.set(what, None);
        }
        story.forward(minutes(20)).await;
        assert!(story.detail("police").await.human_reached_at.is_some());
        story.strict = false;
    }

    async fn a_number_that_fails_for_good_is_a_gap_told_to_the_office_and_the_next_rung_goes_at_once(db: Db) {
        let mut story = Story::with(db, |_| {}, &doctor()).await;
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        let text = story.expect_text("designated_doctor", DOCTOR, "URGENT").await;
        assert_eq!(story.receipt(&text, "permanent_failure").await, 200);
        story.expect_mail(OFFICE, "does not work").await;
        story.expect_call("designated_doctor", DOCTOR).await;
        story.expect_nothing_more().await;
        // Said again, it is no news.
        assert_eq!(story.receipt(&text, "permanent_failure").await, 200);
        story.finish().await;
    }

    async fn a_number_that_twilio_refuses_at_once_is_an_urgent_gap_and_not_tried_again(db: Db) {
        let twilio = TwilioDouble::start().await;
        let (nobody, words) = ("+447700900401", "+447700900402");
        twilio.refuse(nobody, 21211);
        twilio.refuse(words, 21617);
        let numbers = [("stopped", twilio::STOPPED), ("landline", twilio::LANDLINE), ("nobody", nobody), ("words", words)];
        let more: String = numbers.iter().map(|(id, number)| one_mobile(id, number)).collect();
        let settings = twilio.config();
        let change = move |c: &mut Config| {
            c.twilio = settings;
            c.channels.sms = vec![Provider::Twilio];
        };
        let mut story = Story::with(db, change, &more).await;
        story.notify(triggering()).await;
        let gaps = [("stopped", "the number has texted STOP to ours"), ("landline", "the number takes no text messages"), ("nobody", "Twilio cannot reach this number")];
        told_of_gaps(&mut story, &gaps).await;
        let asked: Vec<usize> = numbers.iter().map(|(_, n)| twilio.asked(n)).collect();
        assert_eq!(asked, [1, 1, 1, 1], "refused for good is not tried again");
        // The next alert leaves them out, and not the one whose text was at fault.
        story.notify(triggering()).await;
        story.settle().await;
        let asked: Vec<usize> = numbers.iter().map(|(_, n)| twilio.asked(n)).collect();
        assert_eq!(asked, [1, 1, 1, 2]);
        story.pending.clear();
        story.finish().await;
    }

    async fn a_number_that_gov_uk_notify_refuses_at_once_is_an_urgent_gap_and_not_tried_again(db: Db) {
        let change = |c: &mut Config| c.channels.sms = vec![Provider::GovukNotify];
        let mut story = Story::with(db, change, &one_mobile("landline", twilio::LANDLINE)).await;
        let asked = |story: &Story| {
            let all = story.notify.requests();
            all.iter().filter(|(_, body)| body["phone_number"] == twilio::LANDLINE).count()
        };
        story.notify(triggering()).await;
        told_of_gaps(&mut story, &[("landline", "GOV.UK Notify refuses the address")]).await;
        assert_eq!(asked(&story), 1);
        story.notify(triggering()).await;
        story.settle().await;
        assert_eq!(asked(&story), 1);
        story.pending.clear();
        story.finish().await;
    }

    async fn a_number_that_the_gateway_refuses_at_once_is_an_urgent_gap_and_a_message_it_refuses_is_none(db: Db) {
        let (number, message) = ("07700 900403", "07700 900404");
        let more = one_mobile("number", number) + &one_mobile("message", message);
        let mut story = Story::with(db, |_| {}, &more).await;
        story.gateway.set(&international(number), Some(Fault::BadNumber(422)));
        story.gateway.set(&international(message), Some(Fault::Status(422)));
        story.notify(triggering()).await;
        // Their calls are refused as well: two points, one gap each.
        told_of_gaps(&mut story, &[("number", "the gateway cannot reach this number"), ("number", "the gateway cannot reach this number")]).await;
        for n in [number, message] {
            story.gateway.set(&international(n), None);
        }
        story.notify(triggering()).await;
        story.settle().await;
        let got = |to: &str| story.all.iter().filter(|g| g.to == international(to)).count();
        assert_eq!((got(number), got(message)), (0, 1));
        story.pending.clear();
        story.finish().await;
    }

    async fn an_agency_with_no_contact_goes_straight_to_the_named_human(db: Db) {
        let more = "[[agency]]\nid = \"coroner\"\nname = \"The coroner\"\nring = \"01632 960105\"\ntold_of = [\"jar_triggered\"]\n";
        let mut story = Story::with(db, |_| {}, more).await;
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        story.expect_text("last_step", MANAGER, "Please ring The coroner now on 01632 960105").await;
        story.expect_call("last_step", MANAGER).await;
        story.finish().await;
    }

    async fn a_number_with_too_many_texts_is_rung_at_once_and_its_text_comes_later(db: Db) {
        let change = |c: &mut Config| c.dispatch.texts_an_hour = 2;
        let mut story = Story::with(db, change, &doctor()).await;
        let mut last = None;
        for n in 0..3 {
            let r = story.notify(triggering()).await;
            let words = r.to_string();
            story.settle().await;
            let doctor = |by: &str| {
                let to = international(DOCTOR);
                story.all.iter().filter(|g| g.by == by && g.to == to && (by == "call" || g.words.contains(&words))).count()
            };
            assert_eq!((doctor("text"), doctor("call")), if n < 2 { (1, 0) } else { (0, 1) }, "case {n}");
            if n < 2 {
                // Whoever has two of them; the third one's text must not be lost for that.
                let text = story.all.iter().find(|g| g.by == "text" && g.to == international(DOCTOR) && g.words.contains(&words)).unwrap().words.clone();
                assert_eq!(story.reply(DOCTOR, &format!("YES {}", code_in(&text))).await, 200);
            }
            last = Some(words);
        }
        for _ in 0..8 {
            story.forward(minutes(10)).await;
        }
        let words = last.unwrap();
        let late = story.all.iter().filter(|g| g.by == "text" && g.to == international(DOCTOR) && g.words.contains(&words)).count();
        assert!(late > 0, "held back is not dropped");
        story.pending.clear();
        story.finish().await;
    }

    async fn two_spellings_of_a_number_are_one_handset_to_its_network(db: Db) {
        let change = |c: &mut Config| c.dispatch.texts_an_hour = 1;
        let again = "[[agency.contact]]\nid = \"again\"\nchannel = \"mobile\"\naddress = \"+44 (0)7700 900-301\"\n";
        let mut story = Story::with(db, change, &(doctor() + again)).await;
        story.notify(triggering()).await;
        let texts = |story: &Story| story.all.iter().filter(|g| g.by == "text" && g.to == international(DOCTOR)).count();
        story.settle().await;
        assert_eq!(texts(&story), 1, "the second spelling waits its turn");
        assert_eq!(story.look.number("SELECT COUNT(*) FROM attempt WHERE outcome LIKE 'held back%'").await, 1);
        for _ in 0..7 {
            story.forward(minutes(10)).await;
        }
        assert!(texts(&story) > 1, "held back is not dropped");
        story.pending.clear();
        story.finish().await;
    }

    async fn receipts_in_any_order_any_number_and_any_shape_change_nothing_they_should_not(db: Db) {
        let mut story = first_night(db).await;
        let case = story.case();
        let text = story.last_text(AMY).clone();
        assert_eq!(story.receipt(&text, "delivered").await, 200);
        let attempts = story.look.number("SELECT COUNT(*) FROM attempt").await;
        let before = story.look.alert_rows().await;
        let url = format!("{}/hooks/gateway", story.node().url);
        for event in ["delivered", "sending", "permanent_failure", "temporary_failure", "no-such-word"] {
            assert_eq!(story.receipt(&text, event).await, 200, "{event}");
        }
        // For nobody's message.
        let unknown = json!({ "message_id": Uuid::new_v4(), "event": "delivered" });
        assert_eq!(story.hook(&unknown).await, 200);
        let unknown = json!({ "message_id": Uuid::new_v4(), "event": "key", "key": "1" });
        assert_eq!(story.hook(&unknown).await, 200);
        // Not signed by the gateway, or not now, or not JSON, or not what it should be.
        let key = json!({ "message_id": text.order["id"], "event": "key", "key": "1" }).to_string();
        let now = story.now().timestamp();
        let forged = "whsec_c3ludGhldGljLWdhdGV3YXktc2VjcmV0LTAwMDAwMDI=";
        assert_eq!(story.gateway.post_as(&url, forged, "evt_1", now, key.as_bytes()).await, 401);
        assert_eq!(story.gateway.post_as(&url, SECRET, "evt_2", now - 301, key.as_bytes()).await, 401);
        assert_eq!(story.gateway.post_as(&url, SECRET, "evt_3", now, b"<xml/>").await, 422);
        for wrong in [json!({ "message_id": text.order["id"], "event": "key", "key": 1 }), json!({ "message_id": 7, "event": "key", "key": "1" }), json!({ "event": "key", "key": "1" }), json!({ "event": "reply", "from": "nobody", "text": "YES" }), json!([1])] {
            assert_eq!(story.hook(&wrong).await, 422, "{wrong}");
        }
        // The same call-back replayed is taken once.
        let body = json!({ "event": "reply", "from": "+447700900999", "text": "YES" }).to_string();
        for _ in 0..3 {
            assert_eq!(story.gateway.post_as(&url, SECRET, "evt_4", now, body.as_bytes()).await, 200);
        }
        assert_eq!(story.look.number("SELECT COUNT(*) FROM stray").await, 3, "two for nobody's message, one from nobody's number");
        assert_eq!(story.look.number("SELECT COUNT(*) FROM attempt").await, attempts);
        assert_eq!(story.look.alert_rows().await, before);
        assert!(story.state(&case).await.alerts.values().all(|a| a.acknowledged.is_none()));
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.finish().await;
    }

    async fn a_drill_goes_the_whole_way_and_has_a_result(db: Db) {
        let mut story = Story::begin(db).await;
        let drill = story.node().with(|s| async move { s.start_drill(&Caller::operator(), "northshire", None).await.unwrap().0 }).await;
        story.references.push(drill.clone());
        let text = story.expect_text("police", AMY, "Joint Agency Response").await;
        assert!(text.words.to_uppercase().contains("EXERCISE") || text.words.to_uppercase().contains("DRILL"), "{}", text.words);
        assert_eq!(text.order["drill"], json!(true));
        story.expect_hook("police", "\"drill\":true").await;
        story.expect_mail("amy@police.example", "").await;
        story.expect_mail("edt@socialcare.example", "").await;
        story.expect_text("social_care", CARE, "").await;
        story.expect_mail(OFFICE, "").await;
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        assert_eq!(story.reply(AMY, "YES {code}").await, 200);
        let r = drill.clone();
        story.node().with(move |s| async move { s.end_drill(&Caller::operator(), &r).await.unwrap() }).await;
        story.settle().await;
        assert!(story.pending.iter().all(|g| !g.words.contains("URGENT")), "only word that it is over");
        story.pending.clear();
        let result = story.node().with(move |s| async move { s.drill_result(&Caller::operator(), &drill).await.unwrap() }).await;
        assert_eq!((result.reached, result.asked, result.ended_at.is_some()), (1, 2, true));
        let line = |a: &str| result.lines.iter().find(|l| l.agency == a).unwrap();
        assert_eq!(line("police").verdict, "reached in 3 min 00 s, after 1 more steps");
        assert_eq!(line("social_care").verdict, "NOT REACHED");
        assert_eq!(line("cdop_office").verdict, "told; need not acknowledge");
        story.forward(minutes(600)).await;
        story.finish().await;
    }

    async fn the_watcher_puts_right_what_is_missing_or_hours_ahead_within_one_look(db: Db) {
        let mut story = first_night(db).await;
        for wrong in ["NULL", "'2026-02-21T12:00:00+00:00'"] {
            let right = story.look.alert_rows().await;
            story.db.run(&format!("UPDATE alert SET step_at = {wrong} WHERE agency = 'police'")).await.unwrap();
            assert_ne!(story.look.alert_rows().await, right);
            let round = story.watch().await;
            assert_eq!(story.look.alert_rows().await, right, "{wrong}");
            assert!(round.findings.is_empty(), "{:?}", round.findings);
        }
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.finish().await;
    }

    async fn whoever_only_looks_finds_a_step_that_lies_years_ahead_and_none_that_waits_for_the_office(db: Db) {
        let waits = "[[policy]]\nagencies = [\"social_care\"]\nevents = [\"jar_triggered\"]\nurgency = \"office\"\nact_within_minutes = 10080\n";
        let mut story = Story::with(db, |_| {}, waits).await;
        // Friday evening: social care's ladder begins on Monday.
        story.forward(minutes(18 * 60)).await;
        story.notify(triggering()).await;
        story.settle().await;
        story.pending.clear();
        let look = |s: Service| async move { watcher::look(&s, false).await.unwrap() };
        let round = story.node().with(look).await;
        assert!(round.findings.is_empty(), "{:?}", round.findings);
        let right = story.look.alert_rows().await;
        assert!(right.iter().any(|r| r.2.is_some_and(|t| t > story.now() + minutes(58 * 60))));
        let found = |round: watcher::Round| round.findings.into_iter().map(|f| f.words).collect::<Vec<_>>();
        for (agency, wrong) in [("police", "2036-02-21T12:00:00+00:00"), ("police", "2026-02-21T12:00:00+00:00"), ("social_care", "2026-03-30T12:00:00+00:00")] {
            story.db.run(&format!("UPDATE alert SET step_at = '{wrong}' WHERE agency = '{agency}'")).await.unwrap();
            let said = found(story.node().with(look).await);
            assert!(said.len() == 1 && said[0].contains("1 open alerts: the next step lies too far ahead"), "{wrong}: {said:?}");
            // A round that mends puts it right, and then nothing is found.
            assert!(story.watch().await.findings.is_empty());
            assert_eq!(story.look.alert_rows().await, right);
        }
        // A week that the policy gives is no fault either.
        let care = story.alert(&story.case(), "social_care").await;
        story.acknowledge(care, Reply::CanAttend).await;
        assert!(found(story.node().with(look).await).is_empty());
        story.settle().await;
        story.pending.clear();
        story.finish().await;
    }

    async fn a_clock_set_back_an_hour_delays_no_step_by_more_than_the_schedule_and_a_minute(db: Db) {
        let mut story = first_night(db).await;
        story.clock.forward(-minutes(60));
        // The watcher looks every minute.
        story.forward(minutes(1)).await;
        story.watch().await;
        for rung in 1..4 {
            story.forward(minutes(5)).await;
            story.watch().await;
            story.expect_rung("police", rung).await;
            story.expect_rung("social_care", rung).await;
            story.expect_nothing_more().await;
        }
        story.finish().await;
    }

    async fn a_clock_set_forward_an_hour_sends_one_rung_and_not_all(db: Db) {
        let mut story = first_night(db).await;
        story.forward(minutes(60)).await;
        story.watch().await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.expect_nothing_more().await;
        story.forward(minutes(3)).await;
        story.expect_rung("police", 2).await;
        story.expect_rung("social_care", 2).await;
        story.finish().await;
    }

    async fn power_lost_between_sending_and_recording_sends_the_same_message_again_and_no_other(db: Db) {
        let mut story = Story::begin(db).await;
        story.gateway.set("sms", Some(Fault::AcceptThenHang));
        story.notify(triggering()).await;
        let gateway = story.gateway.clone();
        let done = "SELECT COUNT(*) FROM delivery WHERE state = 'done'";
        until("only the texts are open", || async {
            gateway.hits() == 2 && story.look.number(done).await == 4
        })
        .await;
        story.gateway.set("sms", None);
        story.kill_and_restart(0).await;
        // On PostgreSQL nobody knows that the node is gone until its lease has run out. That comes
        // before the watcher's minute, so nobody hears of it.
        story.clock.forward(seconds(story.config.dispatch.lease_seconds + 1));
        story.settle().await;
        assert!(story.gateway.hits() > 2, "sent again");
        assert!(story.watch().await.findings.is_empty());
        // Under the same id, so that whoever got it gets it once.
        story.expect_first_messages().await;
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.finish().await;
    }

    async fn the_watcher_raises_messages_that_nobody_tries_once_an_hour_until_somebody_does(db: Db) {
        let mut story = Story::begin(db).await;
        story.gateway.set("sms", Some(Fault::Hang));
        story.notify(triggering()).await;
        let gateway = story.gateway.clone();
        until("both texts hang", || async { gateway.hits() == 2 }).await;
        story.nodes[0].kill().await;
        // A node that only watches: nothing leaves it.
        let parts = child_death_review::app::parts(&story.config, story.directory.clone()).await.unwrap();
        let alone = Service { clock: story.clock.clone(), ..parts.service };
        let raised = "SELECT COUNT(*) FROM bulletin WHERE kind = 'watcher' AND notice LIKE '%were not tried within%'";
        let look = |s: Service| async move {
            let round = watcher::look(&s, false).await.unwrap();
            watcher::raise(&s, &round.findings).await.unwrap();
            round.findings
        };
        story.clock.forward(seconds(59));
        assert!(look(alone.clone()).await.is_empty(), "not yet late");
        story.clock.forward(seconds(2));
        let found = look(alone.clone()).await;
        assert!(found[0].words.contains("2 open alerts: messages were not tried within a minute"), "{found:?}");
        assert_eq!(story.look.number(raised).await, 1);
        story.clock.forward(minutes(1));
        look(alone.clone()).await;
        assert_eq!(story.look.number(raised).await, 1, "said already");
        let all = "SELECT COUNT(*) FROM bulletin WHERE kind = 'watcher'";
        let before = story.look.number(all).await;
        story.clock.forward(minutes(60));
        look(alone.clone()).await;
        assert!(story.look.number(all).await > before, "said again after an hour");
        drop(alone);
        story.gateway.set("sms", None);
        story.kill_and_restart(0).await;
        story.settle().await;
        story.expect_mail(OFFICE, "not tried within a minute").await;
        let round = story.watch().await;
        assert!(round.findings.is_empty(), "{:?}", round.findings);
        // The new node's own first look may have come before the steps that were overdue by then.
        story.settle().await;
        story.pending.clear();
        story.finish().await;
    }

    async fn the_heartbeat_is_told_only_while_every_check_passes(db: Db) {
        let story = first_night(db).await;
        let beats = Arc::new(AtomicUsize::new(0));
        let counted = beats.clone();
        let port = crate::doubles::serve(move |_| {
            Router::new().route("/", get(move || async move { counted.fetch_add(1, Ordering::SeqCst); }))
        }).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let watch = Watch { every: std::time::Duration::from_millis(30), heartbeat: Some(format!("http://127.0.0.1:{port}/").into()) };
        let service = story.node().service.clone();
        let findings = service.metrics.findings.clone();
        let running = std::thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(child_death_review::work::watcher(service, watch, stopped));
        });
        until("it beats", || async { beats.load(Ordering::SeqCst) > 0 }).await;
        story.db.run("UPDATE delivery SET state = 'dead' WHERE channel = 'email'").await.unwrap();
        // Messages of open alerts, and the office's word of the death, which nobody has to answer.
        until("found", || async { findings.get() == 2 }).await;
        let then = beats.load(Ordering::SeqCst);
        // Two more rounds, seen by what they keep.
        for n in 1..3 {
            story.clock.forward(seconds(1));
            let seen = format!("SELECT COUNT(*) FROM finding WHERE seen_at >= '{}'", story.now().format("%Y-%m-%dT%H:%M:%S+00:00"));
            until(&format!("round {n}"), || async { story.look.number(&seen).await == 2 }).await;
        }
        assert_eq!(beats.load(Ordering::SeqCst), then, "silence is the alarm");
        story.db.run("UPDATE delivery SET state = 'done' WHERE state = 'dead'").await.unwrap();
        until("it beats again", || async { beats.load(Ordering::SeqCst) > then }).await;
        stop.send(true).unwrap();
        running.join().unwrap();
        let mut story = story;
        story.expect_mail(OFFICE, "given up").await;
        story.expect_mail(OFFICE, "outbox").await;
        story.finish().await;
    }

    async fn the_next_provider_takes_over_when_the_first_is_down_or_slow(db: Db) {
        let twilio = TwilioDouble::start().await;
        let settings = twilio.config();
        let change = move |c: &mut Config| {
            c.twilio = settings;
            c.channels.sms = vec![Provider::Twilio, Provider::Gateway];
        };
        let mut story = Story::with(db, change, "").await;
        // Two texts: one meets an outage, one meets silence.
        twilio.fault_next(twilio::Fault::Proxy(503));
        twilio.fault_next(twilio::Fault::Hang);
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        assert!(twilio.taken().is_empty());
        assert!(story.look.number("SELECT COUNT(*) FROM attempt WHERE outcome LIKE 'twilio: %'").await >= 2, "who was passed over is part of the proof");
        story.finish().await;
    }

    async fn gov_uk_notify_carries_a_night_and_the_gateway_takes_over_when_it_fails(db: Db) {
        let change = |c: &mut Config| {
            c.channels.sms = vec![Provider::GovukNotify, Provider::Gateway];
            c.channels.email = vec![Provider::GovukNotify, Provider::Smtp];
        };
        let mut story = Story::with(db, change, "").await;
        let hook = format!("{}/hooks/notify", story.node().url);
        story.notify(triggering()).await;
        story.expect_hook("police", "").await;
        let text = story.expect_text("police", AMY, "URGENT: Joint Agency Response").await;
        story.expect_text("social_care", CARE, "URGENT: Joint Agency Response").await;
        story.expect_mail("amy@police.example", "Joint Agency Response").await;
        story.expect_mail("edt@socialcare.example", "Joint Agency Response").await;
        story.expect_mail(OFFICE, "").await;
        assert_eq!(story.notify.sent().len(), 5, "all texts and mails went through Notify");
        assert!(story.gateway.orders_from(0).is_empty() && story.mail.got_from(0).is_empty());
        // Notify says what became of the text; "delivered" is not "acknowledged".
        let id = text.order["notify"].as_str().unwrap().to_owned();
        let police = story.alert(&story.case(), "police").await;
        let state_of = |rows: Vec<(uuid::Uuid, String, _, i64, String)>| rows.into_iter().find(|r| r.0 == police.0).unwrap().4;
        assert_eq!(story.notify.send_receipt(&hook, "not-the-token", &id, Some("delivered")).await, Some(401));
        assert_eq!(state_of(story.look.alert_rows().await), "accepted");
        assert_eq!(story.notify.send_receipt(&hook, CALLBACK_TOKEN, &id, Some("delivered")).await, Some(200));
        assert_eq!(state_of(story.look.alert_rows().await), "delivered");
        // Notify fails: the next rungs go through the others, no later than they should.
        for _ in 0..2 {
            story.notify.fault_next(notify::Fault::Fails);
        }
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.forward(minutes(3)).await;
        story.expect_rung("police", 2).await;
        story.expect_rung("social_care", 2).await;
        assert!(story.gateway.orders_from(0).iter().any(|o| o["type"] == "sms"), "the gateway took over");
        // A reply to Notify's number is an answer.
        assert_eq!(story.notify.send_reply(&hook, CALLBACK_TOKEN, &international(AMY), "YES").await, Some(200));
        let held = story.state(&story.case()).await.alerts[&police].acknowledged.clone().expect("acknowledged");
        assert_eq!(held.means, Means::Reply);
        assert!(held.person.name.starts_with("Amy Exampleton"));
        story.finish().await;
    }

    async fn a_provider_that_takes_texts_and_delivers_none_does_not_stop_the_ladder(db: Db) {
        let twilio = TwilioDouble::start().await;
        let settings = twilio.config();
        let change = move |c: &mut Config| {
            c.twilio = settings;
            c.channels.sms = vec![Provider::Twilio, Provider::Gateway];
        };
        let mut story = Story::with(db, change, "").await;
        story.notify(triggering()).await;
        story.expect_hook("police", "").await;
        story.expect_mail("amy@police.example", "").await;
        story.expect_mail("edt@socialcare.example", "").await;
        story.expect_mail(OFFICE, "").await;
        assert_eq!(twilio.taken().len(), 2);
        let rows = story.look.alert_rows().await;
        assert!(rows.iter().all(|r| r.4 == "accepted"), "accepted is not delivered: {rows:?}");
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.finish().await;
    }

    async fn the_daily_word_and_the_weekly_test_are_sent_once_whoever_comes_first(db: Db) {
        let sqlite = db.is_sqlite();
        let mut story = Story::begin(db).await;
        if !sqlite {
            story.another_node().await;
        }
        let mut settings = story.config.watch.clone();
        settings.tonight_at = NaiveTime::from_hms_opt(16, 0, 0).unwrap();
        settings.test_at = NaiveTime::from_hms_opt(10, 30, 0).unwrap();
        settings.test_weekday = Weekday::Tue;
        // Friday, five past four; then Tuesday, half past ten.
        story.forward(minutes(12 * 60 + 5)).await;
        assert_eq!((story.now().weekday(), story.now().hour()), (Weekday::Fri, 16));
        both_nodes(&story, &settings).await;
        story.expect_mail(OFFICE, "Tonight").await;
        story.expect_mail("amy@police.example", "You are on for The police tonight").await;
        story.expect_mail("edt@socialcare.example", "You are on for Social care tonight").await;
        both_nodes(&story, &settings).await;
        story.expect_nothing_more().await;
        story.forward(minutes(3 * 24 * 60 + 18 * 60 + 30)).await;
        assert_eq!((story.now().weekday(), story.now().hour()), (Weekday::Tue, 10));
        both_nodes(&story, &settings).await;
        story.expect_hook("police", "\"test\"").await;
        story.expect_text("police", AMY, "Test from Child Death Review").await;
        story.expect_mail("amy@police.example", "Test from").await;
        story.expect_text("police", BEN, "Test from").await;
        story.expect_text("social_care", CARE, "Test from").await;
        story.expect_mail("edt@socialcare.example", "Test from").await;
        story.expect_mail(OFFICE, "Test from").await;
        // Whoever is named to ring is tested like everybody.
        story.expect_text("last_step", MANAGER, "Test from").await;
        both_nodes(&story, &settings).await;
        story.expect_nothing_more().await;
        // Nothing was up on the day itself a week later: made good on the day after, once.
        story.clock.forward(Duration::days(8));
        both_nodes(&story, &settings).await;
        story.expect_text("last_step", MANAGER, "Test from").await;
        story.settle().await;
        story.pending.clear();
        both_nodes(&story, &settings).await;
        story.expect_nothing_more().await;
        // Where there was none the week before, none comes on another day than its own.
        story.clock.forward(Duration::days(15));
        both_nodes(&story, &settings).await;
        story.settle().await;
        assert!(!story.pending.iter().any(|g| g.words.contains("Test from")));
        story.pending.clear();
        story.finish().await;
    }

    async fn looks_at_the_same_moment_climb_one_rung_when_a_step_came_to_nothing(db: Db) {
        let sqlite = db.is_sqlite();
        let mut story = first_night(db).await;
        if !sqlite {
            story.another_node().await;
        }
        let id = story.id(&story.case()).await;
        story.db.run("UPDATE alert SET hurry = TRUE WHERE agency = 'police'").await.unwrap();
        let looks = (0..12).map(|n| {
            let node = &story.nodes[n % story.nodes.len()];
            node.with(move |s| async move { s.escalate(id).await.unwrap() })
        });
        futures_util::future::join_all(looks).await;
        story.expect_rung("police", 1).await;
        story.finish().await;
    }

    async fn a_provisional_response_nobody_answered_climbs_one_ladder_once_it_is_certain(db: Db) {
        let mut story = Story::begin(db).await;
        let mut body = triggering();
        body["jar_answers"]["sudden_no_apparent_cause"] = json!("unknown");
        let case = story.notify(body).await;
        let old = story.expect_text("police", AMY, "Joint Agency Response may be due").await;
        story.settle().await;
        story.pending.clear();
        story.forward(minutes(2)).await;
        let (status, answer) = story.post(&format!("/api/v1/cases/{case}/amendments"), json!({ "jar_answers": { "sudden_no_apparent_cause": "yes" }, "reason": "seen by the consultant" })).await;
        assert_eq!(status, 200, "{answer}");
        story.expect_text("police", AMY, "is now certain").await;
        story.expect_text("social_care", CARE, "is now certain").await;
        story.settle().await;
        story.pending.clear();
        // The first ladder's call would have come now; the certain one's comes two minutes later.
        story.forward(minutes(1)).await;
        story.expect_nothing_more().await;
        story.forward(minutes(2)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        // A "cannot" to the older message is one to the certain one: the next rung goes.
        let care = story.all.iter().find(|g| g.by == "text" && g.to == international(CARE) && g.words.contains("may be due")).unwrap().words.clone();
        assert_eq!(story.reply(CARE, &format!("NO {}", code_in(&care))).await, 200);
        story.expect_rung("social_care", 2).await;
        // Whoever answers the older message has the case all the same.
        assert_eq!(story.reply(AMY, &format!("YES {}", code_in(&old.words))).await, 200);
        story.settle().await;
        assert!(story.state(&case).await.alerts.values().filter(|a| a.agency == "police").all(|a| !a.progress.is_unanswered()));
        story.finish().await;
    }

    async fn the_named_human_hears_when_they_need_not_ring_any_more(db: Db) {
        let mut story = first_night(db).await;
        story.nobody_answers().await;
        story.expect_human_for_both().await;
        assert_eq!(story.reply(AMY, "YES").await, 200);
        story.expect_text("last_step", MANAGER, "The police has answered").await;
        story.expect_nothing_more().await;
        let case = story.case();
        story.stand_down(&case).await;
        let told = story.expect_text("last_step", MANAGER, "stood down").await;
        assert!(!told.words.contains("Reply"), "{}", told.words);
        story.settle().await;
        story.pending.clear();
        story.forward(minutes(60)).await;
        story.expect_nothing_more().await;
        story.finish().await;
    }

    async fn a_system_that_comes_back_after_it_is_over_hears_of_no_call(db: Db) {
        for stand_down in [true, false] {
            let mut story = Story::begin(if db.is_sqlite() { Db::sqlite() } else { Db::postgres().await }).await;
            story.sink.set("police", Mood::Status(503));
            story.notify(triggering()).await;
            story.expect_first_messages().await;
            let case = story.case();
            for agency in ["police", "social_care"] {
                story.acknowledge(story.alert(&case, agency).await, Reply::CanAttend).await;
                story.plan(&case, agency).await;
            }
            story.settle().await;
            let heard = |s: &Story| s.sink.got("police").iter().filter(|g| g.body.contains("jar.triggered")).count();
            let calls = heard(&story);
            let open = "SELECT COUNT(*) FROM delivery WHERE channel = 'webhook' AND state IN ('due', 'leased')";
            assert_eq!(story.look.number(open).await, 1, "their system is spared no answer");
            story.sink.set("police", Mood::Well);
            if stand_down {
                story.stand_down(&case).await;
                story.expect_hook("police", "jar.stood-down").await;
            } else {
                story.withdraw(&case).await;
                story.expect_hook("police", "notification.withdrawn").await;
            }
            story.forward(minutes(40)).await;
            assert_eq!(heard(&story), calls, "no call after the word that it is over");
            story.pending.clear();
            story.finish().await;
        }
    }

    async fn what_was_given_up_is_not_sent_again_once_it_is_over(db: Db) {
        for acknowledged in [false, true] {
            let mut story = Story::begin(if db.is_sqlite() { Db::sqlite() } else { Db::postgres().await }).await;
            story.sink.set("police", Mood::Status(410));
            story.notify(triggering()).await;
            story.settle().await;
            let case = story.case();
            let police = story.alert(&case, "police").await;
            if acknowledged {
                story.acknowledge(police, Reply::CanAttend).await;
            }
            let made = story.look.given_up().await;
            let [call] = made.as_slice() else { panic!("{made:?}") };
            let again = format!("/api/v1/deliveries/{call}/replays");
            story.stand_down(&case).await;
            story.settle().await;
            let (status, said) = story.post(&again, json!({})).await;
            assert_eq!(status, 409, "{said}");
            assert!(said.to_string().contains("stood down or withdrawn since"), "{said}");
            // The word that it is over may be sent again.
            let words: Vec<Uuid> = story.look.given_up().await.into_iter().filter(|id| id != call).collect();
            assert_eq!(words.len(), 1);
            story.sink.set("police", Mood::Well);
            let (status, said) = story.post(&format!("/api/v1/deliveries/{}/replays", words[0]), json!({})).await;
            assert_eq!(status, 200, "{said}");
            story.forward(minutes(40)).await;
            assert_eq!(story.look.given_up().await, [*call]);
            story.pending.clear();
            story.finish().await;
        }
    }

    async fn the_word_to_ring_several_is_not_sent_any_more_once_it_is_over(db: Db) {
        for how in ["withdrawn", "stood down", "answered"] {
            let mut story = first_night(if db.is_sqlite() { Db::sqlite() } else { Db::postgres().await }).await;
            story.gateway.set(&international(MANAGER), Some(Fault::Status(503)));
            story.nobody_answers().await;
            story.settle().await;
            story.pending.clear();
            let waiting = "SELECT COUNT(*) FROM delivery WHERE state IN ('due', 'leased') AND alert_id IN (SELECT id FROM bulletin WHERE kind = 'ring_all')";
            assert_eq!(story.look.number(waiting).await, 2, "{how}: text and call");
            let case = story.case();
            match how {
                "withdrawn" => story.withdraw(&case).await,
                "stood down" => story.stand_down(&case).await,
                _ => {
                    story.acknowledge(story.alert(&case, "police").await, Reply::CanAttend).await;
                    assert_eq!(story.look.number(waiting).await, 2, "social care is still to be rung");
                    story.acknowledge(story.alert(&case, "social_care").await, Reply::CanAttend).await;
                    story.plan(&case, "police").await;
                    story.plan(&case, "social_care").await;
                }
            }
            assert_eq!(story.look.number(waiting).await, 0, "{how}");
            story.gateway.set(&international(MANAGER), None);
            story.forward(minutes(60)).await;
            story.forward(minutes(60)).await;
            let rings = |g: &Got| g.to == international(MANAGER) && g.words.contains("ring these partners");
            assert!(!story.all.iter().any(rings), "{how}");
            story.pending.clear();
            story.finish().await;
        }
    }

    async fn a_system_that_is_told_to_ring_is_told_whom_and_where(db: Db) {
        let sink = Sink::start().await;
        let contact = format!("[[last_step.contact]]\nid = \"manager-system\"\nchannel = \"webhook\"\naddress = \"http://127.0.0.1:{}/manager\"\nsecret = \"{}\"\n[[agency]]\nid = \"police\"", sink.port, crate::support::SECRET);
        let text = area_text(&sink, "").replacen("[[agency]]\nid = \"police\"", &contact, 1);
        let mut story = Story::in_area(db, sink, &text, |_| {}).await;
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        story.nobody_answers().await;
        story.expect_human_for_both().await;
        let ring = |agency: &str, name: &str, number: &str| json!({ "agency": agency, "name": name, "number": number });
        let (police, care) = (ring("police", "The police", "01632 960101"), ring("social_care", "Social care", "01632 960102"));
        let both: serde_json::Value = serde_json::from_str(&story.expect_hook("manager", "partners.unanswered").await.words).unwrap();
        let mut named = both["data"]["ring"].as_array().unwrap().clone();
        named.sort_by_key(|r| r["agency"].as_str().unwrap().to_owned());
        assert_eq!(named, [police, care.clone()]);
        assert!(both["data"]["agency"].is_null(), "not one of two: {both}");
        story.acknowledge(story.alert(&story.case(), "police").await, Reply::CanAttend).await;
        story.expect_hook("manager", "partner.answered").await;
        story.forward(minutes(15)).await;
        let one: serde_json::Value = serde_json::from_str(&story.expect_hook("manager", "partner.unanswered").await.words).unwrap();
        assert_eq!(one["data"]["ring"], json!([care]));
        assert_eq!(one["data"]["agency"], "social_care");
        story.settle().await;
        story.pending.clear();
        story.finish().await;
    }

    async fn a_provisional_response_that_becomes_certain_is_told_as_such(db: Db) {
        let mut story = Story::begin(db).await;
        let mut body = triggering();
        body["jar_answers"]["sudden_no_apparent_cause"] = json!("unknown");
        let case = story.notify(body).await;
        story.expect_text("police", AMY, "Joint Agency Response may be due").await;
        story.expect_text("social_care", CARE, "Joint Agency Response may be due").await;
        for agency in ["police", "social_care"] {
            let alert = story.alert(&case, agency).await;
            story.acknowledge(alert, child_death_review::service::Reply::CanAttend).await;
        }
        story.pending.clear();
        let (status, answer) = story.post(&format!("/api/v1/cases/{case}/amendments"), json!({ "jar_answers": { "sudden_no_apparent_cause": "yes" }, "reason": "seen by the consultant" })).await;
        assert_eq!(status, 200, "{answer}");
        story.expect_hook("police", "jar.upgraded").await;
        story.expect_mail("amy@police.example", "is now certain").await;
        story.expect_text("police", AMY, "is now certain").await;
        story.expect_mail("edt@socialcare.example", "is now certain").await;
        story.expect_text("social_care", CARE, "is now certain").await;
        story.expect_mail(OFFICE, "is now certain").await;
        story.forward(minutes(3)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        story.finish().await;
    }
}

/// What comes by the calendar, on every node at the same moment.
async fn both_nodes(story: &Story, settings: &child_death_review::config::Watch) {
    let copies = story.config.copy.clone();
    let nodes = [&story.nodes[0], story.nodes.last().unwrap()];
    let all = nodes.map(|n| {
        let (settings, copies) = (settings.clone(), copies.clone());
        n.with(move |s| async move { daily::once(&s, &settings, &copies).await.unwrap() })
    });
    futures_util::future::join_all(all).await;
}
