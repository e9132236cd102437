//! Our own contract for calls and text messages, for any gateway that a trust or a supplier runs:
//! one signed POST per message, signed call-backs (`gateway_events.rs`) for what becomes of it.
//!
//! The body is `{ "id", "type": "sms" | "voice", "to", "text", "say", "keys", "callback", "drill" }`
//! in Standard Webhooks headers. Any 2xx means taken, and `{ "provider_id": "…" }` may name the
//! message. 400 and 422 mean that this one message can never work, and with
//! `{ "at_fault": "number" }` that none to its number can. A repeated id is to be answered
//! 2xx and not carried out twice, so repeating after a doubt is safe.

use super::provider::{Handed, ProviderError};
use super::webhook::{retry_after, signature};
use super::wire;
use crate::config;
use chrono::{DateTime, Utc};
use reqwest::Url;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

pub use super::fields::EventError;
pub use super::gateway_events::{
    GatewayEvent, Refused, Signed, TOLERANCE_SECONDS, What, parse_event, verify,
};

/// How a person is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Sms,
    Voice,
}

/// One message for the gateway.
#[derive(Clone, Debug, Serialize)]
pub struct Order<'a> {
    /// Stable over retries.
    pub id: Uuid,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// International form.
    pub to: &'a str,
    /// The words of a text message; empty for a call.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub text: &'a str,
    /// What a call says; empty for a text message.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub say: &'a str,
    /// Keys that the person may press, and what each of them means.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<&'a str, &'a str>,
    /// Where signed call-backs go.
    pub callback: &'a str,
    /// An exercise: carried out like any other, and marked in the gateway's own records.
    pub drill: bool,
}

/// A gateway.
pub struct Gateway {
    client: reqwest::Client,
    url: Url,
    keys: Vec<Vec<u8>>,
}

impl Gateway {
    /// A client for these settings; none if no address is set.
    ///
    /// # Errors
    /// An address or secrets that cannot be used.
    pub fn new(c: &config::Gateway, timeout: Duration) -> Result<Option<Self>, ProviderError> {
        if !c.is_set() {
            return Ok(None);
        }
        Ok(Some(Self {
            client: wire::client(timeout)?,
            url: wire::join(&c.url, "", "gateway.url")?,
            keys: c.keys().ok_or(ProviderError::GatewaySecrets)?,
        }))
    }

    /// The keys its call-backs are signed with.
    #[must_use]
    pub fn keys(&self) -> &[Vec<u8>] {
        &self.keys
    }

    /// Hands over one message. `now` is the time of this attempt.
    pub async fn send(&self, order: &Order<'_>, now: DateTime<Utc>) -> Handed {
        let Ok(body) = serde_json::to_vec(order) else {
            return Handed::refused(None, "the message could not be put together");
        };
        let (id, timestamp) = (order.id.to_string(), now.timestamp());
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signature(&self.keys, &id, timestamp, &body))
            .body(body);
        let answer = match wire::call(request).await {
            Ok(a) => a,
            Err(handed) => return handed,
        };
        let code = Some(answer.status);
        let after = retry_after(answer.headers.get("retry-after"), now);
        match answer.status {
            200..=299 => {
                let id = answer.text("/provider_id").filter(|id| (1..=200).contains(&id.len()));
                Handed::accepted(answer.status, id.map(str::to_owned))
            }
            300..=399 => Handed::unwell(code, "the gateway answers with a redirect", None),
            400 | 422 if answer.text("/at_fault") == Some("number") => {
                Handed::unreachable(code, "the gateway cannot reach this number")
            }
            400 | 422 => Handed::refused(code, "the gateway refuses this message for good"),
            401 | 403 => {
                tracing::error!(
                    status = answer.status,
                    "the gateway does not take our signature: compare gateway.secrets and the clocks"
                );
                Handed::unwell(code, "the gateway does not take our signature", after)
            }
            429 => Handed::unwell(code, "the gateway asks to slow down", after),
            400..=499 => Handed::unwell(code, "the gateway does not know our request", after),
            status => Handed::failed(status, "the gateway failed", after),
        }
    }
}
