//! A response that ended and is called again: nobody counts as told, as having answered or as having
//! planned because of what was said before. And what ends the chasing of a partner.

use crate::story::{AMY, MANAGER, Story, first_night, international, minutes};
use crate::support::{all_no, by_rules, on_both, triggering};
use child_death_review::domain::alert::{AlertKind, Channel, ContactPoint, Recipient};
use child_death_review::domain::case::{self, CaseState, Context};
use child_death_review::domain::escalation::Phase;
use child_death_review::domain::event::{Event, Person, Recorded};
use child_death_review::domain::id::CaseId;
use child_death_review::service::Reply;
use chrono::{TimeZone, Utc};
use serde_json::json;
use uuid::Uuid;

on_both! {
    async fn what_was_planned_for_a_response_that_ended_is_no_plan_for_the_next(db: Db) {
        let mut story = first_night(db).await;
        let case = story.case();
        let first = story.alert(&case, "police").await;
        story.acknowledge(first, Reply::CanAttend).await;
        story.plan(&case, "police").await;
        assert_eq!(story.state(&case).await.alerts[&first].progress.phase, Phase::Settled);
        story.stand_down(&case).await;
        story.call_anew(&case).await;
        story.settle().await;
        let now = story.state(&case).await;
        let theirs: Vec<_> = now.alerts.iter().filter(|(_, a)| a.agency == "police" && a.kind == AlertKind::JarTriggered).collect();
        assert_eq!(theirs.len(), 2, "called again, although they had acknowledged");
        let (again, _) = theirs.iter().find(|(_, a)| a.acknowledged.is_none()).unwrap();
        let again = **again;
        story.acknowledge(again, Reply::CanAttend).await;
        assert_eq!(story.state(&case).await.alerts[&again].progress.phase, Phase::Acting, "nothing is planned for this one");
        // It comes back; what was missing ends it, and nobody is rung any more.
        story.settle().await;
        story.forward(minutes(240)).await;
        assert_eq!(story.state(&case).await.alerts[&again].progress.phase, Phase::Climbing);
        story.plan(&case, "police").await;
        assert_eq!(story.state(&case).await.alerts[&again].progress.phase, Phase::Settled);
        let row = format!("SELECT COUNT(*) FROM alert WHERE agency = 'police' AND state = 'acknowledged' AND phase = 'settled' AND kind = '{}'", AlertKind::JarTriggered.word());
        assert_eq!(story.look.number(&row).await, 2);
        story.settle().await;
        story.absorb();
        let sent = |s: &Story| s.all.iter().filter(|g| g.to == international(AMY)).count();
        let so_far = sent(&story);
        story.forward(minutes(120)).await;
        story.absorb();
        assert_eq!(sent(&story), so_far);
        story.pending.clear();
        story.finish().await;
    }

    async fn the_human_who_is_to_ring_goes_on_through_an_upgrade_and_hears_of_the_answer(db: Db) {
        let mut story = Story::begin(db).await;
        let mut body = triggering();
        body["jar_answers"]["sudden_no_apparent_cause"] = json!("unknown");
        let case = story.notify(body).await;
        story.settle().await;
        let first = story.alert(&case, "police").await;
        let mut waited = 0;
        while !story.state(&case).await.alerts[&first].human_waits {
            story.forward(minutes(3)).await;
            waited += 3;
            assert!(waited < 120, "the human is told in the end");
        }
        let met = json!({ "jar_answers": { "sudden_no_apparent_cause": "yes" }, "reason": "seen" });
        assert_eq!(story.post(&format!("/api/v1/cases/{case}/amendments"), met).await.0, 200);
        story.settle().await;
        let now = story.state(&case).await;
        assert!(now.alerts[&first].superseded_by.is_some() && now.alerts[&first].human_waits, "nobody at the police has answered");
        let certain = now.alerts[&first].superseded_by.unwrap();
        story.acknowledge(certain, Reply::CanAttend).await;
        let now = story.state(&case).await;
        assert!(!now.alerts[&first].human_waits && now.alerts[&first].human_released.is_some());
        story.settle().await;
        story.absorb();
        let told = story.all.iter().filter(|g| g.to == international(MANAGER) && g.words.contains("need not ring them any more")).count();
        assert_eq!(told, 1, "{:?}", story.all.iter().filter(|g| g.to == international(MANAGER)).map(|g| &g.words).collect::<Vec<_>>());
        story.pending.clear();
        story.finish().await;
    }
}

// By the rules alone.

fn point(channel: Channel) -> ContactPoint {
    ContactPoint {
        id: format!("a/police/{}", channel.word()),
        channel,
        address: "07700 900101".into(),
        who: String::new(),
    }
}

fn recipients(kind: AlertKind) -> Vec<Recipient> {
    let told = |agency: &str, acknowledge| Recipient {
        agency: agency.into(),
        agency_name: agency.into(),
        acknowledge,
        contacts: vec![point(Channel::Sms), point(Channel::Voice)],
        ladder: None,
    };
    match kind {
        AlertKind::DeathNotified => vec![told("registrar", true)],
        AlertKind::JarStoodDown | AlertKind::NotJar => Vec::new(),
        _ => vec![told("police", true)],
    }
}

fn with<T>(usable: &dyn Fn(&ContactPoint) -> bool, f: impl FnOnce(&mut Context<'_>) -> T) -> T {
    by_rules(&recipients, usable, f)
}

fn now() -> chrono::DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 2, 20, 3, 0, 0).unwrap()
}

fn fold(state: Option<CaseState>, events: Vec<Event>) -> CaseState {
    let each = |s, event| case::apply(CaseId(Uuid::nil()), s, Recorded { at: now(), event });
    events.into_iter().fold(state, each).unwrap()
}

fn notified(body: serde_json::Value) -> CaseState {
    use child_death_review::domain::event::Route;
    use child_death_review::domain::id::Reference;
    use child_death_review::domain::intake::{self, Need};
    let accepted = intake::read(body, Need::CallBack, now()).unwrap();
    let events = with(&|_| true, |c| {
        case::notify(Reference::new(2026, 2), "a".into(), Route::Api, accepted, c)
    });
    fold(None, events)
}

fn planned(events: &[Event]) -> Vec<(String, AlertKind, Vec<Channel>)> {
    let alerts = events.iter().filter_map(|e| match e {
        Event::AlertsPlanned { alerts } => Some(alerts),
        _ => None,
    });
    alerts
        .flatten()
        .map(|a| (a.agency.clone(), a.kind, a.contacts.iter().map(|c| c.channel).collect()))
        .collect()
}

#[test]
fn after_a_withdrawal_everybody_who_heard_of_the_death_hears_of_it_again() {
    let s = notified(all_no());
    assert!(s.alerts.values().any(|a| a.agency == "registrar"));
    let gone = with(&|_| true, |c| case::withdraw(&s, "r".into(), Person::default(), c)).unwrap();
    let s = fold(Some(s), gone);
    let again =
        with(&|_| true, |c| case::call_jar(&s, "r".into(), Vec::new(), Person::default(), c));
    let told = planned(&again.unwrap());
    let told: Vec<(&str, AlertKind)> = told.iter().map(|(a, k, _)| (a.as_str(), *k)).collect();
    assert_eq!(
        told,
        [("police", AlertKind::JarTriggered), ("registrar", AlertKind::DeathNotified)]
    );
}

#[test]
fn whoever_answered_a_response_that_ended_is_told_when_the_next_becomes_certain() {
    let mut s = notified(triggering());
    let answered = case::Acknowledged {
        at: now(),
        person: Person::default(),
        means: child_death_review::domain::event::Means::Telephone,
    };
    s.alerts.values_mut().for_each(|a| a.acknowledged = Some(answered.clone()));
    let down = |s: &CaseState| {
        with(&|_| true, |c| case::stand_down(s, "r".into(), Vec::new(), Person::default(), c))
    };
    let events = down(&s).unwrap();
    assert_eq!(planned(&events).len(), 1, "they are told to stop");
    s = fold(Some(s), events);
    // Called "until ruled out", as a report that is merged in may call it, and then certain.
    s.stood_down = None;
    s.standing = child_death_review::domain::jar::Decision::Provisional;
    let more =
        with(&|_| true, |c| case::call_jar(&s, "r".into(), Vec::new(), Person::default(), c))
            .unwrap();
    let told = planned(&more);
    assert!(
        told.iter().any(|(a, k, _)| a == "police" && *k == AlertKind::JarTriggered),
        "{told:?}"
    );
    // Told to stop once, they are not told again for what they were not called for.
    s.standing = child_death_review::domain::jar::Decision::Provisional;
    assert!(planned(&down(&s).unwrap()).is_empty());
}

#[test]
fn whoever_gets_no_texts_is_rung_when_it_is_over() {
    let s = notified(triggering());
    let over = |usable: &dyn Fn(&ContactPoint) -> bool| {
        let events =
            with(usable, |c| case::stand_down(&s, "r".into(), Vec::new(), Person::default(), c));
        planned(&events.unwrap()).remove(0).2
    };
    assert_eq!(over(&|_| true), [Channel::Sms], "not both");
    assert!(over(&|p| p.channel != Channel::Sms).contains(&Channel::Voice));
}

#[test]
fn a_merge_that_answers_the_certain_alert_releases_who_was_to_ring_for_the_first() {
    let mut s = notified(triggering());
    let certain = *s.alerts.keys().next().unwrap();
    let mut first = s.alerts[&certain].clone();
    (first.superseded_by, first.human_waits) = (Some(certain), true);
    let old = child_death_review::domain::id::AlertId(Uuid::from_u128(7));
    s.alerts.insert(old, first);
    let event = Event::BecameAccount {
        first: CaseId(Uuid::from_u128(9)),
        reference: s.reference.clone(),
        by: None,
        reason: String::new(),
        told: Vec::new(),
        settled: vec![certain],
    };
    let s = fold(Some(s), vec![event]);
    assert!(!s.alerts[&old].human_waits && s.alerts[&old].human_released.is_some());
}
