//! What GOV.UK Notify calls us back with: delivery receipts and replies to text messages. First
//! [`token_fits`], then [`parse_callback`].
//!
//! Notify waits five seconds for an answer and asks again only after 429, 5xx or silence: any
//! other refusal loses the receipt for good. So whoever shows the token is answered 200, also for
//! what cannot be read.

use super::fields::{EventError, need, object, text};
use super::govuk::receipt;
use super::phone;
use super::provider::Receipt;
use crate::platform::crypt::same;
use secrecy::{ExposeSecret, SecretString};

/// A call-back, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    Receipt {
        /// Notify's id of the message.
        id: String,
        /// Ours, if we gave one.
        reference: Option<String>,
        receipt: Receipt,
    },
    /// A text message back; `from` is in international form.
    Reply {
        /// Notify's id of the text, the same when it calls back again.
        id: String,
        from: String,
        text: String,
    },
}

/// Whether the `Authorization` header shows the token we agreed. An empty setting fits nothing.
#[must_use]
pub fn token_fits(expected: &SecretString, authorization: Option<&str>) -> bool {
    let expected = expected.expose_secret();
    let offered = authorization.and_then(|h| h.strip_prefix("Bearer ")).unwrap_or("");
    !expected.is_empty() && same(offered.as_bytes(), expected.as_bytes())
}

/// Reads a call-back; fields that we do not know are ignored.
///
/// # Errors
/// A field that is missing or not what it must be.
pub fn parse_callback(body: &[u8]) -> Result<Callback, EventError> {
    let o = object(body)?;
    if o.contains_key("source_number") {
        let from = phone::normalise(need(&o, "source_number")?)
            .or_else(|_| phone::normalise(&format!("+{}", need(&o, "source_number").unwrap_or(""))))
            .map_err(|_| EventError::Wrong("source_number", "a telephone number"))?;
        let text = need(&o, "message")?.chars().take(1600).collect();
        let id = super::fields::text(&o, "id")?.unwrap_or_default().to_owned();
        return Ok(Callback::Reply { id, from, text });
    }
    Ok(Callback::Receipt {
        id: need(&o, "id")?.to_owned(),
        reference: text(&o, "reference")?.map(str::to_owned),
        receipt: receipt(need(&o, "status")?),
    })
}
