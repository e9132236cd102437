//! What is known of a contact point, in words.

use crate::domain::alert::Channel;
use crate::domain::civil_time;
use crate::domain::directory::{Area, Contact, Person, PointKind, Standing, lanes};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;

/// One point's standing for the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shown {
    pub words: String,
    /// `good`, `warn` (never seen to work) or `urgent` (no use any more).
    pub level: &'static str,
}

/// Of a point on all of its channels: what is wrong first.
pub(super) fn of(
    area: &Area,
    agency: &str,
    c: &Contact,
    person: Option<&Person>,
    known: &BTreeMap<String, Standing>,
) -> Shown {
    let all = lanes(area, agency, c, person);
    let several = all.len() > 1;
    let each: Vec<(Channel, Option<&Standing>)> =
        all.iter().map(|p| (p.channel, known.get(&p.id))).collect();
    let by = |channel: Channel| match channel {
        _ if !several => "",
        Channel::Sms => "texts: ",
        Channel::Voice => "calls: ",
        Channel::Email | Channel::Webhook => "",
    };
    let dead: Vec<String> = each
        .iter()
        .filter_map(|(ch, s)| Some(format!("{}{}", by(*ch), s.as_ref()?.unusable.as_ref()?)))
        .collect();
    if !dead.is_empty() {
        return Shown { words: dead.join("; "), level: "urgent" };
    }
    let seen: Vec<String> =
        each.iter().filter_map(|(ch, s)| Some(format!("{}{}", by(*ch), seen((*s)?)?))).collect();
    if seen.is_empty() {
        let ask = if c.kind == PointKind::Webhook { "test" } else { "code" };
        return Shown { words: format!("never seen to work: send a {ask}"), level: "warn" };
    }
    Shown { words: seen.join("; "), level: "good" }
}

fn seen(s: &Standing) -> Option<String> {
    let verified = s.verified_at.map(|at| format!("verified {}", day(at)));
    // A code that came back is also the last time it worked; once is enough.
    let worked = s.worked_at.filter(|w| s.verified_at.is_none_or(|v| *w > v));
    let worked = worked.map(|at| format!("last worked {}", day(at)));
    let parts: Vec<String> = verified.into_iter().chain(worked).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// "3 Nov", with the year because directories live long.
fn day(at: DateTime<Utc>) -> String {
    civil_time::local(at).format("%-d %b %Y").to_string()
}
