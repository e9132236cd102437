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
    within(MOST, what, round).await
}

async fn within(most: Duration, what: &str, round: impl Future<Output = ()>) -> bool {
    let ended = tokio::time::timeout(most, round).await.is_ok();
    if !ended {
        tracing::error!(what, "the database did not answer in time; the next round begins");
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_round_that_hangs_is_given_up_and_the_next_one_begins() {
        let (stop, stopped) = watch::channel(false);
        let mut rounds = Rounds::every(Duration::from_millis(5), stopped);
        let (mut begun, mut ended) = (0, 0);
        while rounds.next().await {
            begun += 1;
            let hangs = begun == 1;
            let round = async {
                if hangs {
                    std::future::pending::<()>().await;
                }
            };
            ended += u32::from(within(Duration::from_millis(20), "a test", round).await);
            if begun == 3 {
                stop.send_replace(true);
            }
        }
        assert_eq!((begun, ended), (3, 2));
    }
}
