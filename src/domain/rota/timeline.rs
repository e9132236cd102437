//! A rota with its local times read once: who is on at an instant, and where that can change.

use super::{By, Cover, Rota, Rotation};
use crate::domain::calendar::Calendar;
use crate::domain::civil_time;
use chrono::{DateTime, Days, NaiveDate, Utc};
use std::collections::BTreeSet;

pub(super) struct Timeline<'a> {
    calendar: &'a Calendar,
    /// By rank, and within a rank as listed.
    rotations: Vec<Turns<'a>>,
    covers: Vec<(DateTime<Utc>, DateTime<Utc>, &'a Cover)>,
}

impl<'a> Timeline<'a> {
    pub fn new(rota: &'a Rota, calendar: &'a Calendar) -> Self {
        let mut rotations: Vec<_> = rota.rotations.iter().map(Turns::new).collect();
        rotations.sort_by_key(|t| t.rotation.rank);
        let read = |c: &'a Cover| (civil_time::earliest(c.from), civil_time::earliest(c.to), c);
        let covers = rota.covers.iter().map(read).collect();
        Self { calendar, rotations, covers }
    }

    /// Everybody to ring at `at`, in order. Each rotation gives whose turn it is and one next in
    /// turn. Whoever a cover stands in for is away and not named at all.
    pub fn on(&self, at: DateTime<Utc>) -> Vec<(&'a str, By)> {
        let cover = self.covers.iter().rev().find(|(from, to, _)| *from <= at && at < *to);
        let mut list: Vec<(&str, By)> = Vec::new();
        let mut away = None;
        if let Some((_, _, cover)) = cover {
            list.push((&cover.person, By::Cover));
            away = self.holder(at);
        }
        for turns in &self.rotations {
            let Some(turn) = turns.turn(self.calendar, at) else { continue };
            let people = &turns.rotation.people;
            let mut free = |n: &usize| {
                let p = people[*n % people.len()].as_str();
                let free = away != Some(p) && list.iter().all(|(listed, _)| *listed != p);
                if free {
                    list.push((p, By::Rotation(turns.rotation.id.clone())));
                }
                free
            };
            free(&turn);
            (turn + 1..turn + people.len()).find(free);
        }
        list
    }

    /// The first to ring.
    pub fn primary(&self, at: DateTime<Utc>) -> Option<&'a str> {
        let cover = self.covers.iter().rev().find(|(from, to, _)| *from <= at && at < *to);
        cover.map(|(_, _, c)| c.person.as_str()).or_else(|| self.holder(at))
    }

    /// Whose turn it is in the first rotation that holds, covers aside.
    fn holder(&self, at: DateTime<Utc>) -> Option<&'a str> {
        self.rotations.iter().find_map(|t| {
            let turn = t.turn(self.calendar, at)?;
            t.rotation.people.get(turn).map(String::as_str)
        })
    }

    /// Every instant in `from < t < to` at which the list can change, in order. Some change
    /// nothing; none is missing.
    pub fn edges(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> BTreeSet<DateTime<Utc>> {
        let mut all = BTreeSet::new();
        let mut add = |t: DateTime<Utc>| {
            if from < t && t < to {
                all.insert(t);
            }
        };
        for (begins, ends, _) in &self.covers {
            add(*begins);
            add(*ends);
        }
        for turns in &self.rotations {
            turns.edges(from, to, &mut add);
        }
        all
    }
}

/// One rotation with its first and last instants.
pub(super) struct Turns<'a> {
    pub rotation: &'a Rotation,
    pub starts: DateTime<Utc>,
    pub until: Option<DateTime<Utc>>,
}

impl<'a> Turns<'a> {
    pub fn new(rotation: &'a Rotation) -> Self {
        let at = |day: NaiveDate| civil_time::earliest(day.and_time(rotation.handover));
        Self { rotation, starts: at(rotation.starts), until: rotation.until.map(at) }
    }

    /// The place in `people` of the one whose turn it is, if the rotation holds at `at`.
    pub fn turn(&self, calendar: &Calendar, at: DateTime<Utc>) -> Option<usize> {
        let r = self.rotation;
        if r.people.is_empty() || at < self.starts || self.until.is_some_and(|u| at >= u) {
            return None;
        }
        if !r.only.holds(calendar, at) {
            return None;
        }
        let today = civil_time::date_of(at);
        // Compared as instants: on the night with two 01:30s the handover is the first of them.
        let handed_over = civil_time::earliest(today.and_time(r.handover)) <= at;
        let day = if handed_over { today } else { today.pred_opt()? };
        let days = u64::try_from((day - r.starts).num_days()).ok()?;
        usize::try_from(days / self.length() % r.people.len() as u64).ok()
    }

    /// A turn's days. A length that makes no sense is reported elsewhere; here somebody is on.
    fn length(&self) -> u64 {
        u64::from(self.rotation.every_days.max(1))
    }

    pub fn edges(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        add: &mut impl FnMut(DateTime<Utc>),
    ) {
        let r = self.rotation;
        if self.starts >= to || self.until.is_some_and(|u| u <= from) || r.people.is_empty() {
            return;
        }
        add(self.starts);
        self.until.into_iter().for_each(&mut *add);
        let first = civil_time::date_of(from.max(self.starts)).pred_opt();
        let last = civil_time::date_of(to);
        if r.people.len() > 1 {
            let past = first.map_or(0, |f| (f - r.starts).num_days());
            let past = u64::try_from(past).unwrap_or(0) / self.length() * self.length();
            let mut day = r.starts.checked_add_days(Days::new(past));
            while let Some(d) = day.filter(|d| *d <= last) {
                add(civil_time::earliest(d.and_time(r.handover)));
                day = d.checked_add_days(Days::new(self.length()));
            }
        }
        if !r.only.is_always() {
            let mut day = first;
            while let Some(d) = day.filter(|d| *d <= last) {
                if let Some((begins, ends)) = r.only.span(d) {
                    add(begins);
                    add(ends);
                }
                day = d.succ_opt();
            }
        }
    }
}
