//! The rounds of a loop, and how long one may take. A database host that vanishes answers nothing, for ever; a
//! loop that waits for it would be silence that nobody hears.

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// Rounds at an interval, until `stop` turns true. One that was late is not made up for.
pub(super) struct Rounds {
    tick: Interval,
    stop: watch::Receiver<bool>,
}

impl Rounds {
    pub(super) fn every(period: Duration, stop: watch::Receiver<bool>) -> Self {
        let mut tick = tokio::time::interval(period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { tick, stop }
    }

    /// Waits for the next one; false if there is none any more.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.tick.tick() => true,
            _ = self.stop.changed() => false,
        }
    }
}

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
