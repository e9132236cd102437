//! Nobody is on tonight: who is told, in which words.

use crate::story::*;
use crate::support::on_both;
use child_death_review::service::Service;
use child_death_review::work::daily;
use chrono::{NaiveTime, Timelike};

const CORONER: &str = "officers@coroner.example";

/// The coroner has a desk that keeps office hours, the wards a telephone that takes no texts, the
/// hospice nothing at all.
fn uncovered() -> String {
    let told = "told_of = [\"jar_triggered\"]";
    format!(
        "[[agency]]\nid = \"coroner\"\nname = \"The coroner\"\nring = \"01632 960105\"\n{told}\n[[agency.contact]]\nid = \"desk\"\nchannel = \"email\"\naddress = \"{CORONER}\"\nwhen = \"office_hours\"\n[[agency]]\nid = \"wards\"\nname = \"The wards\"\nring = \"01632 960107\"\n{told}\n[[agency.contact]]\nid = \"telephone\"\nchannel = \"landline\"\naddress = \"01632 960117\"\nwhen = \"office_hours\"\n[[agency]]\nid = \"hospice\"\nname = \"The hospice\"\nring = \"01632 960108\"\n{told}\n"
    )
}

/// What a mail says below its head, as one line.
fn said(mail: &Got) -> String {
    let body = mail.words.split_once("\n\n").expect("head and body").1;
    let bytes = quoted_printable::decode(body, quoted_printable::ParseMode::Robust).unwrap();
    String::from_utf8(bytes).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn evening(story: &Story) {
    let (mut settings, copies) = (story.config.watch.clone(), story.config.copy.clone());
    settings.tonight_at = NaiveTime::from_hms_opt(16, 0, 0).unwrap();
    story
        .node()
        .with(move |s: Service| async move { daily::once(&s, &settings, &copies).await.unwrap() })
        .await;
}

on_both! {
    async fn who_is_not_covered_tonight_is_told_to_the_office_and_to_the_agency_itself(db: Db) {
        let mut story = Story::with(db, |_| {}, &uncovered()).await;
        story.forward(minutes(11 * 60 + 59)).await;
        evening(&story).await;
        story.expect_nothing_more().await;
        // Friday, four in the afternoon: the coroner's desk is still open.
        story.forward(minutes(1)).await;
        assert_eq!(story.now().hour(), 16);
        evening(&story).await;
        let list = story.expect_mail(OFFICE, "Subject: Tonight's cover (Northshire)").await;
        let words = said(&list);
        for line in [
            "The police: covered (Amy Exampleton, then Ben Sampleby)",
            "Social care: covered (duty desk)",
            "The coroner: NOT COVERED (no desk is open)",
            "The wards: NOT COVERED (no desk is open)",
            "The hospice: NOT COVERED (no contact point and no rota: somebody must ring every time)",
            "Somebody has to be found for what is not covered.",
        ] {
            assert!(words.contains(line), "{line} is not in {words}");
        }
        assert!(!words.contains("Tonight is covered"), "{words}");
        let own = story.expect_mail(CORONER, "Subject: URGENT: cover for The coroner needs attention (Northshire)").await;
        let words = said(&own);
        assert!(words.contains("Tonight: no desk is open.") && words.contains("Please name somebody"), "{words}");
        // Whoever is covered hears that they are on. Nobody is rung for a list.
        story.expect_mail("amy@police.example", "You are on for The police tonight").await;
        story.expect_mail("edt@socialcare.example", "You are on for Social care tonight").await;
        story.expect_nothing_more().await;
        // Once a day, and again the next.
        evening(&story).await;
        story.expect_nothing_more().await;
        story.forward(minutes(24 * 60)).await;
        evening(&story).await;
        let list = story.expect_mail(OFFICE, "Tonight's cover").await;
        assert!(said(&list).contains("The coroner: NOT COVERED"));
        story.pending.clear();
        story.finish().await;
    }

    async fn a_rota_without_anybody_tonight_is_not_covered_and_says_so(db: Db) {
        let mut story = Story::begin(db).await;
        // The desk's telephone is gone, and Amy and Ben hand over to nobody.
        story.node().with(|s: Service| async move {
            let operator = child_death_review::auth::policy::Caller::operator();
            let held = s.area_directory(&operator, "northshire").unwrap();
            let mut area = held.area;
            let police = area.agencies.iter_mut().find(|a| a.id == "police").unwrap();
            police.contacts.retain(|c| c.id == "system" || c.id == "desk");
            for c in &mut police.contacts {
                c.when = child_death_review::domain::directory::When::OfficeHours;
            }
            for p in &mut police.people {
                p.contacts.clear();
            }
            s.save_directory(&operator, area, held.version, "Amy and Ben gave their telephones back").await.unwrap();
        }).await;
        story.forward(minutes(12 * 60)).await;
        evening(&story).await;
        let list = story.expect_mail(OFFICE, "Tonight's cover").await;
        let words = said(&list);
        assert!(words.contains("The police: NOT COVERED (Amy Exampleton is on, with no contact point that works)"), "{words}");
        let hook = story.expect_hook("police", "coverage").await;
        assert!(hook.words.contains("\"lines\":[\"Tonight: Amy Exampleton is on, with no contact point that works.\"]"), "{}", hook.words);
        story.expect_mail("edt@socialcare.example", "You are on for Social care tonight").await;
        story.finish().await;
    }
}
