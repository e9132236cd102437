//! What is wrong with a directory as somebody wants to save it: everything at once, in words.

use super::{Agency, Area, Contact, LAST_STEP, LastStep, PointKind, Rule, Whom};
use crate::domain::calendar::Calendar;
use crate::domain::intake::Problem;
use std::collections::BTreeSet;

/// Whether a telephone number can be dialled, and why not; given by whoever knows numbers.
pub type Dialable<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Everything that keeps `area` from being saved.
#[must_use]
pub fn review(area: &Area, dialable: Dialable<'_>) -> Vec<Problem> {
    let calendar = Calendar::new(&area.extra_bank_holidays, &area.cancelled_bank_holidays);
    let mut r = Review { out: Vec::new(), dialable, calendar };
    r.text("name", &area.name);
    r.number("call_back", &area.call_back);
    for line in &area.tonight {
        r.text("tonight", line);
    }
    for line in &area.support {
        r.text("support", line);
    }
    let mut ids = BTreeSet::new();
    for a in &area.agencies {
        r.agency(a);
        if !ids.insert(&a.id) {
            r.say(&format!("agency.{}", a.id), "twice", "this agency is named twice");
        }
        if a.id == LAST_STEP {
            let why = "is kept for whoever is named to ring when nobody answers";
            r.say(&format!("agency.{}", a.id), "reserved", why);
        }
    }
    for (n, rule) in area.policy.iter().enumerate() {
        r.rule(area, n + 1, rule);
    }
    if let Some(l) = &area.last_step {
        r.last("last_step", l);
    }
    r.out
}

struct Review<'a> {
    out: Vec<Problem>,
    dialable: Dialable<'a>,
    calendar: Calendar,
}

impl Review<'_> {
    fn say(&mut self, field: &str, code: &'static str, message: &str) {
        self.out.push(Problem { field: field.to_owned(), code, message: message.to_owned() });
    }

    fn text(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() {
            self.say(field, "required", "must not be empty");
        } else if text.chars().any(char::is_control) || text.chars().count() > 200 {
            self.say(field, "too_long", "must be one line of at most 200 characters");
        }
    }

    /// Identifiers stand in lanes, addresses and forms.
    fn id(&mut self, field: &str, id: &str) {
        let fine = !id.is_empty()
            && id.len() <= 60
            && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !fine {
            self.say(field, "id", "must be letters, digits, - and _ only");
        }
    }

    fn number(&mut self, field: &str, number: &str) {
        if let Err(why) = (self.dialable)(number) {
            self.say(field, "telephone", &why);
        }
    }

    fn agency(&mut self, a: &Agency) {
        let at = |f: &str| format!("agency.{}.{f}", a.id);
        self.id(&at("id"), &a.id);
        self.text(&at("name"), &a.name);
        if !a.ring.trim().is_empty() {
            self.number(&at("ring"), &a.ring);
        }
        let mut contacts = BTreeSet::new();
        let mut people = BTreeSet::new();
        for p in &a.people {
            self.id(&at(&format!("person.{}", p.id)), &p.id);
            self.text(&at(&format!("person.{}.name", p.id)), &p.name);
            if !people.insert(&p.id) {
                self.say(&at(&format!("person.{}", p.id)), "twice", "this person is named twice");
            }
        }
        for (c, _) in a.points() {
            self.contact(&at(&format!("contact.{}", c.id)), c);
            if !contacts.insert(&c.id) {
                self.say(
                    &at(&format!("contact.{}", c.id)),
                    "twice",
                    "this contact point is named twice",
                );
            }
        }
        if let Some(rota) = &a.rota {
            let known: BTreeSet<String> = a.people.iter().map(|p| p.id.clone()).collect();
            for p in crate::domain::rota::problems(rota, &self.calendar, &known) {
                // A rota kept in a spreadsheet is dated lines only; its gaps are warned of.
                if p.code == "empty" && p.place == "rota" && !rota.covers.is_empty() {
                    continue;
                }
                self.say(&at("rota"), "rota", &p.message);
            }
        }
    }

    fn contact(&mut self, at: &str, c: &Contact) {
        self.id(at, &c.id);
        match c.kind {
            PointKind::Email => {
                let fine = c.address.split_once('@').is_some_and(|(u, d)| {
                    !u.is_empty() && d.contains('.') && !c.address.contains(char::is_whitespace)
                });
                if !fine {
                    self.say(at, "email", "must be an e-mail address, like duty@agency.example");
                }
            }
            PointKind::Webhook => {
                if !c.address.starts_with("https://") && !c.address.starts_with("http://") {
                    self.say(at, "url", "must be a web address that starts with https://");
                }
                if c.secret.is_none() && c.secret_file.is_none() {
                    self.say(at, "secret", "a webhook needs a secret");
                }
            }
            PointKind::Mobile | PointKind::Landline | PointKind::DutyNumber => {
                self.number(at, &c.address);
            }
        }
    }

    fn rule(&mut self, area: &Area, n: usize, rule: &Rule) {
        let at = format!("policy.{n}");
        if rule.agencies.is_empty() || rule.events.is_empty() {
            self.say(&at, "required", "name at least one agency (or *) and one event");
        }
        for a in rule.agencies.iter().filter(|a| *a != "*") {
            if area.agency(a).is_none() {
                self.say(&at, "unknown_agency", &format!("there is no agency {a}"));
            }
        }
        if rule.steps.first().is_some_and(|s| s.after_seconds != 0) {
            self.say(&at, "first_step", "the first step is at once (0 seconds)");
        }
        if rule.steps.windows(2).any(|w| w[1].after_seconds < w[0].after_seconds + 10) {
            self.say(&at, "steps", "each step comes at least 10 seconds after the one before");
        }
        if rule.steps.iter().any(|s| s.after_seconds > 86_400) {
            self.say(&at, "steps", "a step more than a day later is too late to help");
        }
        for s in &rule.steps {
            if s.channels.is_empty() {
                self.say(&at, "channels", "each step needs a channel");
            }
            if s.whom == Whom::Team && s.team.is_empty() {
                self.say(&at, "team", "a step that turns to a team names it");
            }
        }
        if let Some(l) = &rule.last {
            self.last(&at, l);
            if rule.steps.last().is_some_and(|s| s.after_seconds >= l.after_seconds) {
                self.say(&at, "last", "the last step comes after the others");
            }
        }
    }

    fn last(&mut self, at: &str, l: &LastStep) {
        self.text(&format!("{at}.name"), &l.name);
        self.number(&format!("{at}.number"), &l.number);
        if l.repeat_seconds < 60 {
            self.say(&format!("{at}.repeat_seconds"), "too_short", "must be 60 or more");
        }
        for c in &l.contacts {
            self.contact(&format!("{at}.contact.{}", c.id), c);
        }
    }
}
