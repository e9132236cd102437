//! Asks carriers what became of messages that they took and said no more of, and takes over a
//! newer directory.

use crate::alerts::Channels;
use crate::alerts::provider::Receipt;
use crate::service::{Service, ServiceError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Runs until `stop` turns true.
pub async fn asker(service: Service, channels: Arc<Channels>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(Duration::from_secs(2));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.changed() => return,
        }
        if let Err(e) = service.refresh_directory().await {
            tracing::warn!(error = %e, "the directory could not be looked at");
        }
        if let Err(e) = ask(&service, &channels).await {
            tracing::warn!(error = %e, "carriers could not be asked");
        }
    }
}

async fn ask(service: &Service, channels: &Channels) -> Result<(), ServiceError> {
    let now = service.clock.now();
    for sent in service.store.to_ask(now, 50).await? {
        let (Some(provider), Some(id)) = (&sent.provider, &sent.provider_id) else { continue };
        let said = channels.ask(provider, id, now).await;
        // Not known there, or no answer: asked again later, ever more seldom.
        service.receipt(&sent, &said.unwrap_or(Receipt::Other("no word".into()))).await?;
        service.store.ask_later(sent.id, now).await?;
    }
    Ok(())
}
