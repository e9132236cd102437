//! What every provider client answers with, in one form whoever carried the message.

use crate::domain::delivery::Outcome;
use chrono::Duration;

/// What came of handing one message to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    pub outcome: Outcome,
    /// The provider's own name for the message: what its receipts are about.
    pub provider_id: Option<String>,
    /// Whether it is unknown if the provider took it: the request went out, no usable answer came
    /// back. Sending again may reach the person twice, so ask the provider first where it can tell.
    pub unsure: bool,
    /// The provider itself is unwell or misconfigured (failure, timeout, rejected credentials,
    /// rate limit, a template it will not use), so the next provider should take over; false when
    /// this one message or number is at fault.
    pub provider_fault: bool,
}

impl Handed {
    pub(super) fn accepted(code: u16, provider_id: Option<String>) -> Self {
        let outcome = Outcome::Accepted { code: Some(code) };
        Self { outcome, provider_id, unsure: false, provider_fault: false }
    }

    /// This message can never work; another message to the same provider may.
    pub(super) fn refused(code: Option<u16>, why: &'static str) -> Self {
        let outcome = Outcome::Refused { code, why, recipient: false };
        Self { outcome, provider_id: None, unsure: false, provider_fault: false }
    }

    /// No message can ever reach this number or mailbox.
    pub(super) fn unreachable(code: Option<u16>, why: &'static str) -> Self {
        let outcome = Outcome::Refused { code, why, recipient: true };
        Self { outcome, provider_id: None, unsure: false, provider_fault: false }
    }

    /// The provider's side is at fault and trying again later may help.
    pub(super) fn unwell(code: Option<u16>, why: &'static str, after: Option<Duration>) -> Self {
        let outcome = Outcome::Retry { code, why, after };
        Self { outcome, provider_id: None, unsure: false, provider_fault: true }
    }

    /// As [`Handed::unwell`], and nobody knows whether the message was taken.
    pub(super) fn unsure(code: Option<u16>, why: &'static str) -> Self {
        Self { unsure: true, ..Self::unwell(code, why, None) }
    }

    /// The provider answered 5xx. Only 503 says that nothing was done: behind any other a message
    /// may have been taken (504 is a timeout that somebody else saw).
    pub(super) fn failed(code: u16, why: &'static str, after: Option<Duration>) -> Self {
        Self { unsure: code != 503, ..Self::unwell(Some(code), why, after) }
    }

    pub(super) fn at_providers_fault(self) -> Self {
        Self { provider_fault: true, ..self }
    }

    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self.outcome, Outcome::Accepted { .. })
    }
}

/// A provider's word about a message, in our normal form. Receipts come late, twice and out of
/// order; none of them means that a person has read anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// On its way.
    Sending,
    /// Taken by the handset or the mail server, or the call was picked up.
    Delivered,
    /// The number or address does not work.
    PermanentFailure,
    /// Switched off, engaged, full: worth another try.
    TemporaryFailure,
    /// The provider failed; says nothing about the number.
    TechnicalFailure,
    /// A word we do not know, shortened; nothing may be concluded from it.
    Other(String),
}

impl Receipt {
    /// Unknown words are kept, cut to 40 characters: they end up in rows and on pages.
    pub(super) fn other(word: &str) -> Self {
        Self::Other(word.chars().filter(|c| !c.is_control()).take(40).collect())
    }

    /// Whether nothing more is to be expected about this message.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Sending | Self::Other(_))
    }
}

/// What is wrong with a provider's settings; never repeats a secret.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error(
        "govuk_notify.api_key is not a GOV.UK Notify key: a name, a service id and a secret, joined by dashes"
    )]
    NotifyKey,
    #[error("gateway.secrets holds no usable secret")]
    GatewaySecrets,
    #[error("{0} is not a URL")]
    Url(&'static str),
    #[error("no client for calls to providers can be made: {0}")]
    Client(#[from] reqwest::Error),
}
