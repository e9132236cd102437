//! From a message to its words. Everything said comes from the notice and the templates: reference,
//! area, kind, agency, time, call-back number, a link, a code.

use super::govuk::Personalisation;
use super::link::Links;
use super::words::{Filled, Medium, Words, step, when};
use super::{Message, phone};
use crate::domain::alert::AlertKind;
use crate::domain::id::AlertId;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn filled(m: &Message, links: &Links) -> Filled {
    let n = &m.notice;
    let alert = AlertId(m.alert_id);
    let about = m.about();
    // The service's own messages lead nowhere, but for the one to the human who rings.
    let link = match about {
        _ if n.acknowledge => links.acknowledge(alert),
        AlertKind::RingThem | AlertKind::RingAll | AlertKind::Answered => {
            format!("{}/board", links.base())
        }
        // Made here and not before, so that no table holds a link that works.
        AlertKind::Invitation => n.code.parse().map(|id| links.invitation(id)).unwrap_or_default(),
        k if k.asks_for_acknowledgement() || k == AlertKind::JarStoodDown => case_page(m, links),
        _ => String::new(),
    };
    let code = match about {
        _ if n.acknowledge => links.code(alert),
        AlertKind::Invitation => String::new(),
        _ => n.code.clone(),
    };
    Filled {
        reference: n.reference.clone(),
        area: n.desk.area_name.clone(),
        agency: n.agency_name.clone(),
        kind: about.label().to_owned(),
        call_back: n.desk.call_back.clone(),
        link,
        code,
        at: when(n.at),
        until: if n.acknowledge { when(links.until(n.at)) } else { String::new() },
        step: if n.acknowledge { step(m.step + 1) } else { String::new() },
    }
}

fn render(m: &Message, medium: Medium, words: &Words, filled: &Filled) -> String {
    let kind = m.about().word();
    if m.notice.drill {
        words.render_drill(medium, kind, filled)
    } else {
        words.render(medium, kind, filled)
    }
}

/// Subject and body of an e-mail.
#[must_use]
pub fn email(m: &Message, links: &Links, words: &Words) -> (String, String) {
    let filled = filled(m, links);
    let subject = render(m, Medium::EmailSubject, words, &filled);
    let mut body = render(m, Medium::EmailBody, words, &filled);
    if !m.notice.lines.is_empty() {
        body.push_str("\r\n");
        body.push_str(&m.notice.lines.join("\r\n"));
        body.push_str("\r\n");
    }
    (subject, body)
}

/// A text message.
#[must_use]
pub fn sms(m: &Message, links: &Links, words: &Words) -> String {
    render(m, Medium::Sms, words, &filled(m, links))
}

/// What a call says: the reference spelt, and the keys that may be pressed.
#[must_use]
pub fn say(m: &Message, links: &Links, words: &Words) -> String {
    let mut filled = filled(m, links);
    // The template ends its own sentence.
    phone::for_speech(&filled.reference).trim_end_matches('.').clone_into(&mut filled.reference);
    let mut text = render(m, Medium::Voice, words, &filled);
    if m.asks() {
        text.push_str(
            " Press 1 to say that your agency has this and can attend. Press 2 if you cannot.",
        );
    }
    text
}

/// The keys of a call, and what each means.
#[must_use]
pub fn keys() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("1", "can attend"), ("2", "cannot attend")])
}

/// What GOV.UK Notify's templates may ask for; `text` is all of it.
#[must_use]
pub fn personalisation(m: &Message, links: &Links, words: &Words) -> Personalisation {
    let f = filled(m, links);
    let (subject, body) = email(m, links, words);
    let text = if m.channel == crate::domain::alert::Channel::Email {
        body
    } else {
        render(m, Medium::Sms, words, &f)
    };
    BTreeMap::from([
        ("text", text),
        ("subject", subject),
        ("kind", f.kind),
        ("reference", f.reference),
        ("area", f.area),
        ("agency", f.agency),
        ("call_back", f.call_back),
        ("link", f.link),
        ("code", f.code),
    ])
}

/// Body of a webhook: a thin `CloudEvent`, the same bytes at every attempt.
#[must_use]
pub fn cloud_event(m: &Message, links: &Links) -> Value {
    let n = &m.notice;
    let kind = m.about();
    let mut event = json!({
        "specversion": "1.0",
        "id": m.id,
        "source": format!("{}/areas/{}", links.base(), n.desk.area),
        "type": event_type(kind),
        "subject": n.reference,
        "time": n.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "datacontenttype": "application/json",
        "dataref": format!("{}/api/v1/cases/{}", links.base(), n.reference),
        "data": {
            "alert_id": m.alert_id,
            "reference": n.reference,
            "area": n.desk.area,
            "agency": n.agency,
            "kind": kind.word(),
            "urgent": kind.is_urgent(),
            "acknowledge": n.acknowledge,
            "step": m.step,
            "drill": n.drill,
            "call_back": n.desk.call_back,
            "acknowledge_url": format!("{}/api/v1/alerts/{}/acknowledgements", links.base(), m.alert_id),
            "page_url": case_page(m, links),
        }
    });
    if n.reference.is_empty() {
        // A message of the service itself is about no case.
        for key in ["subject", "dataref"] {
            event.as_object_mut().map(|o| o.remove(key));
        }
        event["data"] = json!({ "area": n.desk.area, "agency": n.agency, "kind": kind.word(), "urgent": kind.is_urgent(), "call_back": n.desk.call_back, "lines": n.lines });
    }
    if !n.ring.is_empty() {
        event["data"]["ring"] = json!(n.ring);
    }
    if kind == AlertKind::RingAll {
        // It is about several: one of them alone would mislead.
        event["data"].as_object_mut().map(|o| o.remove("agency"));
    }
    event
}

fn event_type(kind: AlertKind) -> String {
    let name = match kind {
        AlertKind::JarTriggered => "jar.triggered",
        AlertKind::JarProvisional => "jar.provisional",
        AlertKind::JarUpgraded => "jar.upgraded",
        AlertKind::JarStoodDown => "jar.stood-down",
        AlertKind::JarRecalled => "notification.withdrawn",
        AlertKind::DeathNotified => "death.notified",
        AlertKind::NotJar => "jar.not-due",
        AlertKind::Reminder => "jar.reminder",
        AlertKind::HandedOn => "jar.handed-on",
        AlertKind::RingThem => "partner.unanswered",
        AlertKind::RingAll => "partners.unanswered",
        AlertKind::Answered => "partner.answered",
        AlertKind::CoverageGap => "coverage.gap",
        AlertKind::CoveredTonight => "coverage.tonight",
        AlertKind::Tonight => "coverage.list",
        AlertKind::Test => "test",
        AlertKind::Verify => "verify",
        AlertKind::DraftCode => "draft.code",
        AlertKind::Watcher => "service.attention",
        AlertKind::Invitation => "invitation",
        AlertKind::BreakGlass => "case.break-glass",
    };
    format!("uk.child-death-review.{name}.v1")
}

fn case_page(m: &Message, links: &Links) -> String {
    format!("{}/cases/{}", links.base(), m.notice.reference)
}
