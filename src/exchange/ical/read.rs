//! Covers from somebody's calendar.

use super::event::{Event, events};
use super::moment::{self, Moment};
use super::repeat::{Asked, Budget, unroll};
use super::{MAX_BYTES, MAX_DAYS_AHEAD};
use crate::domain::civil_time;
use crate::domain::rota::{Cover, CoverKind};
use crate::exchange::people::{People, Person};
use crate::exchange::{Findings, Read, Refused, shown, text};
use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// The longest event, in days.
const MAX_LENGTH_DAYS: i64 = 366;

/// Reads the events of a calendar that are not over at `now` into covers, for at most
/// [`MAX_DAYS_AHEAD`] days. Repeating events are unrolled, with their exceptions and moved
/// occurrences. The person is who `SUMMARY` names, otherwise the attendee. Times without a zone
/// are England's. Problems name the line at which their event or property begins.
///
/// # Errors
/// A file that is too large, has too many events or is no calendar.
pub fn read(bytes: &[u8], people: &[Person], now: DateTime<Utc>) -> Result<Read<Cover>, Refused> {
    if bytes.len() > MAX_BYTES {
        return Err(Refused::TooLarge { limit_kib: MAX_BYTES / 1024 });
    }
    let mut findings = Findings::default();
    let events = events(&text::decode(bytes), &mut findings)?;
    let moved = moved(&events);
    let people = People::new(people);
    let mut budget = Budget::default();
    let mut covers = Vec::new();
    let mut over = 0_u32;
    for event in &events {
        let mut reading = Reading { event, people: &people, now, findings: &mut findings };
        match reading.covers(moved.get(event.uid()), &mut budget) {
            Some(Found::Covers(found)) => covers.extend(found),
            Some(Found::Over) => over += 1,
            None => {}
        }
    }
    if over > 0 {
        findings.note(1, "", format!("Events left out because they are over: {over}."));
    }
    Ok(findings.with(covers))
}

/// By `UID`, the occurrences that another event replaces.
fn moved(events: &[Event]) -> BTreeMap<&str, BTreeSet<DateTime<Utc>>> {
    let mut all: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
    for e in events {
        if let Some(Ok(m)) = e.get("RECURRENCE-ID").map(moment::one) {
            all.entry(e.uid()).or_default().insert(m.instant());
        }
    }
    all
}

enum Found {
    Covers(Vec<Cover>),
    Over,
}

struct Reading<'a> {
    event: &'a Event,
    people: &'a People<'a>,
    now: DateTime<Utc>,
    findings: &'a mut Findings,
}

impl Reading<'_> {
    fn covers(
        &mut self,
        moved: Option<&BTreeSet<DateTime<Utc>>>,
        budget: &mut Budget,
    ) -> Option<Found> {
        let event = self.event;
        let repeats = event.get("RRULE").is_some() || event.get("RDATE").is_some();
        let said =
            |name, word| event.get(name).is_some_and(|p| p.value.trim().eq_ignore_ascii_case(word));
        if said("STATUS", "CANCELLED") {
            self.findings.note(event.line, "STATUS", "The event is cancelled and left out.");
            return None;
        }
        let (start, lasts) = self.times()?;
        let ends = moment::instant(start.local + lasts, start.zone);
        if !repeats && ends <= self.now {
            return Some(Found::Over);
        }
        if !repeats && start.instant() > self.now + Duration::days(MAX_DAYS_AHEAD) {
            self.findings.note(
                event.line,
                "DTSTART",
                format!("The event is more than {MAX_DAYS_AHEAD} days ahead and left out."),
            );
            return None;
        }
        let person = self.person()?;
        let starts =
            if repeats { self.repeated(start, lasts, moved, budget)? } else { vec![start.local] };
        let local = |at: NaiveDateTime| civil_time::local(moment::instant(at, start.zone));
        let cover = |at: NaiveDateTime| Cover {
            from: local(at),
            to: local(at + lasts),
            person: person.clone(),
            kind: CoverKind::Cover,
            note: String::new(),
        };
        let covers: Vec<_> = starts.into_iter().map(cover).collect();
        // One hour of the year cannot be told from the one before by the clock alone.
        let (some, lost): (Vec<_>, Vec<_>) = covers
            .into_iter()
            .partition(|c| civil_time::earliest(c.from) < civil_time::earliest(c.to));
        for c in lost {
            self.findings.problem(
                event.line,
                "DTSTART",
                format!("From {} to {} the clocks change: this has no length.", c.from, c.to),
            );
        }
        Some(Found::Covers(some))
    }

    fn wrong<T>(&mut self, name: &str, message: impl Into<String>) -> Option<T> {
        let line = self.event.get(name).map_or(self.event.line, |p| p.line);
        self.findings.problem(line, name, message);
        None
    }

    /// When the event starts, and how long it lasts on the clock there.
    fn times(&mut self) -> Option<(Moment, Duration)> {
        let Some(p) = self.event.get("DTSTART") else {
            return self.wrong("DTSTART", "The event has no start.");
        };
        let start = match moment::one(p) {
            Ok(m) => m,
            Err(why) => return self.wrong("DTSTART", why),
        };
        let (name, lasts) = match (self.event.get("DTEND"), self.event.get("DURATION")) {
            (Some(p), _) => match moment::one(p) {
                Ok(end) => ("DTEND", end.local_in(start.zone) - start.local),
                Err(why) => return self.wrong("DTEND", why),
            },
            (None, Some(p)) => {
                let Some(lasts) = moment::duration(&p.value) else {
                    let message = format!("“{}” is not a duration.", shown(&p.value));
                    return self.wrong("DURATION", message);
                };
                ("DURATION", lasts)
            }
            (None, None) if start.whole_day => ("DTSTART", Duration::days(1)),
            (None, None) => return self.wrong("DTEND", "The event has no end."),
        };
        let instants = moment::instant(start.local + lasts, start.zone) - start.instant();
        if lasts <= Duration::zero() || instants <= Duration::zero() {
            return self.wrong(name, "The event does not end after it starts.");
        }
        if lasts > Duration::days(MAX_LENGTH_DAYS) {
            return self.wrong(name, "The event lasts longer than a year.");
        }
        Some((start, lasts))
    }

    fn repeated(
        &mut self,
        start: Moment,
        lasts: Duration,
        moved: Option<&BTreeSet<DateTime<Utc>>>,
        budget: &mut Budget,
    ) -> Option<Vec<NaiveDateTime>> {
        let mut except: BTreeSet<NaiveDateTime> =
            moved.into_iter().flatten().map(|at| moment::local(*at, start.zone)).collect();
        for p in self.event.all("EXDATE") {
            match moment::several(p) {
                Ok(all) => except.extend(all.iter().map(|m| occurrence(*m, start))),
                Err(why) => return self.wrong("EXDATE", why),
            }
        }
        let now = moment::local(self.now, start.zone);
        let last = now + Duration::days(MAX_DAYS_AHEAD);
        let mut starts = BTreeSet::new();
        let rules: Vec<_> = self.event.all("RRULE").collect();
        if rules.len() > 1 {
            return self.wrong("RRULE", "The event has more than one rule.");
        }
        if let Some(p) = rules.first() {
            let asked = Asked { rule: &p.value, start, lasts, except: &except, now };
            match unroll(&asked, budget) {
                Ok(unrolled) => {
                    starts.extend(unrolled.starts);
                    if let Some(cut) = unrolled.cut {
                        self.findings.note(p.line, "RRULE", cut);
                    }
                }
                Err(why) => return self.wrong("RRULE", why),
            }
        } else {
            starts.insert(start.local);
        }
        let mut added = BTreeSet::new();
        for p in self.event.all("RDATE") {
            match moment::several(p) {
                Ok(all) => added.extend(all.iter().map(|m| occurrence(*m, start))),
                Err(why) => return self.wrong("RDATE", why),
            }
        }
        starts.append(&mut added.clone());
        starts.retain(|at| !except.contains(at) && *at + lasts > now && *at <= last);
        added.retain(|at| starts.contains(at));
        if let Err(why) = budget.take(added.len()) {
            return self.wrong("RDATE", why);
        }
        Some(starts.into_iter().collect())
    }

    fn person(&mut self) -> Option<String> {
        let summary = self.event.get("SUMMARY").map(super::lines::Property::text);
        let summary = summary.unwrap_or_default();
        let found = self.people.find(&summary);
        if let Ok(id) = found {
            return Some(id.to_owned());
        }
        let mut ids = self.people.named_in(&summary);
        let mut from = "SUMMARY";
        if ids.is_empty() {
            ids = self.attendees();
            from = "ATTENDEE";
        }
        match (ids.len(), ids.first()) {
            (1, Some(id)) => Some((*id).to_owned()),
            (0, _) => {
                let why = found.err().unwrap_or_default();
                self.wrong("SUMMARY", format!("{why} No attendee is known either."))
            }
            _ => self.wrong(from, "The event names more than one person of the directory."),
        }
    }

    fn attendees(&self) -> BTreeSet<&str> {
        let coming = |p: &&super::lines::Property| {
            p.parameter("PARTSTAT").is_none_or(|s| !s.eq_ignore_ascii_case("DECLINED"))
        };
        let found = self.event.all("ATTENDEE").filter(coming).filter_map(|p| {
            let address = p.value.trim();
            let plain = match address.split_at_checked(7) {
                Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto:") => rest,
                _ => address,
            };
            self.people
                .find(plain)
                .or_else(|_| self.people.find(p.parameter("CN").unwrap_or_default()))
                .ok()
        });
        found.collect()
    }
}

/// The local start an exception means: a day without a time is the occurrence of that day.
fn occurrence(m: Moment, start: Moment) -> NaiveDateTime {
    if m.whole_day && !start.whole_day {
        m.local.date().and_time(start.local.time())
    } else {
        m.local_in(start.zone)
    }
}
