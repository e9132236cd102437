//! Makes lines of case lists anew that other rules made: after an upgrade, or when an area has set
//! other lengths of its clocks.

use super::patience::in_time;
use crate::store::Store;
use std::time::Duration;
use tokio::sync::watch;

/// Lines in one go, in hundreds: a line that cannot be made must not keep the loop busy for ever.
const MOST: usize = 2000;

/// Looks each minute, until `stop` turns true.
pub async fn renewer(store: Store, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(Duration::from_mins(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.changed() => return,
        }
        for _ in 0..MOST {
            if *stop.borrow() {
                return;
            }
            let mut more = false;
            let renewing = async {
                match store.renew_lines().await {
                    Ok(n) => more = n > 0,
                    Err(e) => {
                        tracing::error!(error = %e, "lines of the case list could not be made anew");
                    }
                }
            };
            if !in_time("making lines of the case list anew", renewing).await || !more {
                break;
            }
        }
    }
}
