//! Twilio over its public REST API (version 2010-04-01): text messages and calls.
//!
//! Twilio knows no idempotency key and no reference of ours: which message a call-back is about
//! stands in the address we give it. After an unsure outcome sending again may ring twice, which
//! for an alert is better than not at all.

use super::provider::{Handed, ProviderError};
use super::webhook::retry_after;
use super::wire::{self, Answer};
use super::{twilio_errors, twiml};
use crate::config;
use chrono::{DateTime, Utc};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

pub use super::twilio_callbacks::{Callback, call_receipt, message_receipt, parse, signature_fits};
pub use super::twiml::{ask, say_again, thank_you};

/// One account at Twilio.
pub struct Twilio {
    client: reqwest::Client,
    messages: Url,
    calls: Url,
    sid: String,
    token: SecretString,
    from_sms: String,
    from_voice: String,
}

/// One call to make.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// International form.
    pub to: &'a str,
    pub say: &'a str,
    /// Where the key that the person presses is posted.
    pub gather: &'a str,
    /// Where ringing, answered, engaged and the like are posted.
    pub status: &'a str,
}

impl Twilio {
    /// A client for these settings; none if no account is set.
    ///
    /// # Errors
    /// An address that cannot be used.
    pub fn new(c: &config::Twilio, timeout: Duration) -> Result<Option<Self>, ProviderError> {
        if !c.is_set() {
            return Ok(None);
        }
        let url = |what: &str| {
            let path = format!("/2010-04-01/Accounts/{}/{what}.json", c.account_sid);
            wire::join(&c.base_url, &path, "twilio.base_url")
        };
        Ok(Some(Self {
            client: wire::client(timeout)?,
            messages: url("Messages")?,
            calls: url("Calls")?,
            sid: c.account_sid.clone(),
            token: c.auth_token.clone(),
            from_sms: c.from_sms.clone(),
            from_voice: c.from_voice.clone(),
        }))
    }

    /// Hands over a text message. `to` is in international form; what becomes of it is posted to
    /// `status`.
    pub async fn sms(&self, to: &str, text: &str, status: &str, now: DateTime<Utc>) -> Handed {
        let service = self.from_sms.starts_with("MG");
        let from = if service { "MessagingServiceSid" } else { "From" };
        let form = [("To", to), (from, &self.from_sms), ("Body", text), ("StatusCallback", status)];
        self.post(&self.messages, &form, &["SM", "MM"], now).await
    }

    /// Starts a call.
    pub async fn call(&self, c: &Call<'_>, now: DateTime<Utc>) -> Handed {
        let twiml = twiml::ask(c.say, c.gather);
        if twiml.chars().count() > twiml::LIMIT {
            return Handed::refused(None, "too much to say in one call");
        }
        let form = [
            ("To", c.to),
            ("From", &self.from_voice),
            ("Twiml", &twiml),
            ("StatusCallback", c.status),
            ("StatusCallbackMethod", "POST"),
            ("StatusCallbackEvent", "initiated"),
            ("StatusCallbackEvent", "ringing"),
            ("StatusCallbackEvent", "answered"),
            ("StatusCallbackEvent", "completed"),
        ];
        self.post(&self.calls, &form, &["CA"], now).await
    }

    async fn post(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        ids: &[&str],
        now: DateTime<Utc>,
    ) -> Handed {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .client
            .post(url.clone())
            .basic_auth(&self.sid, Some(self.token.expose_secret()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        match wire::call(request).await {
            Ok(answer) => judge(&answer, ids, now),
            Err(handed) => handed,
        }
    }
}

fn judge(a: &Answer, ids: &[&str], now: DateTime<Utc>) -> Handed {
    if !(200..=299).contains(&a.status) {
        let number = a.json.as_ref().and_then(|j| j["code"].as_u64());
        let after = retry_after(a.headers.get("retry-after"), now);
        return twilio_errors::judge(a.status, number, after);
    }
    let id = a.text("/sid").filter(|s| ids.iter().any(|p| s.starts_with(p)) && s.len() == 34);
    match id {
        Some(id) => Handed::accepted(a.status, Some(id.to_owned())),
        None => Handed::unsure(Some(a.status), "the answer does not name the message"),
    }
}
