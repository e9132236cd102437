//! "Something changed": wakes pages that watch and loops that wait. Says nothing more, so that a
//! listener that missed a word has missed nothing: it looks again.

use std::sync::Arc;
use tokio::sync::watch;

/// A bell that anybody may ring and anybody hear.
#[derive(Clone, Debug)]
pub struct News(Arc<watch::Sender<u64>>);

impl Default for News {
    fn default() -> Self {
        Self(Arc::new(watch::channel(0).0))
    }
}

impl News {
    pub fn tell(&self) {
        self.0.send_modify(|n| *n = n.wrapping_add(1));
    }

    #[must_use]
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
