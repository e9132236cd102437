//! The directory from a spreadsheet and back. The file says everything about the agencies that it
//! names and nothing about the others: who or what is not in it any more is removed there.

use super::naming::fresh_id;
use crate::alerts::phone;
use crate::domain::alert::AlertKind;
use crate::domain::directory::{self, Agency, Area, Contact, Person, PointKind, When};
use crate::exchange::directory_csv::{self, DirectoryLine};
use crate::exchange::{LineProblem, Read};
use serde::Serialize;

/// The most lines of one directory: more is not a county's agencies but another file.
pub const MOST_LINES: usize = 2_000;

/// One difference between what stands and what the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `added`, `changed` or `removed`.
    pub kind: &'static str,
    pub what: String,
}

/// A directory as the file wants it, not yet saved.
#[derive(Clone, Debug)]
pub struct Plan {
    pub area: Area,
    pub differences: Vec<Difference>,
}

/// Why a file is refused: by line, or as a whole (line 0).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trouble {
    pub problems: Vec<LineProblem>,
    /// How many more there are.
    pub left_out: u32,
}

/// Reads a file into a plan for `area`. All of it, or nothing.
///
/// # Errors
/// Every problem, by line.
pub fn plan(area: &Area, bytes: &[u8]) -> Result<Plan, Trouble> {
    let whole = |message: String| Trouble { problems: vec![problem(0, "", message)], left_out: 0 };
    let written = |n: &str| phone::normalise(n).map(|_| n.to_owned()).map_err(|e| e.to_string());
    let stands = |address: &str| {
        area.agencies.iter().flat_map(Agency::points).any(|(c, _)| c.address == address)
    };
    let Read { items, problems, problems_left_out, .. } =
        directory_csv::read_with(bytes, written, stands).map_err(|e| whole(e.to_string()))?;
    if items.len() > MOST_LINES {
        return Err(whole(format!(
            "The file has {} lines; a directory has at most {MOST_LINES}. Is it the right file?",
            items.len()
        )));
    }
    if !problems.is_empty() {
        return Err(Trouble { problems, left_out: problems_left_out });
    }
    if items.is_empty() {
        return Err(whole("The file has a heading and no lines.".to_owned()));
    }
    let mut merge = Merge { problems: Vec::new() };
    let new = merge.area(area, &items);
    let dialable = |n: &str| phone::normalise(n).map_err(|e| e.to_string());
    if merge.problems.is_empty() {
        let said = directory::review(&new, &dialable);
        merge.problems =
            said.into_iter().map(|p| problem(0, &p.field, sentence(&p.message))).collect();
    }
    if !merge.problems.is_empty() {
        return Err(Trouble { problems: merge.problems, left_out: 0 });
    }
    Ok(Plan { differences: differences(area, &new), area: new })
}

/// The directory of an area as such a file. People without a contact point have no line in it;
/// importing it again leaves them as they are.
#[must_use]
pub fn write(area: &Area) -> String {
    let mut lines = Vec::new();
    for a in &area.agencies {
        let desks = std::iter::once((None, a.contacts.as_slice()));
        let people = a.people.iter().map(|p| (Some(p), p.contacts.as_slice()));
        for (person, contacts) in desks.chain(people) {
            for (order, c) in (1_u32..).zip(contacts) {
                lines.push(DirectoryLine {
                    line: 0,
                    agency: a.id.clone(),
                    agency_name: a.name.clone(),
                    ring: a.ring.clone(),
                    team: person.map_or(&c.team, |p| &p.team).clone(),
                    person: person.map(|p| p.name.clone()).unwrap_or_default(),
                    role: person.map(|p| p.role.clone()).unwrap_or_default(),
                    kind: csv_kind(c.kind),
                    address: c.address.clone(),
                    when: csv_when(c.when),
                    order,
                });
            }
        }
    }
    directory_csv::write(&lines)
}

fn problem(line: u32, column: &str, message: String) -> LineProblem {
    LineProblem { line, column: column.to_owned(), message }
}

fn sentence(text: &str) -> String {
    let mut c = text.chars();
    c.next().map_or_else(String::new, |first| first.to_uppercase().chain(c).collect())
}

struct Merge {
    problems: Vec<LineProblem>,
}

impl Merge {
    fn area(&mut self, area: &Area, lines: &[DirectoryLine]) -> Area {
        let mut new = area.clone();
        let mut named: Vec<&str> = Vec::new();
        for l in lines {
            if !named.contains(&l.agency.as_str()) {
                named.push(&l.agency);
            }
        }
        for id in named {
            let of: Vec<&DirectoryLine> = lines.iter().filter(|l| l.agency == id).collect();
            let known = area.agency(id);
            let made = self.agency(id, known, &of);
            match new.agencies.iter_mut().find(|a| a.id == id) {
                Some(place) => *place = made,
                None => new.agencies.push(made),
            }
        }
        new
    }

    fn agency(&mut self, id: &str, known: Option<&Agency>, lines: &[&DirectoryLine]) -> Agency {
        let first = lines[0];
        let mut a = known.cloned().unwrap_or_else(|| Agency {
            id: id.to_owned(),
            name: String::new(),
            ring: String::new(),
            // A partner in the directory that is told of nothing would be a trap.
            told_of: vec![
                AlertKind::JarTriggered,
                AlertKind::JarProvisional,
                AlertKind::JarUpgraded,
            ],
            acknowledge: true,
            contacts: Vec::new(),
            people: Vec::new(),
            rota: None,
        });
        a.name.clone_from(&first.agency_name);
        a.ring.clone_from(&first.ring);
        let old = known.cloned();
        // Identifiers in use anywhere in the agency, before and after, are not given again.
        let mut ids: Vec<String> =
            old.iter().flat_map(Agency::points).map(|(c, _)| c.id.clone()).collect();
        a.contacts = self.contacts(old.as_ref(), None, &mut ids, lines, "");
        let silent = |p: &&Person| p.contacts.is_empty();
        let mut people: Vec<Person> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for l in lines.iter().filter(|l| !l.person.is_empty()) {
            let key = folded(&l.person);
            if names.contains(&key) {
                continue;
            }
            names.push(key.clone());
            let before = old.iter().flat_map(|o| &o.people).find(|p| folded(&p.name) == key);
            let taken = |id: &str| {
                people.iter().chain(old.iter().flat_map(|o| &o.people)).any(|p| p.id == id)
            };
            let id = before.map_or_else(|| fresh_id(&l.person, '-', taken), |p| p.id.clone());
            self.same_person(l, &key, lines);
            people.push(Person {
                id,
                name: l.person.clone(),
                role: l.role.clone(),
                team: l.team.clone(),
                contacts: self.contacts(old.as_ref(), before, &mut ids, lines, &key),
            });
        }
        let kept = old.iter().flat_map(|o| &o.people).filter(silent);
        let kept: Vec<Person> =
            kept.filter(|p| !names.contains(&folded(&p.name))).cloned().collect();
        people.extend(kept);
        // In the order in which they stood, the new ones behind.
        let place = |p: &Person| {
            let was = old.as_ref().and_then(|o| o.people.iter().position(|q| q.id == p.id));
            was.unwrap_or(usize::MAX)
        };
        people.sort_by_key(place);
        a.people = people;
        self.still_on_the_rota(&a, first.line);
        a
    }

    /// Two lines of one person must not say different things of them.
    fn same_person(&mut self, first: &DirectoryLine, key: &str, lines: &[&DirectoryLine]) {
        for l in lines.iter().filter(|l| folded(&l.person) == key) {
            for (column, here, there) in
                [("role", &l.role, &first.role), ("team", &l.team, &first.team)]
            {
                if here != there {
                    let why = format!("Line {} says “{there}” for the same person.", first.line);
                    self.problems.push(problem(l.line, column, why));
                }
            }
        }
    }

    fn still_on_the_rota(&mut self, a: &Agency, line: u32) {
        let Some(rota) = &a.rota else { return };
        let turns = rota.rotations.iter().flat_map(|r| &r.people);
        let mut gone: Vec<&String> = turns
            .chain(rota.covers.iter().map(|c| &c.person))
            .filter(|p| a.person(p).is_none())
            .collect();
        gone.sort();
        gone.dedup();
        for p in gone {
            let why = format!(
                "{} has {p} on its rota, who is not in the file: take them off the rota first.",
                a.name
            );
            self.problems.push(problem(line, "person", why));
        }
    }

    /// The contact points of one person (or, without a name, of the desks), in the file's order.
    fn contacts(
        &mut self,
        old: Option<&Agency>,
        person: Option<&Person>,
        ids: &mut Vec<String>,
        lines: &[&DirectoryLine],
        key: &str,
    ) -> Vec<Contact> {
        let mine: &[Contact] = match (key.is_empty(), person, old) {
            (true, _, Some(a)) => &a.contacts,
            (false, Some(p), _) => &p.contacts,
            _ => &[],
        };
        let mut of: Vec<&&DirectoryLine> =
            lines.iter().filter(|l| folded(&l.person) == key).collect();
        of.sort_by_key(|l| l.order);
        let mut used: Vec<&str> = Vec::new();
        let mut out = Vec::new();
        for l in &of {
            let kind = kind(l.kind);
            let same = |c: &&Contact| {
                !used.contains(&c.id.as_str())
                    && c.kind == kind
                    && same_address(kind, &c.address, &l.address)
            };
            // The same address at other hours is another point if both stand in the file.
            let fits = |c: &&Contact| same(c) && c.when == when(l.when);
            // A new number in the place of one that is gone is that one, changed. Not so a system:
            // another receiver must not be given the secret of the one before.
            let replaced = |c: &&Contact| {
                kind != PointKind::Webhook
                    && !used.contains(&c.id.as_str())
                    && c.kind == kind
                    && c.when == when(l.when)
                    && !of.iter().any(|o| same_address(kind, &c.address, &o.address))
            };
            let known = mine
                .iter()
                .find(fits)
                .or_else(|| mine.iter().find(same))
                .or_else(|| mine.iter().find(replaced));
            if let Some(c) = known {
                used.push(&c.id);
            } else if kind == PointKind::Webhook {
                let why = "A new system (webhook) needs a secret: add it on its page, where the \
                           secret is shown once, then import.";
                self.problems.push(problem(l.line, "kind", why.to_owned()));
            }
            let named = |id: &str| ids.iter().any(|i| i == id);
            let owner = [&l.person, &l.team].into_iter().find(|t| !t.is_empty());
            let called = format!("{} {}", owner.map_or("desk", String::as_str), kind.word());
            let id = known.map_or_else(|| fresh_id(&called, '-', named), |c| c.id.clone());
            ids.push(id.clone());
            out.push(Contact {
                id,
                kind,
                address: known.map_or_else(|| l.address.clone(), |c| spelt(c, l)),
                when: when(l.when),
                team: if l.person.is_empty() { l.team.clone() } else { String::new() },
                secret: known.and_then(|c| c.secret.clone()),
                secret_file: known.and_then(|c| c.secret_file.clone()),
            });
        }
        out
    }
}

/// As the file writes it, unless only spaces differ: what was verified stays verified.
fn spelt(known: &Contact, line: &DirectoryLine) -> String {
    let bare = |t: &str| t.split_whitespace().collect::<String>().to_lowercase();
    if bare(&known.address) == bare(&line.address) {
        known.address.clone()
    } else {
        line.address.clone()
    }
}

fn same_address(kind: PointKind, a: &str, b: &str) -> bool {
    match kind {
        PointKind::Email => a.eq_ignore_ascii_case(b),
        PointKind::Webhook => a == b,
        _ => match (phone::normalise(a), phone::normalise(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        },
    }
}

fn folded(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The file's words are the directory's.
fn kind(k: directory_csv::Kind) -> PointKind {
    PointKind::parse(k.word()).unwrap_or(PointKind::Landline)
}

fn when(w: directory_csv::When) -> When {
    When::parse(w.word()).unwrap_or_default()
}

fn csv_kind(k: PointKind) -> directory_csv::Kind {
    let all = directory_csv::Kind::ALL;
    all.into_iter().find(|c| c.word() == k.word()).unwrap_or(directory_csv::Kind::Landline)
}

fn csv_when(w: When) -> directory_csv::When {
    let all = directory_csv::When::ALL;
    all.into_iter().find(|c| c.word() == w.word()).unwrap_or(directory_csv::When::Always)
}

/// Everything that is different, in words.
#[must_use]
pub fn differences(before: &Area, after: &Area) -> Vec<Difference> {
    let mut out = Vec::new();
    for a in &after.agencies {
        if let Some(b) = before.agency(&a.id) {
            of_agency(b, a, &mut out);
            continue;
        }
        out.push(say("added", format!("{} ({}), to ring: {}", a.name, a.id, a.ring)));
        let nothing = Agency { contacts: Vec::new(), people: Vec::new(), ..a.clone() };
        of_agency(&nothing, a, &mut out);
    }
    for b in before.agencies.iter().filter(|b| after.agency(&b.id).is_none()) {
        out.push(say("removed", format!("{} with everybody in it", b.name)));
    }
    out
}

fn say(kind: &'static str, what: String) -> Difference {
    Difference { kind, what }
}

fn of_agency(b: &Agency, a: &Agency, out: &mut Vec<Difference>) {
    if b.name != a.name {
        out.push(say("changed", format!("{}: is called {} now", b.name, a.name)));
    }
    if b.ring != a.ring {
        out.push(say("changed", format!("{}: number to ring {} (was {})", a.name, a.ring, b.ring)));
    }
    for p in &a.people {
        let team = |p: &Person| {
            let parts = [p.role.as_str(), p.team.as_str()];
            let parts: Vec<&str> = parts.into_iter().filter(|t| !t.is_empty()).collect();
            if parts.is_empty() { "no role".to_owned() } else { parts.join(", ") }
        };
        match b.person(&p.id) {
            None => out.push(say("added", format!("{}: {} ({})", a.name, p.name, team(p)))),
            Some(q) if (&q.name, &q.role, &q.team) != (&p.name, &p.role, &p.team) => {
                let what =
                    format!("{}: {} ({}), was {} ({})", a.name, p.name, team(p), q.name, team(q));
                out.push(say("changed", what));
            }
            Some(_) => {}
        }
    }
    for q in b.people.iter().filter(|q| a.person(&q.id).is_none()) {
        out.push(say("removed", format!("{}: {}", a.name, q.name)));
    }
    let shown = |c: &Contact, p: Option<&Person>| {
        let whose = p.map_or_else(
            || if c.team.is_empty() { "desk".to_owned() } else { c.team.clone() },
            |p| p.name.clone(),
        );
        format!("{}: {whose}, {} {}, {}", a.name, c.kind.label(), c.address, c.when.label())
    };
    for (c, p) in a.points() {
        match b.points().find(|(d, _)| d.id == c.id) {
            None => out.push(say("added", shown(c, p))),
            Some((d, _)) if d != c => {
                let was = format!("{} (was {}, {})", shown(c, p), d.address, d.when.label());
                out.push(say("changed", was));
            }
            Some(_) => {}
        }
    }
    for (d, q) in b.points().filter(|(d, _)| !a.points().any(|(c, _)| c.id == d.id)) {
        out.push(say("removed", shown(d, q)));
    }
}
