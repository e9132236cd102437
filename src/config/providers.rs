//! Settings of the providers of messages, and in which order each channel uses them.

use super::area::decode_secret;
use super::sections::hidden;
use crate::domain::directory::Hidden;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who can carry a message for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// The mail server of `[mail]`.
    Smtp,
    GovukNotify,
    Gateway,
    Twilio,
}

impl Provider {
    /// The word used in settings and shown to operators.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::GovukNotify => "govuk_notify",
            Self::Gateway => "gateway",
            Self::Twilio => "twilio",
        }
    }
}

/// Which providers each channel tries, the first one first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channels {
    pub email: Vec<Provider>,
    pub sms: Vec<Provider>,
    pub voice: Vec<Provider>,
    /// How long one provider may take to answer before it counts as unwell.
    pub timeout_seconds: u64,
}

impl Channels {
    /// `set` tells whether a provider's own section is filled in.
    pub(super) fn check(&self, set: impl Fn(Provider) -> bool, wrong: &mut Vec<String>) {
        let lists: [(&str, &[Provider], &[Provider]); 3] = [
            ("email", &self.email, &[Provider::Smtp, Provider::GovukNotify]),
            ("sms", &self.sms, &[Provider::GovukNotify, Provider::Gateway, Provider::Twilio]),
            ("voice", &self.voice, &[Provider::Gateway, Provider::Twilio]),
        ];
        for (name, list, able) in lists {
            for (i, p) in list.iter().enumerate() {
                let word = p.word();
                if !able.contains(p) {
                    wrong.push(format!("channels.{name}: {word} cannot do that"));
                } else if list[..i].contains(p) {
                    wrong.push(format!("channels.{name} names {word} twice"));
                } else if *p != Provider::Smtp && !set(*p) {
                    // The mail server may be missing as long as nobody has an e-mail address.
                    wrong.push(format!(
                        "channels.{name} names {word} but [{word}] is not filled in"
                    ));
                }
            }
        }
        for p in [Provider::GovukNotify, Provider::Gateway, Provider::Twilio] {
            if set(p) && !lists.iter().any(|(_, list, _)| list.contains(&p)) {
                let word = p.word();
                wrong.push(format!(
                    "[{word}] is filled in but never used: name {word} in channels.email, sms or voice, or empty the section"
                ));
            }
        }
        if !(1..=60).contains(&self.timeout_seconds) {
            wrong.push("channels.timeout_seconds must be from 1 to 60".into());
        }
    }
}

/// GOV.UK Notify: text messages and a second way for e-mail.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GovukNotify {
    pub base_url: String,
    /// As shown once when the key was made: name, service id and secret. Empty: not used.
    #[serde(serialize_with = "hidden")]
    pub api_key: SecretString,
    /// Template ids. One may stay empty if that channel does not use Notify.
    pub sms_template: String,
    pub email_template: String,
    /// What Notify presents with its receipts. Empty: receipts are not taken, only asked for.
    #[serde(serialize_with = "hidden")]
    pub callback_token: SecretString,
}

impl GovukNotify {
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.api_key.expose_secret().is_empty()
    }

    pub(super) fn check(&self, channels: &Channels, wrong: &mut Vec<String>) {
        if !self.is_set() {
            return;
        }
        check_url("govuk_notify.base_url", &self.base_url, wrong);
        for (name, template, list) in [
            ("sms_template", &self.sms_template, &channels.sms),
            ("email_template", &self.email_template, &channels.email),
        ] {
            let used = list.contains(&Provider::GovukNotify);
            if (used || !template.is_empty()) && Uuid::parse_str(template).is_err() {
                wrong.push(format!("govuk_notify.{name} is not a template id"));
            }
        }
        let token = self.callback_token.expose_secret();
        if !token.is_empty() && token.len() < 24 {
            wrong.push("govuk_notify.callback_token must have 24 characters or more".into());
        }
    }
}

/// A gateway for calls and text messages that speaks our own signed contract.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Empty: not used.
    pub url: String,
    /// `whsec_…` words, the newest first; they sign both ways.
    #[serde(serialize_with = "hidden")]
    pub secrets: SecretString,
}

impl Gateway {
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.url.is_empty()
    }

    /// The signing keys, the newest first; none if any word is not a usable secret.
    #[must_use]
    pub fn keys(&self) -> Option<Vec<Vec<u8>>> {
        let words = self.secrets.expose_secret().split_whitespace();
        let keys: Option<Vec<Vec<u8>>> =
            words.map(|w| decode_secret(&Hidden(w.to_owned()))).collect();
        keys.filter(|all| !all.is_empty() && all.iter().all(|k| (24..=64).contains(&k.len())))
    }

    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if !self.is_set() {
            return;
        }
        check_url("gateway.url", &self.url, wrong);
        if self.keys().is_none() {
            wrong.push(
                "gateway.secrets must be one or more words of `whsec_` and 24 to 64 bytes in base64"
                    .into(),
            );
        }
    }
}

/// Twilio: Programmable Messaging and Programmable Voice.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twilio {
    pub base_url: String,
    /// Empty: not used.
    pub account_sid: String,
    #[serde(serialize_with = "hidden")]
    pub auth_token: SecretString,
    /// A number in international form, or a messaging service (`MG…`).
    pub from_sms: String,
    /// A number in international form.
    pub from_voice: String,
}

impl Twilio {
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.account_sid.is_empty()
    }

    pub(super) fn check(&self, channels: &Channels, wrong: &mut Vec<String>) {
        if !self.is_set() {
            return;
        }
        check_url("twilio.base_url", &self.base_url, wrong);
        if !is_sid(&self.account_sid, "AC") {
            wrong.push("twilio.account_sid must be AC and 32 hexadecimal digits".into());
        }
        if self.auth_token.expose_secret().is_empty() {
            wrong.push("twilio.auth_token is not set".into());
        }
        let sms = channels.sms.contains(&Provider::Twilio);
        if (sms || !self.from_sms.is_empty())
            && !is_sid(&self.from_sms, "MG")
            && !is_international(&self.from_sms)
        {
            wrong.push(
                "twilio.from_sms must be a number like +447700900123 or a messaging service (MG…)"
                    .into(),
            );
        }
        let voice = channels.voice.contains(&Provider::Twilio);
        if (voice || !self.from_voice.is_empty()) && !is_international(&self.from_voice) {
            wrong.push("twilio.from_voice must be a number like +441632960123".into());
        }
    }
}

/// Every request to a provider carries a credential and a number: never in the clear
/// beyond this machine.
fn check_url(name: &str, text: &str, wrong: &mut Vec<String>) {
    let Ok(url) = reqwest::Url::parse(text) else {
        wrong.push(format!("{name} is not a URL"));
        return;
    };
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    let local =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !(url.scheme() == "https" || url.scheme() == "http" && local) {
        wrong.push(format!("{name} must start with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        wrong.push(format!("{name} must not hold a user name or password"));
    }
}

fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_international(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|d| {
        (8..=15).contains(&d.len()) && !d.starts_with('0') && d.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Config, load};
    use super::*;

    fn complaints(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut c = load(None).unwrap();
        change(&mut c);
        let mut wrong = Vec::new();
        c.check_providers(&mut wrong);
        wrong
    }

    /// What a complaint must say, and the change that earns it.
    type Case = (&'static str, fn(&mut Config));

    fn filled(c: &mut Config) {
        c.govuk_notify.api_key = "name-x-y".into();
        c.govuk_notify.sms_template = "6fa7a0a2-64a1-4b06-95e1-3a8a3e6f3d42".into();
        c.gateway.url = "https://gateway.example/messages".into();
        c.gateway.secrets = "whsec_dGVzdC1zZWNyZXQtb2YtMzItYnl0ZXMtbG9uZyE=".into();
        c.twilio.account_sid = format!("AC{}", "0".repeat(32));
        c.twilio.auth_token = "synthetic".into();
        c.twilio.from_sms = "+447700900123".into();
        c.twilio.from_voice = "+441632960123".into();
        c.channels.sms = vec![Provider::GovukNotify, Provider::Gateway, Provider::Twilio];
        c.channels.voice = vec![Provider::Gateway, Provider::Twilio];
    }

    #[test]
    fn the_defaults_and_a_filled_in_set_are_fine() {
        assert_eq!(complaints(|_| {}), Vec::<String>::new());
        assert_eq!(complaints(filled), Vec::<String>::new());
    }

    #[test]
    fn each_unsafe_or_missing_setting_is_named() {
        let cases: &[Case] = &[
            ("channels.voice: govuk_notify", |c| c.channels.voice.push(Provider::GovukNotify)),
            ("channels.sms names twilio twice", |c| c.channels.sms.push(Provider::Twilio)),
            ("channels.sms names twilio but", |c| c.twilio.account_sid.clear()),
            ("never used", |c| c.channels.sms.retain(|p| *p != Provider::GovukNotify)),
            ("channels.timeout_seconds", |c| c.channels.timeout_seconds = 0),
            ("govuk_notify.base_url must start with https", |c| {
                c.govuk_notify.base_url = "http://notify.example".into();
            }),
            ("govuk_notify.sms_template", |c| c.govuk_notify.sms_template = "one".into()),
            ("govuk_notify.email_template", |c| c.channels.email.push(Provider::GovukNotify)),
            ("govuk_notify.callback_token", |c| c.govuk_notify.callback_token = "short".into()),
            ("gateway.url is not a URL", |c| c.gateway.url = "gateway".into()),
            ("gateway.url must not hold", |c| c.gateway.url = "https://u:p@gateway.example".into()),
            ("gateway.secrets", |c| c.gateway.secrets = "whsec_c2hvcnQ=".into()),
            ("twilio.account_sid", |c| c.twilio.account_sid = "AC1".into()),
            ("twilio.auth_token", |c| c.twilio.auth_token = "".into()),
            ("twilio.from_sms", |c| c.twilio.from_sms = "07700900123".into()),
            ("twilio.from_voice", |c| c.twilio.from_voice.clear()),
        ];
        for (said, change) in cases {
            let wrong = complaints(|c| {
                filled(c);
                change(c);
            });
            assert!(wrong.iter().any(|w| w.contains(said)), "{said}: {wrong:?}");
        }
    }

    #[test]
    fn secrets_are_never_written_out() {
        let mut c = load(None).unwrap();
        c.govuk_notify.api_key = "marker-one".into();
        c.govuk_notify.callback_token = "marker-two".into();
        c.gateway.secrets = "marker-three".into();
        c.twilio.auth_token = "marker-four".into();
        let shown = serde_json::to_string(&c).unwrap() + &format!("{c:?}");
        assert!(!shown.contains("marker"), "{shown}");
    }
}
