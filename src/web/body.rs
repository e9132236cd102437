//! Bodies of requests: not too large, not too slow, and all of them together not more than memory
//! has room for.

use super::Web;
use super::pace::{Paced, TooSlow};
use super::problem::Problem;
use axum::body::Body;
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A body up to here needs nobody's leave: a notification with all that is known has some thousand
/// bytes, and is never kept out by what else is sent.
const SMALL: usize = 16 * 1024;
/// What larger bodies have between them, in KiB. Read as JSON they take several times as much.
const SHARED: usize = 16 * 1024;

/// What bodies that are not small take from, until the request is answered.
#[derive(Clone)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SHARED)))
    }
}

/// A body, and the room that it takes until it is dropped.
struct Kept {
    bytes: BytesMut,
    _room: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Room {
    /// Makes what is held enough for a body of `size` bytes; false if there is no room.
    fn enough(&self, held: &mut Option<OwnedSemaphorePermit>, size: usize) -> bool {
        let wanted = size.saturating_sub(SMALL).div_ceil(1024);
        let more =
            wanted.saturating_sub(held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if more == 0 {
            return true;
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let Ok(permit) = self.0.clone().try_acquire_many_owned(more) else { return false };
        match held {
            Some(h) => h.merge(permit),
            None => *held = Some(permit),
        }
        true
    }
}

/// The whole body, no longer than the limit and not slower than the patience.
pub async fn bytes(web: &Web, body: Body) -> Result<Bytes, Problem> {
    let mut body = Paced::new(body, web.body_timeout);
    let (mut bytes, mut held) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|e| broken(&e))?.into_data() else { continue };
        let size = bytes.len() + piece.len();
        if size > web.body_limit {
            return Err(too_large(web.body_limit));
        }
        if !web.room.enough(&mut held, size) {
            return Err(no_room());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Bytes::from_owner(Kept { bytes, _room: held }))
}

fn broken(e: &axum::BoxError) -> Problem {
    if e.is::<TooSlow>() {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", e.to_string())
    } else {
        Problem::new(StatusCode::BAD_REQUEST, "body_broken", "the body did not arrive whole")
    }
}

fn too_large(limit: usize) -> Problem {
    let why = format!("the body is larger than {} KiB", limit / 1024);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", why)
}

fn no_room() -> Problem {
    let why = "too many large bodies are being read at once; send it again in a moment";
    let mut p = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", why);
    p.retry_after = Some(1);
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_share_what_there_is_and_small_ones_need_nothing() {
        let room = Room::default();
        let (mut first, mut second, mut third) = (None, None, None);
        assert!(room.enough(&mut first, 8 * 1024 * 1024));
        assert!(room.enough(&mut second, 8 * 1024 * 1024));
        // As it grows, a body takes what it has grown by.
        assert!(room.enough(&mut second, 8 * 1024 * 1024 + 30 * 1024));
        assert!(!room.enough(&mut third, SMALL + 4 * 1024));
        assert!(room.enough(&mut third, SMALL) && third.is_none());
        drop(first);
        assert!(room.enough(&mut third, SMALL + 4 * 1024));
        drop((second, third));
        assert_eq!(room.0.available_permits(), SHARED);
    }
}
