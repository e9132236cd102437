//! What a gateway calls us back with: receipts, keys pressed on the telephone, replies to text
//! messages. First [`verify`] over the bytes as they came, then [`parse_event`].

use super::fields::{EventError, need, object, text};
use super::phone;
use super::provider::Receipt;
use super::webhook::signature;
use crate::platform::crypt::same;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Seconds by which a call-back's time may differ from ours, either way (Standard Webhooks).
pub const TOLERANCE_SECONDS: i64 = 300;

/// Characters of a reply that are read; ten long text messages' worth.
const TEXT_LIMIT: usize = 1600;

/// The three headers of Standard Webhooks.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub id: &'a str,
    pub timestamp: &'a str,
    pub signature: &'a str,
}

/// Why a call-back is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("webhook-id is missing")]
    Id,
    #[error("webhook-timestamp is not a number of seconds")]
    Timestamp,
    #[error("webhook-timestamp is more than five minutes off")]
    Stale,
    #[error("webhook-signature does not fit")]
    Signature,
}

/// Whether a call-back comes from who holds one of `keys`, unchanged and now. Within the tolerance
/// the same call-back still passes twice: the caller drops repeats by `headers.id`, which is
/// signed.
///
/// # Errors
/// Why it is not believed.
pub fn verify(
    keys: &[Vec<u8>],
    headers: Signed<'_>,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<(), Refused> {
    if headers.id.is_empty() {
        return Err(Refused::Id);
    }
    let digits = headers.timestamp.bytes().all(|b| b.is_ascii_digit());
    let timestamp = digits.then(|| headers.timestamp.parse::<i64>().ok()).flatten();
    let timestamp = timestamp.ok_or(Refused::Timestamp)?;
    // Every signature against every key, so that the time taken tells nothing about which fits.
    let mut fits = false;
    for key in keys {
        let expected = signature(std::slice::from_ref(key), headers.id, timestamp, body);
        for offered in headers.signature.split(' ').take(16) {
            fits |= same(offered.as_bytes(), expected.as_bytes());
        }
    }
    if !fits {
        return Err(Refused::Signature);
    }
    if now.timestamp().abs_diff(timestamp) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(Refused::Stale);
    }
    Ok(())
}

/// A call-back, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayEvent {
    /// The id we sent. A reply may not know what it answers.
    pub message_id: Option<Uuid>,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Receipt(Receipt),
    /// A key pressed during a call: a digit, `*` or `#`.
    Key(char),
    /// A text message back; `from` is in international form.
    Reply {
        from: String,
        text: String,
    },
}

/// Reads a call-back. Fields that we do not know are ignored, so that a gateway may say more.
///
/// # Errors
/// A field that is missing or not what it must be.
pub fn parse_event(body: &[u8]) -> Result<GatewayEvent, EventError> {
    let o = object(body)?;
    let event = need(&o, "event")?;
    let id = match text(&o, "message_id")? {
        Some(id) => {
            Some(Uuid::parse_str(id).map_err(|_| EventError::Wrong("message_id", "a UUID"))?)
        }
        None => None,
    };
    let what = match event {
        "key" => What::Key(key(need(&o, "key")?)?),
        "reply" => {
            let from = phone::normalise(need(&o, "from")?)
                .map_err(|_| EventError::Wrong("from", "a telephone number"))?;
            let text = need(&o, "text")?;
            if text.chars().count() > TEXT_LIMIT {
                return Err(EventError::Wrong("text", "1600 characters or fewer"));
            }
            What::Reply { from, text: text.to_owned() }
        }
        "sending" => What::Receipt(Receipt::Sending),
        "delivered" => What::Receipt(Receipt::Delivered),
        "permanent_failure" => What::Receipt(Receipt::PermanentFailure),
        "temporary_failure" => What::Receipt(Receipt::TemporaryFailure),
        "technical_failure" => What::Receipt(Receipt::TechnicalFailure),
        other => What::Receipt(Receipt::other(other)),
    };
    if id.is_none() && !matches!(what, What::Reply { .. }) {
        return Err(EventError::Missing("message_id"));
    }
    Ok(GatewayEvent { message_id: id, what })
}

fn key(pressed: &str) -> Result<char, EventError> {
    let mut all = pressed.chars();
    match (all.next(), all.next()) {
        (Some(c @ ('0'..='9' | '*' | '#')), None) => Ok(c),
        _ => Err(EventError::Wrong("key", "one of 0 to 9, * and #")),
    }
}
