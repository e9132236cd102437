//! Asks carriers what became of messages that they took and said no more of.

use super::patience::{Rounds, in_time};
use crate::alerts::Channels;
use crate::alerts::provider::Receipt;
use crate::service::{Service, ServiceError};
use crate::store::SentRow;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Carriers asked side by side.
const AT_ONCE: usize = 16;

/// Runs until `stop` turns true.
pub async fn asker(service: Service, channels: Arc<Channels>, stop: watch::Receiver<bool>) {
    let mut rounds = Rounds::every(Duration::from_secs(2), stop);
    while rounds.next().await {
        let round = async {
            if let Err(e) = ask(&service, &channels).await {
                tracing::warn!(error = %e, "carriers could not be asked");
            }
        };
        in_time("what became of messages", round).await;
    }
}

/// Takes over a newer directory, until `stop` turns true. A round of its own: a number that was
/// corrected on another node must not wait for a carrier that is slow to answer.
pub async fn follower(service: Service, stop: watch::Receiver<bool>) {
    let mut rounds = Rounds::every(Duration::from_secs(2), stop);
    while rounds.next().await {
        let round = async {
            if let Err(e) = service.refresh_directory().await {
                tracing::warn!(error = %e, "the directory could not be looked at");
            }
        };
        in_time("the directory", round).await;
    }
}

async fn ask(service: &Service, channels: &Channels) -> Result<(), ServiceError> {
    let due = service.store.to_ask(service.clock.now(), 50).await?;
    let one = |sent| ask_one(service, channels, sent);
    let mut answers = stream::iter(due).map(one).buffer_unordered(AT_ONCE);
    // One that cannot be taken in keeps no other from being asked.
    while let Some(done) = answers.next().await {
        if let Err(e) = done {
            tracing::warn!(error = %e, "a carrier's word could not be taken in");
        }
    }
    Ok(())
}

async fn ask_one(
    service: &Service,
    channels: &Channels,
    sent: SentRow,
) -> Result<(), ServiceError> {
    let now = service.clock.now();
    let (Some(provider), Some(id)) = (&sent.provider, &sent.provider_id) else { return Ok(()) };
    let said = channels.ask(provider, id, now).await;
    // Not known there, or no answer: asked again later, ever more seldom.
    service.receipt(&sent, &said.unwrap_or(Receipt::Other("no word".into()))).await?;
    Ok(service.store.ask_later(sent.id, now).await?)
}
