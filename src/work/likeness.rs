//! Looking again at cases that changed: two reports of one death that came at the same moment, or a
//! name that became known later, are found here and shown to the office. Nothing is merged here.

use crate::config::{Duplicates, OnArrival};
use crate::service::{Looked, Service};
use chrono::Duration;
use std::time::Duration as StdDuration;
use tokio::sync::watch;

/// Cases that changed within this time are looked at after a start.
const HOURS: i64 = 48;
/// A change is looked at once everything that was being stored beside it is there.
const SETTLED_SECONDS: i64 = 10;
/// Older cases made findable in one commit.
const AT_ONCE: i64 = 50;

/// Runs until `stop` turns true; where nobody wants a look it only waits for that.
pub async fn likeness(service: Service, settings: Duplicates, mut stop: watch::Receiver<bool>) {
    if settings.look_seconds == 0 || settings.on_arrival == OnArrival::Off {
        // A worker that ends early would end the service.
        let _ = stop.changed().await;
        return;
    }
    let mut tick = tokio::time::interval(StdDuration::from_secs(settings.look_seconds));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut filled = Some(uuid::Uuid::nil());
    let since = service.clock.now() - Duration::hours(HOURS);
    let mut come = Looked { at: since, case: uuid::Uuid::nil() };
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.changed() => return,
        }
        // Cases of before the update that brought this, some at a time.
        while let Some(after) = filled {
            match service.store.fill_keys(after, AT_ONCE).await {
                Ok(come) => filled = come,
                Err(e) => {
                    tracing::warn!(error = %e, "older cases could not be made findable yet");
                    break;
                }
            }
            if *stop.borrow() {
                return;
            }
        }
        let until = service.clock.now() - Duration::seconds(SETTLED_SECONDS);
        match service.look_again(come, until).await {
            Ok(looked) => come = looked,
            Err(e) => tracing::warn!(error = %e, "cases could not be compared again"),
        }
    }
}
