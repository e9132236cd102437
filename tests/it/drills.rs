//! A drill from its first page to its result.

use crate::story::*;
use crate::support::on_both;
use crate::visitor::Visitor;
use child_death_review::domain::id::Reference;

fn flat(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                out.push(' ');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

on_both! {
    async fn a_drill_is_begun_watched_ended_and_its_result_read_on_pages(db: Db) {
        let mut story = Story::begin(db).await;
        let office = Visitor::of(&story, "coordinator", "northshire", None).await;
        let (_, page) = office.page("/drills").await;
        assert!(page.contains("No drill has been run yet"), "{page}");
        let (_, page) = office.page("/drills").await;
        let key = page.split("name=\"_key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let pressed = [("area", "northshire"), ("_key", key.as_str())];
        let press = || office.fill("/drills", "/drills", &pressed);
        let (one, two) = tokio::join!(press(), press());
        let (status, to, page) = one;
        assert_eq!((status, two.0, &two.1), (303, 303, &to), "two presses are one drill: {page}");
        let drill = Reference::parse(to.strip_prefix("/drills/").unwrap()).unwrap();
        story.references.push(drill.clone());
        story.settle().await;
        assert!(!story.pending.is_empty());
        assert!(story.pending.iter().all(|g| g.by == "hook" || g.words.to_uppercase().contains("EXERCISE") || g.words.to_uppercase().contains("DRILL")), "every message says what it is");
        story.pending.clear();
        let (_, page) = office.page(&to).await;
        assert!(page.contains("It is running.") && page.contains("0 of 2 partners reached") && page.contains("End the drill"), "{page}");
        let (_, board) = office.page(&format!("/cases/{drill}/reached")).await;
        assert!(board.contains("This is a drill.") && board.contains("2 partners have not acknowledged yet"), "{board}");
        story.forward(minutes(3)).await;
        assert_eq!(story.reply(AMY, "YES {code}").await, 200);
        for _ in 0..3 {
            story.forward(minutes(5)).await;
        }
        let (_, page) = office.page(&to).await;
        assert!(page.contains("1 of 2 partners reached"), "{page}");
        story.pending.clear();
        // Whoever may not drill is shown no button, and pressing it all the same ends nothing.
        let auditor = Visitor::of(&story, "auditor", "northshire", None).await;
        let (status, page) = auditor.page(&to).await;
        assert!(status == 200 && !page.contains("End the drill"), "{page}");
        let (status, _, _) = auditor.fill("/account", &format!("{to}/end"), &[]).await;
        assert_eq!(status, 403);
        let elsewhere = Visitor::of(&story, "coordinator", "elsewhere", None).await;
        assert_eq!(elsewhere.page(&to).await.0, 404);
        let (status, back, _) = office.fill(&to, &format!("{to}/end"), &[]).await;
        assert_eq!((status, back.as_str()), (303, to.as_str()));
        story.settle().await;
        assert!(story.pending.iter().all(|g| !g.words.contains("URGENT")), "only word that it is over");
        story.pending.clear();
        let (_, page) = office.page(&to).await;
        let text = flat(&page);
        for part in [
            "1 of 2 partners reached",
            "Northshire, started",
            ", ended",
            "The police reached in 3 min 00 s, after 1 more steps",
            "3 min 00 s, Amy Exampleton",
            "Social care NOT REACHED somebody had to be told to ring",
            "Panel office told; need not acknowledge",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!page.contains("It is running") && !page.contains("End the drill"), "{page}");
        let (_, list) = office.page("/drills").await;
        assert!(list.contains(&format!("<a href=\"{to}\">{drill}</a>")) && !list.contains("waiting</span>"), "{list}");
        // Ended twice is ended once; it is no case, and its ladders are quiet.
        let (status, ..) = office.fill("/drills", &format!("{to}/end"), &[]).await;
        assert_eq!(status, 303);
        let (_, cases) = office.page("/cases").await;
        assert!(!cases.contains(&drill.to_string()), "{cases}");
        story.forward(minutes(600)).await;
        story.finish().await;
    }
}
