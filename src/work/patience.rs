//! How long one round of a loop may take. A database host that vanishes answers nothing, for ever; a
//! loop that waits for it would be silence that nobody hears.

use std::time::Duration;

/// Longer than any round takes whose database answers.
const MOST: Duration = Duration::from_mins(1);

/// Whether the round ended in time; what it found is its own matter.
pub(super) async fn in_time(what: &str, round: impl Future<Output = ()>) -> bool {
    let ended = tokio::time::timeout(MOST, round).await.is_ok();
    if !ended {
        tracing::error!(what, "the database did not answer for a minute; the next round begins");
    }
    ended
}
