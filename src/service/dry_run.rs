//! What would happen if: the plan of an alert in words, from the same recipients that a real one
//! is made of. Nothing is sent and nothing is stored.

use super::Service;
use super::error::{ServiceError, invalid};
use crate::auth::policy::Caller;
use crate::domain::alert::{AlertKind, Channel, ContactPoint, Recipient};
use crate::domain::escalation::Ladder;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// Where word goes that it is over.
pub const BY_ITSELF: &str = "It goes by itself to everybody who was alerted, once, wherever they were \
    tried; whoever gets a text is not rung as well. No rule and no ladder counts for it.";

/// What one event would set off at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DryRun {
    pub kind: AlertKind,
    pub kind_label: &'static str,
    pub at: DateTime<Utc>,
    /// No policy counts for it: `note` says to whom it goes.
    pub by_itself: bool,
    /// What is not said by the agencies below; may be empty.
    pub note: &'static str,
    pub agencies: Vec<Run>,
    /// Names of the agencies that would hear nothing.
    pub not_told: Vec<String>,
}

/// What would be done to reach one agency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    pub agency: String,
    pub agency_name: String,
    pub acknowledge: bool,
    /// The first is at once; later ones only while nobody has acknowledged. None: no way to reach
    /// the agency is known.
    pub steps: Vec<RunStep>,
    /// Who is told to ring when nobody has answered.
    pub last: Option<RunLast>,
    /// Once acknowledged, an entry in the plan is expected within so long.
    pub act_within_seconds: Option<i64>,
}

/// One rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunStep {
    pub after_seconds: i64,
    /// "at once", "after 3 minutes".
    pub when: String,
    pub tries: Vec<Try>,
    /// The tries as one phrase.
    pub words: String,
}

/// One message or call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Try {
    pub channel: Channel,
    pub who: String,
    pub address: String,
}

/// The end of a ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunLast {
    pub after_seconds: i64,
    pub when: String,
    pub name: String,
    pub number: String,
    /// The agency's number, to be rung by them.
    pub ring: String,
    pub repeat_seconds: i64,
    /// How they are told.
    pub tries: Vec<Try>,
    pub words: String,
}

impl Service {
    /// What `kind` would set off in `area` at `at`.
    ///
    /// # Errors
    /// Not theirs to see, no such area, or not an event that anybody is told of.
    pub fn dry_run(
        &self,
        caller: &Caller,
        area: &str,
        kind: AlertKind,
        at: DateTime<Utc>,
    ) -> Result<DryRun, ServiceError> {
        let known = self.area_directory(caller, area)?.area;
        if !AlertKind::EVENTS.contains(&kind) {
            return Err(invalid(
                "kind",
                "not_in_list",
                "is not an event that partners are told of",
            ));
        }
        if kind.goes_by_itself() {
            return Ok(shape(kind, at, &[], std::iter::empty()));
        }
        let recipients = self.directory().recipients(area, kind, at);
        let names = known.agencies.iter().map(|a| (a.id.as_str(), a.name.as_str()));
        Ok(shape(kind, at, &recipients, names))
    }
}

/// Puts recipients into words; `all` are the agencies of the area, by id and name.
#[must_use]
pub fn shape<'a>(
    kind: AlertKind,
    at: DateTime<Utc>,
    recipients: &[Recipient],
    all: impl Iterator<Item = (&'a str, &'a str)>,
) -> DryRun {
    let told = |id: &str| recipients.iter().any(|r| r.agency == id);
    DryRun {
        kind,
        kind_label: kind.label(),
        at,
        by_itself: kind.goes_by_itself(),
        note: note(kind),
        agencies: recipients.iter().map(run).collect(),
        not_told: all.filter(|(id, _)| !told(id)).map(|(_, name)| name.to_owned()).collect(),
    }
}

fn note(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::JarStoodDown | AlertKind::JarRecalled => BY_ITSELF,
        AlertKind::JarUpgraded => {
            "This is how those are told who had been alerted until it was ruled out. All others \
             are told as of a Joint Agency Response."
        }
        _ => "",
    }
}

fn run(r: &Recipient) -> Run {
    let mut steps = Vec::new();
    if !r.contacts.is_empty() {
        steps.push(step(0, &r.contacts));
    }
    let mut last = None;
    if let Some(ladder) = &r.ladder {
        let (rungs, human) = times(ladder);
        steps.extend(ladder.rungs.iter().zip(rungs).map(|(rung, at)| step(at, &rung.points)));
        let tries = tries(&ladder.human.points);
        last = Some(RunLast {
            after_seconds: human,
            when: after(human),
            name: ladder.human.name.clone(),
            number: ladder.human.number.clone(),
            ring: ladder.human.ring.clone(),
            repeat_seconds: ladder.human.repeat_seconds,
            words: phrase(&tries),
            tries,
        });
    }
    Run {
        agency: r.agency.clone(),
        agency_name: r.agency_name.clone(),
        acknowledge: r.acknowledge,
        steps,
        last,
        act_within_seconds: r.ladder.as_ref().and_then(|l| l.act_within_seconds),
    }
}

/// When each rung and the human come, in seconds after the start. Two steps are never closer than
/// the machine of obligations lets them be.
fn times(ladder: &Ladder) -> (Vec<i64>, i64) {
    const SHORTEST: i64 = 5;
    let (mut planned, mut at) = (0, 0);
    let mut next = |then: i64| {
        at += (then - planned).max(SHORTEST);
        planned = then;
        at
    };
    let rungs = ladder.rungs.iter().map(|r| next(r.after_seconds)).collect();
    (rungs, next(ladder.human.after_seconds))
}

fn step(after_seconds: i64, points: &[ContactPoint]) -> RunStep {
    let tries = tries(points);
    RunStep { after_seconds, when: after(after_seconds), words: phrase(&tries), tries }
}

fn tries(points: &[ContactPoint]) -> Vec<Try> {
    points
        .iter()
        .map(|p| Try { channel: p.channel, who: p.who.clone(), address: p.address.clone() })
        .collect()
}

fn phrase(tries: &[Try]) -> String {
    let one = |t: &Try| format!("{} {} ({})", verb(t.channel), t.who, t.address);
    tries.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn verb(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "e-mail to",
        Channel::Webhook => "message to the system of",
        Channel::Sms => "text to",
        Channel::Voice => "call to",
    }
}

fn after(seconds: i64) -> String {
    if seconds == 0 { "at once".to_owned() } else { format!("after {}", length(seconds)) }
}

/// A length of time as people say it: "3 minutes", "90 seconds", "2 hours".
#[must_use]
pub fn length(seconds: i64) -> String {
    let (n, unit) = match seconds {
        s if s >= 3600 && s % 3600 == 0 => (s / 3600, "hour"),
        s if s >= 60 && s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::escalation::{Human, Rung};

    fn point(channel: Channel, address: &str) -> ContactPoint {
        let (id, who) = ("a/b/c".to_owned(), "Ada Exampleby".to_owned());
        ContactPoint { id, channel, address: address.to_owned(), who }
    }

    #[test]
    fn a_plan_reads_in_order_with_its_waits() {
        let call = point(Channel::Voice, "07700 900111");
        let rung = |after_seconds| Rung { after_seconds, points: vec![call.clone()] };
        let human = Human {
            name: "Duty manager".to_owned(),
            number: "01632 960111".to_owned(),
            ring: "01632 960112".to_owned(),
            after_seconds: 900,
            repeat_seconds: 900,
            points: vec![point(Channel::Sms, "07700 900112")],
        };
        let ladder = Ladder {
            rungs: vec![rung(180), rung(181)],
            human,
            act_within_seconds: None,
            waits_seconds: 0,
        };
        let r = Recipient {
            agency: "police".to_owned(),
            agency_name: "Police".to_owned(),
            acknowledge: true,
            contacts: vec![point(Channel::Sms, "07700 900111")],
            ladder: Some(ladder),
        };
        let at = DateTime::UNIX_EPOCH;
        let all = [("police", "Police"), ("school", "School nursing")];
        let d = shape(AlertKind::JarTriggered, at, &[r], all.into_iter());
        let whens: Vec<&str> = d.agencies[0].steps.iter().map(|s| s.when.as_str()).collect();
        assert_eq!(whens, ["at once", "after 3 minutes", "after 185 seconds"]);
        assert_eq!(d.agencies[0].steps[0].words, "text to Ada Exampleby (07700 900111)");
        // As the obligation counts: from the step before.
        assert_eq!(d.agencies[0].last.as_ref().unwrap().after_seconds, 185 + 719);
        assert_eq!(d.not_told, ["School nursing"]);
    }
}
