//! GOV.UK Notify over its REST API (version 2): text messages, and a second way for e-mail.
//!
//! Notify has no idempotency key. After an unsure outcome ask [`Govuk::find_by_reference`] before
//! sending again; the reference must therefore be one per message and provider, and say nothing
//! about anybody, because Notify keeps it for a week.

use super::govuk_errors::judge;
use super::govuk_key::NotifyKey;
use super::provider::{Handed, ProviderError, Receipt};
use super::wire::{self, Answer};
use crate::config;
use chrono::{DateTime, Utc};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

pub use super::govuk_callbacks::{Callback, parse_callback, token_fits};
pub use super::govuk_templates::{PLACEHOLDERS, TemplateError};

/// What a message's template may ask for; keys that it does not ask for are ignored by Notify.
pub type Personalisation = BTreeMap<&'static str, String>;

/// A service at GOV.UK Notify.
pub struct Govuk {
    pub(super) client: reqwest::Client,
    pub(super) key: NotifyKey,
    base: Url,
    timeout: Duration,
    pub(super) sms_template: String,
    pub(super) email_template: String,
}

impl Govuk {
    /// A client for these settings; none if no key is set.
    ///
    /// # Errors
    /// A key or an address that cannot be used.
    pub fn new(c: &config::GovukNotify, timeout: Duration) -> Result<Option<Self>, ProviderError> {
        if !c.is_set() {
            return Ok(None);
        }
        Ok(Some(Self {
            client: wire::client(timeout)?,
            key: NotifyKey::parse(&c.api_key).ok_or(ProviderError::NotifyKey)?,
            base: wire::join(&c.base_url, "/", "govuk_notify.base_url")?,
            timeout,
            sms_template: c.sms_template.clone(),
            email_template: c.email_template.clone(),
        }))
    }

    /// How long one message may take here with the questions about it: twice what one call may.
    pub(super) fn patience(&self) -> Duration {
        self.timeout * 2
    }

    /// Hands over a text message. `to` is in international form, `now` the time of this attempt:
    /// a token made from an older one is not taken.
    pub async fn sms(
        &self,
        to: &str,
        personalisation: &Personalisation,
        reference: &str,
        now: DateTime<Utc>,
    ) -> Handed {
        let body = json!({
            "phone_number": to,
            "template_id": self.sms_template,
            "personalisation": personalisation,
            "reference": reference,
        });
        self.send("v2/notifications/sms", body, now).await
    }

    /// Hands over an e-mail; otherwise as [`Govuk::sms`].
    pub async fn email(
        &self,
        to: &str,
        personalisation: &Personalisation,
        reference: &str,
        now: DateTime<Utc>,
    ) -> Handed {
        let body = json!({
            "email_address": to,
            "template_id": self.email_template,
            "personalisation": personalisation,
            "reference": reference,
        });
        self.send("v2/notifications/email", body, now).await
    }

    async fn send(&self, path: &str, body: Value, now: DateTime<Utc>) -> Handed {
        let answer = match self.call(Method::POST, path, Some(body), now).await {
            Ok(a) => a,
            Err(handed) => return handed,
        };
        match (answer.status, answer.text("/id").filter(|id| Uuid::parse_str(id).is_ok())) {
            (status @ 200..=299, Some(id)) => Handed::accepted(status, Some(id.to_owned())),
            // Some proxies answer 200 to anything, and an answer may break off: not proof enough
            // that somebody is being told.
            (status @ 200..=299, None) => {
                Handed::unsure(Some(status), "the answer does not name the message")
            }
            _ => judge(&answer, now),
        }
    }

    /// How a message stands; none if Notify does not know it (any more: it forgets after a week).
    ///
    /// # Errors
    /// Notify could not be asked.
    pub async fn status(&self, id: &str, now: DateTime<Utc>) -> Result<Option<Receipt>, Handed> {
        // Only an id of Notify's own making goes into the path.
        let Ok(id) = Uuid::parse_str(id) else { return Ok(None) };
        let a = self.call(Method::GET, &format!("v2/notifications/{id}"), None, now).await?;
        match (a.status, a.text("/status")) {
            (200, Some(word)) => Ok(Some(receipt(word))),
            (404, _) if a.text("/errors/0/error").is_some() => Ok(None),
            _ => Err(judge(&a, now)),
        }
    }

    /// Whether a message with this reference was taken: its id and how it stands. None is certain
    /// only when the sending request is no longer under way.
    ///
    /// # Errors
    /// Notify could not be asked: still nobody knows.
    pub async fn find_by_reference(
        &self,
        reference: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<(String, Receipt)>, Handed> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("reference", reference)
            .finish();
        let a = self.call(Method::GET, &format!("v2/notifications?{query}"), None, now).await?;
        let list = a.json.as_ref().and_then(|j| j["notifications"].as_array());
        let (200, Some(list)) = (a.status, list) else { return Err(judge(&a, now)) };
        // Compared again: an ignored query would hand us somebody else's message.
        let ours = list.iter().find(|n| n["reference"].as_str() == Some(reference));
        Ok(ours.and_then(|n| {
            Some((n["id"].as_str()?.to_owned(), receipt(n["status"].as_str().unwrap_or(""))))
        }))
    }

    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        now: DateTime<Utc>,
    ) -> Result<Answer, Handed> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method, url).bearer_auth(self.key.token(now));
        if let Some(body) = body {
            request = request.json(&body);
        }
        wire::call(request).await
    }
}

/// Notify's word for how a message stands.
#[must_use]
pub fn receipt(word: &str) -> Receipt {
    match word {
        // `sent` ends the way of messages abroad, where no network says that it delivered.
        "created" | "sending" | "pending" | "sent" | "accepted" => Receipt::Sending,
        "delivered" => Receipt::Delivered,
        "permanent-failure" => Receipt::PermanentFailure,
        "temporary-failure" => Receipt::TemporaryFailure,
        "technical-failure" => Receipt::TechnicalFailure,
        other => Receipt::other(other),
    }
}
