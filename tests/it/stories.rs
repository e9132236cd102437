//! Stories of one night each: who is told, by what, when, and what stops it.

use crate::story::*;
use crate::support::{on_both, triggering};

on_both! {
    async fn when_nobody_answers_the_ladder_is_climbed_to_the_named_human_who_is_told_ever_more_seldom(db: Db) {
        let mut story = Story::begin(db).await;
        story.notify(triggering()).await;
        story.expect_first_messages().await;
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
            story.expect_human("police").await;
            story.expect_human("social_care").await;
            story.expect_nothing_more().await;
            story.forward(minutes(wait) - seconds(1)).await;
            story.expect_nothing_more().await;
            story.forward(seconds(1)).await;
        }
        story.expect_human("police").await;
        story.expect_human("social_care").await;
        story.finish().await;
    }
}
