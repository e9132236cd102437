//! Is somebody there? Hours in which nobody is on, people who are on and cannot be reached, and
//! the daily question: is tonight covered?

use super::plan::{Known, lane};
use super::{Agency, Area, Contact, LastStep, Rule, When};
use crate::domain::alert::AlertKind;
use crate::domain::calendar::Calendar;
use crate::domain::civil_time;
use crate::domain::rota;
use chrono::{DateTime, Days, Duration, NaiveTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is known of a contact point, by its lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub verified_at: Option<DateTime<Utc>>,
    /// When a message last demonstrably arrived or was answered.
    pub worked_at: Option<DateTime<Utc>>,
    /// Why it is no use any more, in words: replied STOP, bounced for good.
    pub unusable: Option<String>,
}

/// A stretch of time in which an agency cannot be reached, or a point that cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub agency: String,
    pub agency_name: String,
    pub from: DateTime<Utc>,
    /// None: with no end in sight.
    pub to: Option<DateTime<Utc>>,
    pub why: String,
    /// Nobody is reached while it lasts; otherwise it is a weakness to mend.
    pub urgent: bool,
    /// One contact point that fails, while others may work.
    pub point: bool,
}

/// One agency's answer to "is tonight covered?".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TonightLine {
    pub agency: String,
    pub agency_name: String,
    pub covered: bool,
    /// Who is on, or why nobody is.
    pub words: String,
}

struct Look<'a> {
    area: &'a Area,
    calendar: &'a Calendar,
    known: &'a Known,
    standing: &'a BTreeMap<String, Standing>,
}

/// Every gap of the agencies that have to respond, from `from` for `days` days.
#[must_use]
pub fn gaps(
    area: &Area,
    calendar: &Calendar,
    known: &Known,
    standing: &BTreeMap<String, Standing>,
    from: DateTime<Utc>,
    days: u32,
) -> Vec<Gap> {
    let look = Look { area, calendar, known, standing };
    let to = from + Duration::days(i64::from(days));
    let mut out: Vec<Gap> = area
        .agencies
        .iter()
        .filter(|a| must_respond(area, a))
        .flat_map(|a| look.of(a, from, to))
        .collect();
    out.extend(area.last_steps().flat_map(|l| look.of_last(l, from)));
    // One human may stand in several rules.
    out.dedup();
    out.sort_by_key(|g| (!g.urgent, g.from, g.agency.clone()));
    out
}

/// Calls for a response.
const CALLS: [AlertKind; 3] =
    [AlertKind::JarTriggered, AlertKind::JarProvisional, AlertKind::JarUpgraded];

/// Whether an agency is asked to acknowledge any call for a response, at whatever hour.
fn must_respond(area: &Area, agency: &Agency) -> bool {
    CALLS.iter().any(|k| told(area, agency, *k).any(|(told, acknowledge)| told && acknowledge))
}

/// Whether an agency is ever told of something of this kind.
#[must_use]
pub fn is_ever_told(area: &Area, agency: &Agency, kind: AlertKind) -> bool {
    told(area, agency, kind).any(|(told, _)| told)
}

/// What may come true by the hour: told, and asked to acknowledge. By rules for some hours first,
/// up to one that always holds, else what the agency itself says.
fn told(area: &Area, agency: &Agency, kind: AlertKind) -> impl Iterator<Item = (bool, bool)> {
    let mut out = Vec::new();
    for r in area.policy.iter().filter(|r| r.fits(&agency.id, kind)) {
        out.push((r.told, r.acknowledge));
        if r.when == When::Always {
            return out.into_iter();
        }
    }
    out.push((agency.told_of.contains(&kind), agency.acknowledge));
    out.into_iter()
}

fn gap(a: &Agency, from: DateTime<Utc>, to: Option<DateTime<Utc>>, why: String) -> Gap {
    let (agency, agency_name) = (a.id.clone(), a.name.clone());
    Gap { agency, agency_name, from, to, why, urgent: true, point: false }
}

impl Look<'_> {
    fn usable(&self, agency: &Agency, c: &Contact) -> bool {
        let base = self.area.point_name(&agency.id, &c.id);
        c.kind.channels(&c.address).iter().any(|ch| {
            !self.known.silent.contains(ch)
                && self.standing.get(&lane(&base, *ch)).is_none_or(|s| s.unusable.is_none())
        })
    }

    fn of(&self, a: &Agency, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Gap> {
        if a.points().next().is_none() {
            let why = "no contact point and no rota: somebody must ring every time".to_owned();
            return vec![gap(a, from, None, why)];
        }
        if !a.points().any(|(c, _)| self.usable(a, c)) {
            let why = "no contact point works: somebody must ring".to_owned();
            return vec![gap(a, from, None, why)];
        }
        let mut out = self.unreachable(a, from);
        let at_hand =
            |all: &[Contact], at| all.iter().any(|c| self.holds(c, at) && self.usable(a, c));
        // Hours in which nobody asks them are no gap.
        let desk_covers = |at: DateTime<Utc>| !self.is_asked(a, at) || at_hand(&a.contacts, at);
        match &a.rota {
            Some(r) => {
                for s in rota::shifts(r, self.calendar, from, to) {
                    let person = s.person.as_deref().and_then(|p| a.person(p));
                    let why = match person {
                        None => "nobody is on the rota".to_owned(),
                        Some(p) if !p.contacts.iter().any(|c| self.usable(a, c)) => {
                            format!("{} is on, with no contact point that works", p.name)
                        }
                        Some(p) => {
                            format!("{} is on, with no contact point for these hours", p.name)
                        }
                    };
                    // A desk may stand in for part of it: looked at hour by hour.
                    let covers =
                        |at| desk_covers(at) || person.is_some_and(|p| at_hand(&p.contacts, at));
                    for (began, ended) in uncovered(s.from, s.to, &covers) {
                        out.push(gap(a, began, Some(ended), why.clone()));
                    }
                }
            }
            None => out.extend(self.closed_hours(a, from, to, &desk_covers)),
        }
        out
    }

    /// Whoever is named to ring: at whatever hour, because theirs are tried rather than none.
    fn of_last(&self, l: &LastStep, from: DateTime<Utc>) -> Vec<Gap> {
        let human = l.as_agency();
        if l.contacts.is_empty() {
            let why =
                "is named to ring when nobody answers, with no contact point: nobody tells them";
            return vec![Gap { urgent: false, ..gap(&human, from, None, why.to_owned()) }];
        }
        if !l.contacts.iter().any(|c| self.usable(&human, c)) {
            let why = "is named to ring when nobody answers, with no contact point that works";
            return vec![gap(&human, from, None, why.to_owned())];
        }
        self.unreachable(&human, from)
    }

    fn is_asked(&self, a: &Agency, at: DateTime<Utc>) -> bool {
        let holds = |r: &&Rule| r.when.holds(at, &self.area.office_hours, self.calendar);
        CALLS.iter().any(|k| {
            let rules = self.area.policy.iter().filter(|r| r.fits(&a.id, *k));
            match { rules }.find(holds) {
                Some(r) => r.told && r.acknowledge,
                None => a.acknowledge && a.told_of.contains(k),
            }
        })
    }

    fn holds(&self, c: &Contact, at: DateTime<Utc>) -> bool {
        c.when.holds(at, &self.area.office_hours, self.calendar)
    }

    /// Points that are no use any more, or were never seen to work.
    fn unreachable(&self, a: &Agency, from: DateTime<Utc>) -> Vec<Gap> {
        let mut out = Vec::new();
        for (c, person) in a.points() {
            let base = self.area.point_name(&a.id, &c.id);
            let whose = person.map_or_else(|| c.id.replace(['-', '_'], " "), |p| p.name.clone());
            let states: Vec<Option<&Standing>> = c
                .kind
                .channels(&c.address)
                .iter()
                .map(|ch| self.standing.get(&lane(&base, *ch)))
                .collect();
            let dead = states.iter().flatten().find_map(|s| s.unusable.as_ref());
            if let Some(why) = dead {
                let why = format!("{whose} ({}): {why}", c.kind.label());
                out.push(Gap { point: true, ..gap(a, from, None, why) });
            } else if !states
                .iter()
                .flatten()
                .any(|s| s.worked_at.is_some() || s.verified_at.is_some())
            {
                let why = format!("{whose} ({}): never seen to work", c.kind.label());
                out.push(Gap { urgent: false, point: true, ..gap(a, from, None, why) });
            }
        }
        out
    }

    /// Hours in which no desk holds, found by looking each half hour.
    fn closed_hours(
        &self,
        a: &Agency,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        covered: &dyn Fn(DateTime<Utc>) -> bool,
    ) -> Vec<Gap> {
        if a.contacts.iter().any(|c| c.when == When::Always && self.usable(a, c)) {
            return Vec::new();
        }
        let closed = |(began, ended)| gap(a, began, Some(ended), "no desk is open".to_owned());
        uncovered(from, to, covered).into_iter().map(closed).collect()
    }
}

/// Stretches of time that nothing covers, found by looking each half hour.
fn uncovered(
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    covered: &dyn Fn(DateTime<Utc>) -> bool,
) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut out = Vec::new();
    let mut open: Option<DateTime<Utc>> = None;
    let mut at = from;
    while at < to {
        match (covered(at), open) {
            (false, None) => open = Some(at),
            (true, Some(began)) => {
                out.push((began, at));
                open = None;
            }
            _ => {}
        }
        at += Duration::minutes(30);
    }
    out.extend(open.map(|began| (began, to)));
    out
}

/// Who is there from now until the office opens again, agency by agency.
#[must_use]
pub fn tonight(
    area: &Area,
    calendar: &Calendar,
    known: &Known,
    standing: &BTreeMap<String, Standing>,
    now: DateTime<Utc>,
) -> Vec<TonightLine> {
    let morning = next_morning(area.office_hours.from, now);
    let days = u32::try_from((morning - now).num_hours().div_euclid(24) + 2).unwrap_or(2);
    let found = gaps(area, calendar, known, standing, now, days);
    let line = |a: &Agency| {
        let mine = found.iter().find(|g| {
            g.agency == a.id
                && g.urgent
                && !g.point
                && g.from < morning
                && g.to.is_none_or(|t| t > now)
        });
        let on: Vec<String> = a
            .rota
            .as_ref()
            .map(|r| rota::on_duty(r, calendar, morning - Duration::hours(5)))
            .unwrap_or_default()
            .iter()
            .filter_map(|d| a.person(&d.person))
            .map(|p| p.name.clone())
            .collect();
        let words = match mine {
            Some(g) => g.why.clone(),
            None if on.is_empty() => "duty desk".to_owned(),
            None => on.join(", then "),
        };
        TonightLine {
            agency: a.id.clone(),
            agency_name: a.name.clone(),
            covered: mine.is_none(),
            words,
        }
    };
    area.agencies.iter().filter(|a| must_respond(area, a)).map(line).collect()
}

fn next_morning(opens: NaiveTime, now: DateTime<Utc>) -> DateTime<Utc> {
    let local = civil_time::local(now);
    let day = if local.time() < opens { local.date() } else { local.date() + Days::new(1) };
    civil_time::earliest(day.and_time(opens))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_morning_is_nine_by_the_clock_on_the_wall_also_when_it_was_changed() {
        let utc = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        for (changed, before, nine) in [
            ("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T08:00:00Z"),
            ("2026-10-25", "2026-10-24T23:00:00Z", "2026-10-25T09:00:00Z"),
            ("2027-03-28", "2027-03-27T23:00:00Z", "2027-03-28T08:00:00Z"),
            ("2027-10-31", "2027-10-30T23:00:00Z", "2027-10-31T09:00:00Z"),
        ] {
            let opens = NaiveTime::from_hms_opt(9, 0, 0).unwrap();
            assert_eq!(next_morning(opens, utc(before)), utc(nine), "{changed}");
            let just_before = utc(nine) - Duration::minutes(1);
            assert_eq!(next_morning(opens, just_before), utc(nine), "{changed}");
        }
    }
}
