//! Bodies that come too slowly. A fixed time for all would cut off a large file on a slow line, and
//! a time for each piece lets somebody send one letter at a time for ever; so a body has some
//! seconds, and what has come earns back what was waited. Only what it lets us wait counts.

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// What a byte earns: a line slower than 32 kbit/s is slower than any that telephones have.
const A_BYTE: Duration = Duration::from_micros(250);

/// The body did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
pub struct TooSlow;

/// How long somebody is still waited for, and was at first.
#[derive(Clone, Copy)]
struct Patience {
    left: Duration,
    most: Duration,
}

impl Patience {
    fn new(most: Duration) -> Self {
        Self { left: most, most }
    }

    fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    fn came(&mut self, bytes: usize) {
        let earned = A_BYTE.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
        // None is saved up: what came fast must not then be held for minutes.
        self.left = self.left.saturating_add(earned).min(self.most);
    }
}

/// A body with an end to the patience with it.
pub struct Paced {
    body: Body,
    left: Patience,
    /// Since when the next piece is waited for, and the end of that.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Paced {
    /// Waits `patience` for a body that brings nothing.
    pub fn new(body: Body, patience: Duration) -> Self {
        Self { body, left: Patience::new(patience), waiting: None }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let me = self.get_mut();
        if let Poll::Ready(next) = Pin::new(&mut me.body).poll_frame(cx) {
            if let Some((since, _)) = me.waiting.take() {
                me.left.waited(since.elapsed());
            }
            if let Some(Ok(frame)) = &next {
                me.left.came(frame.data_ref().map_or(0, Bytes::len));
            }
            return Poll::Ready(next.map(|r| r.map_err(Into::into)));
        }
        let left = me.left.left;
        let (_, end) =
            me.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        match end.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(TooSlow.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many seconds a body is given up whose pieces of `size` bytes come every `gap`
    /// seconds; none if all of them come.
    fn given_up(pieces: u32, size: usize, gap: u64) -> Option<u64> {
        let mut left = Patience::new(Duration::from_secs(12));
        for n in 1..=pieces {
            if left.left < Duration::from_secs(gap) {
                return Some(u64::from(n - 1) * gap + left.left.as_secs());
            }
            left.waited(Duration::from_secs(gap));
            left.came(size);
        }
        None
    }

    #[test]
    fn a_dribble_ends_and_a_large_file_on_a_slow_line_arrives() {
        // A letter each second, for ever.
        assert_eq!(given_up(1_000_000, 1, 1), Some(12));
        // Fewer still.
        assert_eq!(given_up(100, 1, 20), Some(12));
        // 5 MiB at 40 kbit/s: a quarter of an hour and more.
        assert_eq!(given_up(1024, 5 * 1024, 1), None);
        // A megabyte at once earns nothing for a silence after it.
        let mut fast = Patience::new(Duration::from_secs(12));
        fast.came(1024 * 1024);
        assert_eq!(fast.left, fast.most);
        // A form whose line was gone for ten seconds in the middle.
        assert_eq!(given_up(1, 2000, 10), None);
    }
}
