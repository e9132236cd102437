//! Comparing cases: each notification once it is stored, and cases that changed: a name that became
//! known later. What is alike is shown to the office. Nothing is merged here.

use super::patience::in_time;
use crate::config::{Duplicates, OnArrival};
use crate::domain::id::CaseId;
use crate::service::{Looked, Service};
use chrono::Duration;
use std::time::{Duration as StdDuration, Instant};
use tokio::sync::{mpsc, watch};

/// Cases that changed within this time are looked at after a start.
const HOURS: i64 = 48;
/// A change is looked at once everything that was being stored beside it is there.
const SETTLED_SECONDS: i64 = 10;
/// Older cases made findable in one commit.
const AT_ONCE: i64 = 50;

/// Runs until `stop` turns true; where nobody wants a look it only waits for that.
pub async fn likeness(
    service: Service,
    settings: Duplicates,
    mut arrived: mpsc::Receiver<CaseId>,
    mut stop: watch::Receiver<bool>,
) {
    if settings.look_seconds == 0 || settings.on_arrival == OnArrival::Off {
        // A worker that ends early would end the service.
        drop(arrived);
        let _ = stop.changed().await;
        return;
    }
    let mut tick = tokio::time::interval(StdDuration::from_secs(settings.look_seconds));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut filled = Some(uuid::Uuid::nil());
    let since = service.clock.now() - Duration::hours(HOURS);
    let mut come = Looked { at: since, case: uuid::Uuid::nil() };
    loop {
        let began;
        tokio::select! {
            biased;
            _ = stop.changed() => return,
            Some(id) = arrived.recv() => {
                began = Instant::now();
                if let Err(e) = service.look_at(id).await {
                    // It comes up again among the cases that changed.
                    tracing::warn!(error = %e, "a notification could not be compared yet");
                }
            }
            _ = tick.tick() => {
                began = Instant::now();
                if !find_older(&service, &mut filled, &stop).await {
                    return;
                }
                let until = service.clock.now() - Duration::seconds(SETTLED_SECONDS);
                let before = come;
                let looking = async {
                    if let Err(e) = service.look_again(&mut come, until).await {
                        tracing::warn!(error = %e, "cases could not be compared again");
                    } else if come != before {
                        // There may be more.
                        tick.reset_immediately();
                    }
                };
                in_time("comparing cases that changed", looking).await;
            }
        }
        // In a rush, what comes in goes first: half the time at most is spent comparing.
        tokio::select! {
            () = tokio::time::sleep(began.elapsed()) => {}
            _ = stop.changed() => return,
        }
    }
}

/// Makes cases findable of before the update that brought this, some at a time. False: to stop.
async fn find_older(
    service: &Service,
    filled: &mut Option<uuid::Uuid>,
    stop: &watch::Receiver<bool>,
) -> bool {
    while let Some(after) = *filled {
        let mut went = false;
        let filling = async {
            match service.store.fill_keys(after, AT_ONCE).await {
                Ok(come) => (*filled, went) = (come, true),
                Err(e) => tracing::warn!(error = %e, "older cases could not be made findable yet"),
            }
        };
        if !in_time("making older cases findable", filling).await || !went {
            break;
        }
        if *stop.borrow() {
            return false;
        }
    }
    true
}
