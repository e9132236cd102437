//! Climbs ladders: looks for steps that are due, twice a second and whenever something changed.
//! Stateless: what is due stands in the table, what was done in the journal, so any number of these
//! may run, die or freeze.

use super::patience::in_time;
use crate::domain::id::CaseId;
use crate::service::Service;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::sync::watch;

/// Cases stepped at once.
const AT_ONCE: usize = 8;
/// Cases taken per look; what is over is due at the next.
const PER_LOOK: i64 = 500;

/// Takes every step that is due now; how many cases moved.
///
/// # Errors
/// The due ones could not be found; single cases that fail are logged and tried at the next look.
pub async fn escalate_once(service: &Service) -> Result<usize, crate::service::ServiceError> {
    let due = service.cases_due(service.clock.now(), PER_LOOK).await?;
    let moved = futures_util::stream::iter(due)
        .map(|case| step(service, case))
        .buffer_unordered(AT_ONCE)
        .fold(0, |n, moved| async move { n + usize::from(moved) })
        .await;
    Ok(moved)
}

async fn step(service: &Service, case: CaseId) -> bool {
    use crate::service::Escalated;
    match service.escalate(case).await {
        Ok(done) => done == Escalated::Stepped,
        Err(e) => {
            // The watcher raises what stays overdue.
            tracing::error!(case = %case, error = %e, "a step could not be taken");
            false
        }
    }
}

/// Runs until `stop` turns true.
pub async fn escalator(service: Service, mut stop: watch::Receiver<bool>) {
    let mut news = service.news.listen();
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            // Word of a change may mean that something hurries; a burst of it is looked at once.
            Ok(()) = news.changed() => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                news.mark_unchanged();
            }
            _ = stop.changed() => return,
        }
        let round = async {
            if let Err(e) = escalate_once(&service).await {
                tracing::warn!(error = %e, "cannot look for steps that are due");
            }
        };
        in_time("steps that are due", round).await;
    }
}
