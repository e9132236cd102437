//! Sending one message over one channel. Nothing here knows a case: texts are made from a
//! [`crate::domain::alert::Notice`], which has nothing about a child in it.

mod carry;
mod fields;
pub mod gateway;
mod gateway_events;
pub mod govuk;
mod govuk_callbacks;
mod govuk_errors;
mod govuk_key;
mod govuk_templates;
pub mod link;
mod mail;
pub mod phone;
pub mod provider;
pub mod segments;
mod smtp;
pub mod text;
pub mod twilio;
mod twilio_callbacks;
mod twilio_errors;
mod twiml;
mod webhook;
mod wire;
pub mod words;

pub use carry::{Carried, Channels, Health, Orders, ask_after};
pub use mail::{MailError, Mailer};
pub use webhook::{Hooks, signature};

use crate::domain::alert::{AlertKind, Channel, Notice};
use uuid::Uuid;

/// One message to send.
#[derive(Clone, Debug)]
pub struct Message {
    /// Stable over retries; receivers drop repeats by it.
    pub id: Uuid,
    /// The alert (or bulletin) it belongs to.
    pub alert_id: Uuid,
    pub lane: String,
    pub channel: Channel,
    pub address: String,
    pub notice: Notice,
    /// Said instead of what the notice says.
    pub kind: Option<AlertKind>,
    /// The step of the ladder: 0 is the first.
    pub step: u32,
    /// Attempts before this one.
    pub attempts: u32,
}

impl Message {
    /// What it is about.
    #[must_use]
    pub fn about(&self) -> AlertKind {
        self.kind.unwrap_or(self.notice.kind)
    }

    /// Whether an answer is asked for.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.notice.acknowledge
    }
}
