//! Sending one message over one channel. Nothing here knows a case: texts are made from a
//! [`crate::domain::alert::Notice`], which has nothing about a child in it.

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
pub mod text;
pub mod twilio;
mod twilio_callbacks;
mod twilio_errors;
mod twiml;
mod webhook;
mod wire;
pub mod words;

pub use mail::{MailError, Mailer};
pub use webhook::{Hooks, signature};

use crate::domain::alert::{Channel, Notice};
use crate::domain::delivery::Outcome;
use uuid::Uuid;

/// One message to send.
#[derive(Clone, Debug)]
pub struct Message {
    /// Stable over retries; receivers drop repeats by it.
    pub id: Uuid,
    pub alert_id: Uuid,
    pub lane: String,
    pub channel: Channel,
    pub address: String,
    pub notice: Notice,
}

/// Every channel this installation has.
pub struct Channels {
    pub mail: Option<Mailer>,
    pub hooks: Hooks,
    pub links: link::Links,
}

impl Channels {
    /// Sends once. Safe to do twice: the receiver sees the same id and the same body.
    pub async fn send(&self, m: &Message, now: chrono::DateTime<chrono::Utc>) -> Outcome {
        match (m.channel, &self.mail) {
            (Channel::Email, Some(mail)) => mail.send(m, &self.links).await,
            (Channel::Email, None) => {
                Outcome::Retry { code: None, why: "mail is not configured", after: None }
            }
            (Channel::Webhook, _) => self.hooks.send(m, &self.links, now).await,
        }
    }
}
