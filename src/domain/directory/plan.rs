//! From directory, policy and rota to what one alert will do: a plain ladder of contact points,
//! frozen when the alert begins. Each rung is resolved for the hour at which it will be climbed.

use super::policy::{ACT_WITHIN_MINUTES, LAST_AFTER};
use super::{
    Agency, Area, Contact, LastStep, OfficeHours, Person, Rule, Step, Urgency, When, Whom,
    default_steps,
};
use crate::domain::alert::{AlertKind, Channel, ContactPoint, Recipient};
use crate::domain::calendar::Calendar;
use crate::domain::escalation::{Human, Ladder, Rung};
use crate::domain::rota;
use chrono::{DateTime, Duration, Utc};
use std::collections::BTreeSet;

/// What is known about contact points besides the directory.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Points (by name and channel, `area/agency/contact/sms`) that are no use any more: the
    /// person replied STOP, or the address bounced for good.
    pub unusable: BTreeSet<String>,
    /// Channels for which this installation has no provider: planning a step on them would only
    /// be a wait.
    pub silent: BTreeSet<Channel>,
}

/// Who is told of `kind` at `now`, each with a ladder.
#[must_use]
pub fn recipients(
    area: &Area,
    calendar: &Calendar,
    known: &Known,
    kind: AlertKind,
    now: DateTime<Utc>,
) -> Vec<Recipient> {
    let ask = Ask { area, calendar, known, now };
    area.agencies.iter().filter_map(|a| ask.recipient(a, kind)).collect()
}

struct Ask<'a> {
    area: &'a Area,
    calendar: &'a Calendar,
    known: &'a Known,
    now: DateTime<Utc>,
}

impl Ask<'_> {
    fn recipient(&self, agency: &Agency, kind: AlertKind) -> Option<Recipient> {
        let (rule, told) = self.says(agency, kind);
        if !told {
            return None;
        }
        let acknowledge =
            rule.map_or(agency.acknowledge, |r| r.acknowledge) && kind.asks_for_acknowledgement();
        let steps = match rule {
            Some(r) if !r.steps.is_empty() => r.steps.clone(),
            _ => default_steps(),
        };
        let waits_seconds = match rule {
            Some(r) if r.urgency == Urgency::Office => {
                seconds_until_open(&self.area.office_hours, self.calendar, self.now)
            }
            _ => 0,
        };
        let (contacts, rungs) = match waits_seconds {
            0 => self.rungs(agency, &steps, self.now),
            wait => self.until_the_office_opens(agency, &steps, wait),
        };
        let human = self.human(agency, rule, waits_seconds);
        let ladder = acknowledge.then(|| Ladder {
            rungs,
            human,
            act_within_seconds: kind.is_response().then(|| {
                let minutes = rule.and_then(|r| r.act_within_minutes).unwrap_or(ACT_WITHIN_MINUTES);
                i64::from(minutes) * 60
            }),
            waits_seconds,
        });
        Some(Recipient {
            agency: agency.id.clone(),
            agency_name: agency.name.clone(),
            acknowledge,
            contacts,
            ladder,
        })
    }

    /// The rule that counts for this agency, event and hour, and whether the agency is told.
    ///
    /// That a response is now certain must reach whoever must be told of a certain one. Where no
    /// rule speaks of `jar_upgraded`, one that tells the agency of `jar_triggered` counts for it,
    /// and then the agency's own word about either: silence about the one is no "no" to the other.
    fn says(&self, agency: &Agency, kind: AlertKind) -> (Option<&Rule>, bool) {
        let office = &self.area.office_hours;
        let fits =
            |r: &&Rule| r.fits(&agency.id, kind) && r.when.holds(self.now, office, self.calendar);
        let rule = self.area.policy.iter().find(fits);
        let told = rule.map_or_else(|| agency.told_of.contains(&kind), |r| r.told);
        if rule.is_some() || kind != AlertKind::JarUpgraded {
            return (rule, told);
        }
        match self.says(agency, AlertKind::JarTriggered) {
            (Some(r), true) => (Some(r), true),
            (_, certain) => (None, told || certain),
        }
    }

    /// What is not urgent wakes nobody: out of hours it goes by mail and to systems only, and the
    /// ladder begins to climb when the office opens, to whoever is on then. If there is nothing
    /// quiet, it goes at once all the same: being told too early beats not being told.
    fn until_the_office_opens(
        &self,
        agency: &Agency,
        steps: &[Step],
        wait: i64,
    ) -> (Vec<ContactPoint>, Vec<Rung>) {
        let quiet = |p: &ContactPoint| matches!(p.channel, Channel::Email | Channel::Webhook);
        let (mut contacts, _) = self.rungs(agency, steps, self.now);
        if contacts.iter().any(quiet) {
            contacts.retain(quiet);
        }
        let (mut first, mut rungs) = self.rungs(agency, steps, self.now + Duration::seconds(wait));
        // What has gone to a point by then does not go there again.
        let gone = |p: &ContactPoint| {
            contacts.iter().any(|c| (c.channel, &c.address) == (p.channel, &p.address))
        };
        first.retain(|p| !gone(p));
        for r in &mut rungs {
            r.after_seconds += wait;
        }
        if !first.is_empty() {
            rungs.insert(0, Rung { after_seconds: wait, points: first });
        }
        (contacts, rungs)
    }

    /// The first rung's points and the rungs after it, as climbed from `from` on. A rung that would
    /// reach nobody is left out: it would only be a wait.
    fn rungs(
        &self,
        agency: &Agency,
        steps: &[Step],
        from: DateTime<Utc>,
    ) -> (Vec<ContactPoint>, Vec<Rung>) {
        let mut first: Option<(i64, Vec<ContactPoint>)> = None;
        let mut out: Vec<Rung> = Vec::new();
        for s in steps {
            let planned = i64::from(s.after_seconds);
            // If the first rung reaches nobody, the next that does goes at once.
            let after_seconds = first.as_ref().map_or(0, |(began, _)| planned - began);
            let points = self.points(agency, s, from + Duration::seconds(after_seconds));
            if points.is_empty() {
                continue;
            }
            if first.is_none() {
                first = Some((planned, points));
            } else {
                out.push(Rung { after_seconds, points });
            }
        }
        // Nobody by any rung: whatever there is, rather than nothing.
        let all =
            || agency.points().flat_map(|(c, p)| self.by_all_channels(agency, c, p)).collect();
        (first.map_or_else(all, |(_, points)| points), out)
    }

    fn points(&self, agency: &Agency, step: &Step, at: DateTime<Utc>) -> Vec<ContactPoint> {
        let holds = |c: &Contact| c.when.holds(at, &self.area.office_hours, self.calendar);
        let on: Vec<&Person> = agency
            .rota
            .as_ref()
            .map(|r| rota::on_duty(r, self.calendar, at))
            .unwrap_or_default()
            .iter()
            .filter_map(|d| agency.person(&d.person))
            .collect();
        let desks = |any_hour: bool| {
            agency.contacts.iter().filter(move |c| any_hour || holds(c)).map(|c| (c, None))
        };
        let of = |p: &'_ &'_ Person| -> Vec<(Contact, Option<Person>)> {
            p.contacts
                .iter()
                .filter(|c| holds(c))
                .map(|c| (c.clone(), Some((*p).clone())))
                .collect()
        };
        let owned = |(c, p): (&Contact, Option<&Person>)| (c.clone(), p.cloned());
        let mut chosen: Vec<(Contact, Option<Person>)> = match step.whom {
            Whom::Duty => on.iter().take(1).flat_map(of).chain(desks(false).map(owned)).collect(),
            Whom::Backup if on.len() > 1 => on.iter().skip(1).take(1).flat_map(of).collect(),
            Whom::Backup => desks(true).map(owned).collect(),
            Whom::Everyone => on.iter().flat_map(of).chain(desks(true).map(owned)).collect(),
            Whom::Team => agency
                .points()
                .filter(|(c, p)| p.map_or(c.team.as_str(), |p| p.team.as_str()) == step.team)
                .map(owned)
                .collect(),
        };
        // Desks that are all for other hours are tried rather than none.
        if chosen.is_empty() && step.whom == Whom::Duty {
            chosen = desks(true).map(owned).collect();
        }
        let mut seen = BTreeSet::new();
        chosen
            .iter()
            .flat_map(|(c, p)| self.by_channels(agency, c, p.as_ref(), &step.channels))
            .filter(|p| seen.insert((p.channel, p.address.clone())))
            .collect()
    }

    fn by_all_channels(
        &self,
        agency: &Agency,
        c: &Contact,
        person: Option<&Person>,
    ) -> Vec<ContactPoint> {
        use Channel::{Email, Sms, Voice, Webhook};
        self.by_channels(agency, c, person, &[Webhook, Email, Sms, Voice])
    }

    fn by_channels(
        &self,
        agency: &Agency,
        c: &Contact,
        person: Option<&Person>,
        channels: &[Channel],
    ) -> Vec<ContactPoint> {
        let base = self.area.point_name(&agency.id, &c.id);
        let points = c.kind.channels(&c.address);
        let wanted = points.into_iter().filter(|ch| channels.contains(ch));
        wanted
            .map(|channel| ContactPoint {
                id: lane(&base, channel),
                channel,
                address: c.address.clone(),
                who: who(c, person),
            })
            .filter(|p| {
                !self.known.unusable.contains(&p.id) && !self.known.silent.contains(&p.channel)
            })
            .collect()
    }

    /// Whoever rings when nobody has answered, `wait` seconds later than usual.
    fn human(&self, agency: &Agency, rule: Option<&Rule>, wait: i64) -> Human {
        let last = rule.and_then(|r| r.last.as_ref()).or(self.area.last_step.as_ref());
        if let Some(l) = last {
            return self.named(agency, l, wait);
        }
        // Nobody set: the area's own call-back number, and the office that is told of every death,
        // unless that is the one that does not answer.
        let office = self
            .area
            .agencies
            .iter()
            .find(|a| a.id != agency.id && a.told_of.contains(&AlertKind::DeathNotified));
        let points = office.map_or_else(Vec::new, |o| {
            o.contacts.iter().flat_map(|c| self.by_all_channels(o, c, None)).collect()
        });
        Human {
            name: office.map_or_else(
                || format!("{}, call-back number", self.area.name),
                |o| o.name.clone(),
            ),
            number: office.map_or(&self.area.call_back, |o| &o.ring).clone(),
            ring: agency.ring.clone(),
            after_seconds: wait + i64::from(LAST_AFTER),
            repeat_seconds: 900,
            points,
        }
    }

    fn named(&self, agency: &Agency, l: &LastStep, wait: i64) -> Human {
        let after_seconds = wait + i64::from(l.after_seconds);
        let at = self.now + Duration::seconds(after_seconds);
        let own = l.as_agency();
        let holds = |c: &&Contact| c.when.holds(at, &self.area.office_hours, self.calendar);
        let points = |all: bool| -> Vec<ContactPoint> {
            l.contacts
                .iter()
                .filter(|c| all || holds(c))
                .flat_map(|c| self.by_all_channels(&own, c, None))
                .collect()
        };
        let mut found = points(false);
        if found.is_empty() {
            found = points(true);
        }
        Human {
            name: l.name.clone(),
            number: l.number.clone(),
            ring: agency.ring.clone(),
            after_seconds,
            repeat_seconds: i64::from(l.repeat_seconds.max(60)),
            points: found,
        }
    }
}

/// Seconds until the office opens; 0 while it is open, or if it does not open within ten days.
fn seconds_until_open(office: &OfficeHours, calendar: &Calendar, now: DateTime<Utc>) -> i64 {
    let minutes = (0..10 * 24 * 12).map(|n| n * 5);
    let open = |m: &i64| When::OfficeHours.holds(now + Duration::minutes(*m), office, calendar);
    minutes.into_iter().find(open).map_or(0, |m| m * 60)
}

/// The dispatcher's lane of a point on one channel: texts and calls to one number do not wait for
/// each other.
pub(super) fn lane(base: &str, channel: Channel) -> String {
    match channel {
        Channel::Email | Channel::Webhook => base.to_owned(),
        Channel::Sms | Channel::Voice => format!("{base}/{}", channel.word()),
    }
}

fn who(c: &Contact, person: Option<&Person>) -> String {
    match person {
        Some(p) if p.role.is_empty() => p.name.clone(),
        Some(p) => format!("{}, {}", p.name, p.role),
        None if c.team.is_empty() => c.id.replace(['-', '_'], " "),
        None => c.team.clone(),
    }
}

/// A contact point on each of its channels, as it would be tried.
#[must_use]
pub fn lanes(area: &Area, agency: &str, c: &Contact, person: Option<&Person>) -> Vec<ContactPoint> {
    let base = area.point_name(agency, &c.id);
    let point = |channel| ContactPoint {
        id: lane(&base, channel),
        channel,
        address: c.address.clone(),
        who: who(c, person),
    };
    c.kind.channels(&c.address).into_iter().map(point).collect()
}

/// The panel's office: the agency that is told of every death.
#[must_use]
pub fn office(area: &Area) -> Option<&Agency> {
    let told = |a: &&Agency| a.told_of.contains(&AlertKind::DeathNotified);
    area.agency("cdop_office").or_else(|| area.agencies.iter().find(told))
}
