//! Signed webhooks: `CloudEvents` in Standard Webhooks headers.

use super::link::Links;
use super::{Message, text};
use crate::config::area::{Book, decode_secret};
use crate::domain::delivery::Outcome;
use crate::platform::crypt::hmac_sha256;
use crate::platform::outgoing::{self, Reach};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, Utc};
use std::sync::Arc;

/// Replies are read no further than this.
const REPLY_LIMIT: usize = 64 * 1024;

/// Calls receivers.
pub struct Hooks {
    client: reqwest::Client,
    reach: Reach,
    book: Arc<Book>,
}

/// The `webhook-signature` header: one `v1,` value per secret, the newest first.
#[must_use]
pub fn signature(keys: &[Vec<u8>], id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    let one = |k: &Vec<u8>| format!("v1,{}", STANDARD.encode(hmac_sha256(k, &signed)));
    keys.iter().map(one).collect::<Vec<_>>().join(" ")
}

impl Hooks {
    /// # Errors
    /// The machine's TLS set-up is broken.
    pub fn new(
        reach: Reach,
        timeout: std::time::Duration,
        book: Arc<Book>,
    ) -> reqwest::Result<Self> {
        Ok(Self { client: outgoing::client(&reach, timeout)?, reach, book })
    }

    /// Whether a point is known to be no use any more.
    pub(super) fn is_unusable(&self, lane: &str) -> bool {
        let area = lane.split('/').next().unwrap_or_default();
        self.book.today().is_unusable(area, lane)
    }

    pub(super) async fn send(&self, m: &Message, links: &Links, now: DateTime<Utc>) -> Outcome {
        let keys: Vec<Vec<u8>> =
            self.book.today().secrets(&m.lane).iter().filter_map(decode_secret).collect();
        if keys.is_empty() {
            return retry(None, "the directory has no secret for this receiver", None);
        }
        let Ok(url) = self.reach.check(&m.address) else {
            let why = "this address may not be called";
            return Outcome::Refused { code: None, why, recipient: false };
        };
        let body = text::cloud_event(m, links).to_string();
        let (id, timestamp) = (m.id.to_string(), now.timestamp());
        let request = self
            .client
            .post(url)
            .header("content-type", "application/cloudevents+json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signature(&keys, &id, timestamp, body.as_bytes()))
            .body(body);
        match request.send().await {
            Ok(reply) => judge(reply, now).await,
            Err(e) if e.is_timeout() => retry(None, "no answer in time", None),
            Err(e) if e.is_connect() => retry(None, "no connection", None),
            Err(_) => retry(None, "the connection broke", None),
        }
    }
}

fn retry(code: Option<u16>, why: &'static str, after: Option<Duration>) -> Outcome {
    Outcome::Retry { code, why, after }
}

async fn judge(reply: reqwest::Response, now: DateTime<Utc>) -> Outcome {
    let status = reply.status().as_u16();
    let code = Some(status);
    let after = retry_after(reply.headers().get("retry-after"), now);
    drain(reply).await;
    match status {
        200..=299 => Outcome::Accepted { code },
        300..=399 => retry(code, "answered with a redirect, which is not followed", after),
        410 => {
            let why = "the receiving system says it is gone for good";
            Outcome::Refused { code, why, recipient: true }
        }
        429 => retry(code, "the receiver asks to slow down", after),
        400..=499 => retry(code, "the receiver refused it", after),
        _ => retry(code, "the receiver failed", after),
    }
}

/// Reads a short reply so that its connection can serve again; drops a long or slow one.
async fn drain(mut reply: reqwest::Response) {
    let all = async {
        let mut seen = 0;
        while let Ok(Some(chunk)) = reply.chunk().await {
            seen += chunk.len();
            if seen > REPLY_LIMIT {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), all).await;
}

pub(super) fn retry_after(
    header: Option<&reqwest::header::HeaderValue>,
    now: DateTime<Utc>,
) -> Option<Duration> {
    let text = header?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::seconds(i64::from(seconds)));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc);
    (at > now).then(|| at - now)
}
