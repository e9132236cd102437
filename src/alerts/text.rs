//! The words of a message. Everything said comes from the notice: reference, area, kind, time,
//! call-back number and a link. Plain ASCII, so that no mail system re-codes it.

use super::Message;
use super::link::Links;
use crate::domain::alert::{AlertKind, Notice};
use crate::domain::civil_time;
use crate::domain::id::AlertId;
use serde_json::{Value, json};

/// Subject of an e-mail.
#[must_use]
pub fn subject(n: &Notice) -> String {
    let urgent = if n.kind.is_urgent() { "URGENT: " } else { "" };
    line(&format!("{urgent}{} {} ({})", n.kind.label(), n.reference, n.desk.area_name))
}

/// Body of an e-mail.
#[must_use]
pub fn body(m: &Message, links: &Links) -> String {
    let n = &m.notice;
    let when = civil_time::local(n.at).format("%-d %B %Y, %H:%M");
    let asked = match n.kind {
        AlertKind::JarTriggered => {
            "A Joint Agency Response has been triggered. Your agency is asked to respond now."
        }
        AlertKind::JarProvisional => {
            "A Joint Agency Response may be due. Please respond as for a triggered one until it is ruled out."
        }
        AlertKind::JarUpgraded => "The Joint Agency Response you were told of is now certain.",
        AlertKind::JarStoodDown => {
            "The Joint Agency Response you were told of has been stood down. No response is needed any more."
        }
        AlertKind::DeathNotified => "A child death has been notified.",
    };
    let mut text = format!(
        "{asked}\n\nReference: {}\nArea: {}\nFor: {}\nSent: {when}\nCall back: {}\n",
        n.reference, n.desk.area_name, n.agency_name, n.desk.call_back
    );
    if n.acknowledge {
        text.push_str("\nPlease say that you have this. It takes one press of a button; until somebody at your agency does, we keep trying:\n");
        text.push_str(&links.acknowledge(AlertId(m.alert_id)));
        text.push('\n');
    }
    text.push_str("\nParticulars after sign-in:\n");
    text.push_str(&case_page(n, links));
    text.push_str(
        "\n\nThis message holds no details of the child on purpose. Do not reply with any.\n",
    );
    text.lines().map(line).collect::<Vec<_>>().join("\r\n") + "\r\n"
}

/// Body of a webhook: a thin `CloudEvent`, the same bytes at every attempt.
#[must_use]
pub fn cloud_event(m: &Message, links: &Links) -> Value {
    let n = &m.notice;
    json!({
        "specversion": "1.0",
        "id": m.id,
        "source": format!("{}/areas/{}", links.base(), n.desk.area),
        "type": event_type(n.kind),
        "subject": n.reference,
        "time": n.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "datacontenttype": "application/json",
        "dataref": format!("{}/api/v1/cases/{}", links.base(), n.reference),
        "data": {
            "alert_id": m.alert_id,
            "reference": n.reference,
            "area": n.desk.area,
            "agency": n.agency,
            "kind": n.kind.word(),
            "urgent": n.kind.is_urgent(),
            "acknowledge": n.acknowledge,
            "call_back": n.desk.call_back,
            "acknowledge_url": format!("{}/api/v1/alerts/{}/acknowledgements", links.base(), m.alert_id),
            "page_url": case_page(n, links),
        }
    })
}

fn event_type(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::JarTriggered => "uk.child-death-review.jar.triggered.v1",
        AlertKind::JarProvisional => "uk.child-death-review.jar.provisional.v1",
        AlertKind::JarUpgraded => "uk.child-death-review.jar.upgraded.v1",
        AlertKind::JarStoodDown => "uk.child-death-review.jar.stood-down.v1",
        AlertKind::DeathNotified => "uk.child-death-review.death.notified.v1",
    }
}

fn case_page(n: &Notice, links: &Links) -> String {
    format!("{}/cases/{}", links.base(), n.reference)
}

/// One line of ASCII: names from configuration cannot add a header or a line.
fn line(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{2018}' | '\u{2019}' => '\'',
            c if c.is_ascii() && !c.is_ascii_control() => c,
            _ => '?',
        })
        .collect()
}
