//! What is wrong with a rota, said so that the person who wrote it can mend it.

use super::timeline::Turns;
use super::{Cover, Rota, Rotation};
use crate::domain::calendar::Calendar;
use crate::domain::civil_time;
use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use std::collections::BTreeSet;

pub const MAX_ROTATIONS: usize = 20;
/// In one rotation.
pub const MAX_PEOPLE: usize = 200;
pub const MAX_COVERS: usize = 5000;
/// The longest cover, in days: longer is a rotation.
const MAX_COVER_DAYS: i64 = 366;
/// Windows repeat within a year and its bank holidays; overlaps are looked for so many days on.
const OVERLAP_DAYS: i64 = 400;

/// One thing wrong.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct RotaProblem {
    /// `rota`, `rotations[n]` or `covers[n]`, counted from nought as in the data.
    pub place: String,
    /// A word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// Everything wrong with a rota, in the order of its data. Such a rota still answers who is on:
/// parts without sense are passed over.
#[must_use]
pub fn problems(
    rota: &Rota,
    calendar: &Calendar,
    known_people: &BTreeSet<String>,
) -> Vec<RotaProblem> {
    let mut all = Vec::new();
    whole(rota, &mut all);
    let mut ids = BTreeSet::new();
    for (n, r) in rota.rotations.iter().take(MAX_ROTATIONS).enumerate() {
        let mut say = saying(format!("rotations[{n}]"), &mut all);
        if !r.id.is_empty() && !ids.insert(&r.id) {
            say("duplicate_id", format!("Another rotation has the id {} already.", r.id));
        }
        rotation(r, known_people, &mut say);
    }
    for (n, c) in rota.covers.iter().take(MAX_COVERS).enumerate() {
        cover(c, known_people, &mut saying(format!("covers[{n}]"), &mut all));
    }
    overlaps(rota, calendar, &mut all);
    all
}

fn saying(place: String, all: &mut Vec<RotaProblem>) -> impl FnMut(&'static str, String) {
    move |code, message| all.push(RotaProblem { place: place.clone(), code, message })
}

fn whole(rota: &Rota, all: &mut Vec<RotaProblem>) {
    let mut say = saying("rota".to_owned(), all);
    if rota.id.trim().is_empty() {
        say("no_id", "The rota has no id.".to_owned());
    }
    if rota.rotations.is_empty() {
        say("empty", "The rota has no rotation: outside its covers nobody is on duty.".to_owned());
    }
    if rota.rotations.len() > MAX_ROTATIONS {
        say("too_many", format!("A rota has at most {MAX_ROTATIONS} rotations."));
    }
    if rota.covers.len() > MAX_COVERS {
        say("too_many", format!("A rota has at most {MAX_COVERS} covers: remove those long past."));
    }
}

fn rotation(r: &Rotation, known: &BTreeSet<String>, say: &mut impl FnMut(&'static str, String)) {
    if r.id.trim().is_empty() {
        say("no_id", "The rotation has no id.".to_owned());
    }
    if r.people.is_empty() {
        say("empty", format!("Rotation {} has nobody in it.", r.id));
    }
    if r.people.len() > MAX_PEOPLE {
        say("too_many", format!("Rotation {} has more than {MAX_PEOPLE} people.", r.id));
    }
    if !(1..=56).contains(&r.every_days) {
        say(
            "every_days",
            format!("A turn in rotation {} is {} days; it can be 1 to 56.", r.id, r.every_days),
        );
    }
    if let Some(until) = r.until.filter(|u| *u <= r.starts) {
        say(
            "ends_before_start",
            format!(
                "Rotation {} ends on {until}, not after it starts on {}: nobody is ever on.",
                r.id, r.starts
            ),
        );
    }
    if r.only.is_never() {
        say("never", format!("Rotation {} holds outside all hours, which is never.", r.id));
    }
    let mut named = BTreeSet::new();
    for p in r.people.iter().filter(|p| !known.contains(*p)) {
        if named.insert(p) {
            say(
                "unknown_person",
                format!("Rotation {} names {p}, who is not in the directory.", r.id),
            );
        }
    }
}

fn cover(c: &Cover, known: &BTreeSet<String>, say: &mut impl FnMut(&'static str, String)) {
    let (from, to) = (civil_time::earliest(c.from), civil_time::earliest(c.to));
    if c.to < c.from {
        say(
            "ends_before_start",
            format!("The cover ends at {}, before it starts at {}.", c.to, c.from),
        );
    } else if to <= from {
        // Also two local times inside the hour that does not happen.
        say("no_length", format!("The cover from {} to {} has no length.", c.from, c.to));
    } else if (to - from).num_days() > MAX_COVER_DAYS {
        say(
            "endless",
            format!(
                "The cover from {} to {} is longer than a year: make it a rotation.",
                c.from, c.to
            ),
        );
    }
    if !known.contains(&c.person) {
        say(
            "unknown_person",
            format!("The cover names {}, who is not in the directory.", c.person),
        );
    }
}

fn overlaps(rota: &Rota, calendar: &Calendar, all: &mut Vec<RotaProblem>) {
    let turns: Vec<_> = rota.rotations.iter().take(MAX_ROTATIONS).map(Turns::new).collect();
    for (n, a) in turns.iter().enumerate() {
        for b in turns.iter().take(n).filter(|b| b.rotation.rank == a.rotation.rank) {
            if let Some(at) = both_hold(a, b, calendar) {
                let at = civil_time::local(at).format("%Y-%m-%d %H:%M");
                saying(format!("rotations[{n}]"), all)(
                    "overlap",
                    format!(
                        "Rotations {} and {} have the same rank and both hold at {at}: the one \
                         listed first wins.",
                        b.rotation.id, a.rotation.id
                    ),
                );
            }
        }
    }
}

/// The first instant at which both hold, if they do within the days looked at.
fn both_hold(a: &Turns, b: &Turns, calendar: &Calendar) -> Option<DateTime<Utc>> {
    let from = a.starts.max(b.starts);
    let to = from.checked_add_signed(Duration::days(OVERLAP_DAYS))?;
    let mut edges = BTreeSet::from([from]);
    for t in [a, b] {
        t.edges(from, to, &mut |at| {
            if from < at && at < to {
                edges.insert(at);
            }
        });
    }
    let hold = |t: &Turns, at| t.turn(calendar, at).is_some();
    edges.into_iter().find(|at| hold(a, *at) && hold(b, *at))
}
