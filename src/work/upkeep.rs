//! Sealing the journal and keeping the figures that operators watch.

use super::patience::in_time;
use crate::platform::clock::SharedClock;
use crate::platform::crypt::hex;
use crate::platform::metrics::Metrics;
use crate::store::{Store, StoreError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Seals what is new, and writes each seal to the anchor file if there is one.
///
/// # Errors
/// The database failed; a failing anchor is logged and does not stop sealing.
pub async fn seal_once(
    store: &Store,
    clock: &SharedClock,
    anchor: Option<&Path>,
) -> Result<(), StoreError> {
    while let Some(seal) = store.seal(clock.now()).await? {
        tracing::debug!(seal = seal.n, heads = seal.heads, "journal sealed");
        if let Some(path) = anchor {
            let line = format!("{} {} {}\n", seal.n, hex(&seal.root), seal.at.to_rfc3339());
            // Elsewhere, with a limit: an anchor on a hung network disk must not stop the rest.
            let path = path.to_owned();
            let written = tokio::task::spawn_blocking(move || append(&path, &line));
            match tokio::time::timeout(Duration::from_secs(5), written).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(e))) => tracing::error!(error = %e, "the anchor file cannot be written"),
                _ => tracing::error!("the anchor file does not answer"),
            }
        }
    }
    Ok(())
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut f = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    f.write_all(line.as_bytes())?;
    f.sync_data()
}

/// Runs until `stop` turns true.
pub async fn upkeep(
    store: Store,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    every: Duration,
    anchor: Option<PathBuf>,
    mut stop: watch::Receiver<bool>,
) {
    let mut seal = tokio::time::interval(every.max(Duration::from_secs(1)));
    let mut figures = tokio::time::interval(Duration::from_secs(5));
    let sealed = async || {
        let sealing = async {
            if let Err(e) = seal_once(&store, &clock, anchor.as_deref()).await {
                tracing::warn!(error = %e, "the journal could not be sealed");
            }
        };
        in_time("sealing the journal", sealing).await
    };
    loop {
        tokio::select! {
            _ = seal.tick() => {
                sealed().await;
            }
            _ = figures.tick() => {
                in_time("the figures", show_figures(&store, &clock, &metrics)).await;
            }
            _ = stop.changed() => {
                sealed().await;
                return;
            }
        }
    }
}

async fn show_figures(store: &Store, clock: &SharedClock, metrics: &Metrics) {
    if let Err(e) = store.mark_failed().await {
        tracing::warn!(error = %e, "given-up alerts could not be marked");
    }
    match store.outbox_figures().await {
        Ok(f) => {
            let oldest = f.oldest_unacknowledged.map_or(0, |t| (clock.now() - t).num_minutes());
            metrics.queue.set(f.waiting);
            metrics.dead_letters.set(f.dead);
            metrics.open_alerts.set(f.open_alerts);
            metrics.oldest_unacknowledged_minutes.set(oldest);
        }
        Err(e) => tracing::warn!(error = %e, "the figures could not be read"),
    }
}
