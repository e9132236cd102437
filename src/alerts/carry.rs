//! One message over one channel, by the first provider that is well; the next takes over when one
//! fails or is slow. Nothing here knows a case.

use super::gateway::{Gateway, Kind, Order};
use super::govuk::Govuk;
use super::link::Links;
use super::provider::{Handed, Receipt};
use super::twilio::{Call, Twilio};
use super::webhook::Hooks;
use super::words::Words;
use super::{Mailer, Message, phone, text};
use crate::config::Provider;
use crate::domain::alert::{AlertKind, Channel};
use crate::domain::delivery::Outcome;
use chrono::{DateTime, Duration, Utc};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What came of one attempt, whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    pub outcome: Outcome,
    pub provider: Option<&'static str>,
    pub provider_id: Option<String>,
    /// Whether it may have been taken although nobody said so.
    pub unsure: bool,
    /// Providers that were tried before, and why they did not carry it.
    pub passed_over: Vec<(&'static str, &'static str, Option<u16>)>,
}

impl Carried {
    /// What came of it before, or without, any provider.
    #[must_use]
    pub fn plain(outcome: Outcome) -> Self {
        Self { outcome, provider: None, provider_id: None, unsure: false, passed_over: Vec::new() }
    }

    /// Whether nothing of it can have left.
    #[must_use]
    pub fn surely_stayed(&self) -> bool {
        !self.unsure && !matches!(self.outcome, Outcome::Accepted { .. })
    }
}

/// Which provider each channel uses, the first one first.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    pub email: Vec<Provider>,
    pub sms: Vec<Provider>,
    pub voice: Vec<Provider>,
}

/// Every channel this installation has.
pub struct Channels {
    pub mail: Option<Mailer>,
    pub hooks: Hooks,
    pub govuk: Option<Govuk>,
    pub gateway: Option<Gateway>,
    pub twilio: Option<Twilio>,
    pub orders: Orders,
    pub links: Links,
    pub words: Words,
    pub health: Health,
}

/// Providers that failed lately are passed over for a while, so that a dead one costs its timeout
/// once and not with every message.
#[derive(Default)]
pub struct Health(Mutex<BTreeMap<&'static str, (u32, Instant)>>);

/// Failures in a row before a provider is passed over, and for how long.
const IN_A_ROW: u32 = 2;
const PASSED_OVER: std::time::Duration = std::time::Duration::from_secs(30);

impl Health {
    fn is_unwell(&self, p: Provider) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(p.word()).is_some_and(|(n, at)| *n >= IN_A_ROW && at.elapsed() < PASSED_OVER)
    }

    fn saw(&self, p: Provider, fault: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if fault {
            let e = all.entry(p.word()).or_insert((0, Instant::now()));
            *e = (e.0.saturating_add(1), Instant::now());
        } else {
            all.remove(p.word());
        }
    }
}

impl Channels {
    /// Sends once. Safe to do twice: the receiver sees the same id and the same words.
    pub async fn send(&self, m: &Message, now: DateTime<Utc>) -> Carried {
        // Planned before they said so. A check that somebody asked for goes all the same: the code
        // that comes back is the only way in which the number can be used again.
        let is_check = m.notice.kind == AlertKind::Verify;
        if m.channel == Channel::Sms && !is_check && self.hooks.is_unusable(&m.lane) {
            let why = "no more texts go to this number: it said STOP, or it does not work";
            return Carried::plain(Outcome::Refused { code: None, why, recipient: false });
        }
        match m.channel {
            Channel::Webhook => Carried::plain(self.hooks.send(m, &self.links, now).await),
            Channel::Email => self.by(&self.orders.email, m, now).await,
            Channel::Sms => self.by(&self.orders.sms, m, now).await,
            Channel::Voice => self.by(&self.orders.voice, m, now).await,
        }
    }

    /// The words of a text or call as they would go out; for pacing.
    #[must_use]
    pub fn words_of(&self, m: &Message) -> String {
        match m.channel {
            Channel::Voice => text::say(m, &self.links, &self.words),
            _ => text::sms(m, &self.links, &self.words),
        }
    }

    /// What became of a message that a provider took; none if it cannot say.
    pub async fn ask(
        &self,
        provider: &str,
        provider_id: &str,
        now: DateTime<Utc>,
    ) -> Option<Receipt> {
        match &self.govuk {
            Some(g) if provider == Provider::GovukNotify.word() => {
                g.status(provider_id, now).await.ok().flatten()
            }
            _ => None,
        }
    }

    async fn by(&self, order: &[Provider], m: &Message, now: DateTime<Utc>) -> Carried {
        if order.is_empty() {
            let why = "this installation has no provider for this channel";
            return Carried::plain(Outcome::Refused { code: None, why, recipient: false });
        }
        // Well ones first, in their order; if none is well, all of them: better late than never.
        let mut turn: Vec<Provider> =
            order.iter().copied().filter(|p| !self.health.is_unwell(*p)).collect();
        turn.extend(order.iter().copied().filter(|p| self.health.is_unwell(*p)));
        let mut passed_over = Vec::new();
        let mut last = None;
        let mut unsure = false;
        for p in turn {
            let handed = self.hand_over(p, m, now).await;
            self.health.saw(p, handed.provider_fault);
            unsure |= handed.unsure;
            let carried = |passed_over| Carried {
                outcome: handed.outcome.clone(),
                provider: Some(p.word()),
                provider_id: handed.provider_id.clone(),
                unsure,
                passed_over,
            };
            if !handed.provider_fault {
                return carried(passed_over);
            }
            if let Outcome::Retry { code, why, .. } | Outcome::Refused { code, why, .. } =
                handed.outcome
            {
                tracing::warn!(
                    provider = p.word(),
                    reason = why,
                    "a provider did not carry a message"
                );
                passed_over.push((p.word(), why, code));
            }
            last = Some(carried(Vec::new()));
        }
        // Nobody carried it: the last one's word, with the others before it.
        passed_over.pop();
        let mut last = last.unwrap_or_else(|| Carried::plain(retry("no provider")));
        // A provider at fault says nothing about the message: it is tried again.
        if let Outcome::Refused { code, why, .. } = last.outcome {
            last.outcome = Outcome::Retry { code, why, after: None };
        }
        last.passed_over = passed_over;
        last
    }

    async fn hand_over(&self, p: Provider, m: &Message, now: DateTime<Utc>) -> Handed {
        match (p, &self.mail, &self.govuk, &self.gateway, &self.twilio) {
            (Provider::Smtp, Some(mail), ..) => {
                let (subject, body) = text::email(m, &self.links, &self.words);
                mail.send(m, &subject, body).await
            }
            (Provider::GovukNotify, _, Some(g), ..) => {
                // Questions before and after count in: the next provider must have its time.
                let carried = tokio::time::timeout(g.patience(), self.by_notify(g, m, now));
                carried
                    .await
                    .unwrap_or_else(|_| Handed::unsure(None, "no answer from the provider in time"))
            }
            (Provider::Gateway, _, _, Some(g), _) => self.by_gateway(g, m, now).await,
            (Provider::Twilio, _, _, _, Some(t)) => self.by_twilio(t, m, now).await,
            _ => Handed {
                outcome: retry("this provider is not configured"),
                provider_id: None,
                unsure: false,
                provider_fault: true,
            },
        }
    }

    async fn by_notify(&self, g: &Govuk, m: &Message, now: DateTime<Utc>) -> Handed {
        // The message's own id: an earlier attempt whose answer was lost is found by it.
        let reference = m.id.to_string();
        if m.attempts > 0
            && let Some(found) = found(g, &reference, now).await
        {
            return found;
        }
        let personal = text::personalisation(m, &self.links, &self.words);
        let handed = match m.channel {
            Channel::Email => g.email(&m.address, &personal, &reference, now).await,
            _ => match phone::normalise(&m.address) {
                Ok(to) => g.sms(&to, &personal, &reference, now).await,
                Err(_) => return not_a_number(),
            },
        };
        if handed.unsure
            && let Some(found) = found(g, &reference, now).await
        {
            return found;
        }
        handed
    }

    async fn by_gateway(&self, g: &Gateway, m: &Message, now: DateTime<Utc>) -> Handed {
        let Ok(to) = phone::normalise(&m.address) else { return not_a_number() };
        let voice = m.channel == Channel::Voice;
        let words = self.words_of(m);
        let keys = if voice && m.asks() { text::keys() } else { BTreeMap::new() };
        let order = Order {
            id: m.id,
            kind: if voice { Kind::Voice } else { Kind::Sms },
            to: &to,
            text: if voice { "" } else { &words },
            say: if voice { &words } else { "" },
            keys,
            callback: &format!("{}/hooks/gateway", self.links.base()),
            drill: m.notice.drill,
        };
        g.send(&order, now).await
    }

    async fn by_twilio(&self, t: &Twilio, m: &Message, now: DateTime<Utc>) -> Handed {
        let Ok(to) = phone::normalise(&m.address) else { return not_a_number() };
        let hook = format!("{}/hooks/twilio/{}", self.links.base(), m.id);
        let words = self.words_of(m);
        if m.channel == Channel::Voice {
            return t.call(&Call { to: &to, say: &words, gather: &hook, status: &hook }, now).await;
        }
        t.sms(&to, &words, &hook, now).await
    }
}

/// An earlier attempt that Notify took although its answer never came.
async fn found(g: &Govuk, reference: &str, now: DateTime<Utc>) -> Option<Handed> {
    let (id, receipt) = g.find_by_reference(reference, now).await.ok().flatten()?;
    // One that ended in failure may be sent again.
    let live = matches!(receipt, Receipt::Sending | Receipt::Delivered | Receipt::Other(_));
    live.then_some(Handed {
        outcome: Outcome::Accepted { code: Some(200) },
        provider_id: Some(id),
        unsure: false,
        provider_fault: false,
    })
}

fn not_a_number() -> Handed {
    Handed::unreachable(None, "not a telephone number")
}

fn retry(why: &'static str) -> Outcome {
    Outcome::Retry { code: None, why, after: None }
}

/// When a provider is first asked what became of a message, if it has not said by then.
#[must_use]
pub fn ask_after(provider: Option<&str>) -> Option<Duration> {
    // Only Notify can be asked; the others call back, and know no question.
    (provider == Some(Provider::GovukNotify.word())).then(|| Duration::minutes(1))
}
