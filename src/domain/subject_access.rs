//! What a case holds about one living person, with everybody else masked. A draft for a reviewer:
//! every mask is listed, nothing is released by itself.

use super::case::CaseState;
use super::document::Document;
use super::event::Event;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What stands where somebody else was named.
pub const MASK: &str = "[masked: another person]";
/// What stands where a number or address could be somebody else's.
pub const MASK_REACH: &str = "[masked: a number or address]";

/// One thing the case holds about the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    pub place: String,
    pub text: String,
}

/// One mask, for whoever reviews the copy before it is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Masked {
    pub place: String,
    pub original: String,
    pub mask: &'static str,
}

/// A document of the case. Nothing searches what is in it: the reviewer reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The case it is with.
    pub reference: String,
    pub id: Uuid,
    pub name: String,
    pub at: DateTime<Utc>,
}

/// The copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Copy {
    pub items: Vec<Item>,
    pub masked: Vec<Masked>,
    pub documents: Vec<Unread>,
}

/// Words of a name, folded; one-letter words say nothing.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '-')
        .filter(|w| w.chars().count() > 1)
        .map(str::to_lowercase)
        .collect()
}

/// Titles are nobody's name.
const TITLES: [&str; 12] =
    ["dr", "mr", "mrs", "ms", "miss", "prof", "sgt", "sergeant", "di", "dc", "nurse", "professor"];

fn name_words(text: &str) -> Vec<String> {
    words(text).into_iter().filter(|w| !TITLES.contains(&w.as_str())).collect()
}

/// Whether a record's name is the person's: every word of the shorter stands in the longer.
fn is_same(person: &[String], name: &str) -> bool {
    let other = name_words(name);
    if person.is_empty() || other.is_empty() {
        return false;
    }
    let (short, long) =
        if other.len() < person.len() { (&other[..], person) } else { (person, &other[..]) };
    short.len() >= 2.min(long.len()) && short.iter().all(|w| long.contains(w))
}

/// Whether a text speaks of the person.
fn mentions(person: &[String], text: &str) -> bool {
    let said = words(text);
    !person.is_empty() && person.iter().all(|w| said.contains(w))
}

struct Masker<'a> {
    person: &'a [String],
    others: BTreeSet<String>,
    copy: Copy,
}

impl Masker<'_> {
    fn is_own(&self, word: &str) -> bool {
        self.person.contains(&word.to_lowercase())
    }

    /// A text with the names of others and every number or address in it masked.
    fn mask(&mut self, place: &str, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut last: Option<&'static str> = None;
        for piece in text.split_inclusive(char::is_whitespace) {
            let word = piece.trim_end();
            let space = &piece[word.len()..];
            let core = word.trim_matches(|c: char| !c.is_alphanumeric());
            let bare = core.strip_suffix("'s").unwrap_or(core);
            let digits = core.chars().filter(char::is_ascii_digit).count();
            let mask = if core.contains('@') || digits >= 5 {
                Some(MASK_REACH)
            } else if !self.is_own(bare) && self.others.contains(&bare.to_lowercase()) {
                Some(MASK)
            } else {
                None
            };
            match mask {
                None => out.push_str(piece),
                Some(m) => {
                    self.copy.masked.push(Masked {
                        place: place.to_owned(),
                        original: word.to_owned(),
                        mask: m,
                    });
                    let after = word.trim_start_matches(|c: char| !c.is_alphanumeric());
                    let tail = after.strip_prefix(core).unwrap_or_default();
                    // A name of two words is one mask.
                    if last == Some(m) {
                        out.truncate(out.trim_end().len());
                    } else {
                        out.push_str(m);
                    }
                    out.push_str(tail);
                    out.push_str(space);
                    last = tail.is_empty().then_some(m);
                    continue;
                }
            }
            last = None;
        }
        out.trim_end().to_owned()
    }

    fn add(&mut self, place: &str, text: &str) {
        let text = self.mask(place, text);
        self.copy.items.push(Item { place: place.to_owned(), text });
    }

    /// A record that is the person's own: everything in it, as it stands.
    fn own(&mut self, place: &str, record: &Value) {
        if let Value::Object(fields) = record {
            for (field, value) in fields {
                let text = match value {
                    Value::String(t) => t.clone(),
                    Value::Null => continue,
                    other => other.to_string(),
                };
                self.copy
                    .items
                    .push(Item { place: format!("{place}, {}", field.replace('_', " ")), text });
            }
        }
    }
}

/// The notifier, the household and the professionals of a case, each with where it stands.
fn records(s: &CaseState) -> Vec<(String, Value)> {
    let facts = serde_json::to_value(&s.facts).unwrap_or_default();
    let mut records: Vec<(String, Value)> = Vec::new();
    if let Some(n) = facts.get("notifier") {
        records.push(("Notifier".to_owned(), n.clone()));
    }
    for (list, label) in [("household", "Household"), ("professionals", "Professionals")] {
        let all = facts.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
        records.extend(all.into_iter().zip(1..).map(|(r, n)| (format!("{label} {n}"), r)));
    }
    records
}

fn name_in(record: &Value) -> &str {
    record.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Whether a living person of this name is recorded: a father may have his child's name.
#[must_use]
pub fn is_recorded(name: &str, s: &CaseState) -> bool {
    let person = name_words(name);
    records(s).iter().any(|(_, r)| is_same(&person, name_in(r)))
}

/// Names of people in what happened: who decided, was consulted, was given the case, added a
/// document. What was notified is left out; [`copy`] reads it field by field.
#[must_use]
pub fn names_in(events: &[Event]) -> BTreeSet<String> {
    fn walk(v: &Value, out: &mut BTreeSet<String>) {
        match v {
            Value::Object(fields) => {
                // A `Person` or a `Named`; other things have names too (places, documents, duties).
                let is_one =
                    fields.keys().all(|k| ["id", "name", "role", "agency"].contains(&k.as_str()));
                if let Some(Value::String(name)) = fields.get("name").filter(|_| is_one) {
                    out.insert(name.clone());
                }
                fields.iter().filter(|(f, _)| *f != "facts").for_each(|(_, v)| walk(v, out));
            }
            Value::Array(all) => all.iter().for_each(|v| walk(v, out)),
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    for e in events {
        walk(&serde_json::to_value(e).unwrap_or_default(), &mut out);
    }
    out
}

/// What a case holds about `name`. `history` is what happened, as sentences, and `named` are the
/// people named in it.
#[must_use]
pub fn copy(
    name: &str,
    s: &CaseState,
    history: &[(String, String)],
    named: &BTreeSet<String>,
) -> Copy {
    let person = name_words(name);
    if person.len() < 2 {
        // One word is anybody of the family.
        return Copy::default();
    }
    let mut others = BTreeSet::new();
    let child = &s.facts.child;
    let own = [&child.given_names, &child.family_name].into_iter().flatten();
    others.extend(own.chain(&child.also_known_as).flat_map(|n| name_words(n)));
    let records = records(s);
    for (_, r) in &records {
        if !is_same(&person, name_in(r)) {
            others.extend(name_words(name_in(r)));
        }
    }
    for n in named.iter().filter(|n| !is_same(&person, n)) {
        others.extend(name_words(n));
    }
    for a in s.alerts.values() {
        let answered = a.acknowledged.as_ref().map(|k| k.person.name.as_str());
        let handed = a.handed_on.as_ref().map(|(p, _)| p.name.as_str());
        for n in answered.into_iter().chain(handed).filter(|n| !is_same(&person, n)) {
            others.extend(name_words(n));
        }
    }
    for p in s.plan.iter().filter(|p| !is_same(&person, &p.person.name)) {
        others.extend(name_words(&p.person.name));
    }
    let mut m = Masker { person: &person, others, copy: Copy::default() };
    for (place, record) in &records {
        if is_same(&person, name_in(record)) {
            m.own(place, record);
        }
    }
    let mut texts: Vec<(String, String)> = Vec::new();
    if let Some(t) = &s.facts.death.circumstances {
        texts.push(("Circumstances".to_owned(), t.clone()));
    }
    for (path, readings) in &s.facts.other_accounts {
        let all: Vec<String> = readings
            .iter()
            .map(|r| r.as_str().map_or_else(|| r.to_string(), str::to_owned))
            .collect();
        texts.push((format!("Another account of {path}"), all.join("; ")));
    }
    texts.extend(
        s.plan
            .iter()
            .map(|p| ("Response plan".to_owned(), format!("{}: {}", p.person.name, p.entry))),
    );
    texts.extend(history.iter().cloned());
    for (place, text) in &texts {
        if mentions(&person, text) {
            m.add(place, text);
        }
    }
    let there = s.documents.iter().filter(|d| d.withdrawn.is_none());
    let unread = |d: &Document| Unread {
        reference: s.reference.to_string(),
        id: d.id,
        name: d.name.clone(),
        at: d.at,
    };
    m.copy.documents = there.map(unread).collect();
    m.copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::case::replay;
    use crate::domain::event::{Event, Person, Recorded, Route};
    use crate::domain::id::{CaseId, Reference};
    use chrono::{TimeZone, Utc};
    use serde_json::json;

    fn state() -> CaseState {
        let facts = json!({
            "child": { "given_names": "Placehold", "family_name": "Mockridge", "nhs_number": "9990000018" },
            "death": { "circumstances": "Ann Mockridge rang 07700 900987; Placehold's uncle Bert Trial was there. Bert Trial left." },
            "notifier": { "name": "Dr Standin", "telephone": "07700 900001" },
            "household": [
                { "relationship": "mother", "name": "Ann Mockridge", "age_or_date_of_birth": "29" },
                { "relationship": "uncle", "name": "Bert Trial" },
            ],
        });
        let event = Event::NotificationReceived {
            reference: Reference::new(2026, 1),
            area: "northshire".to_owned(),
            route: Route::Api,
            facts: Box::new(serde_json::from_value(facts).unwrap()),
            warnings: Vec::new(),
        };
        let at = Utc.with_ymd_and_hms(2026, 2, 20, 9, 0, 0).unwrap();
        replay(CaseId(uuid::Uuid::nil()), [Recorded { at, event }]).unwrap()
    }

    #[test]
    fn ones_own_record_is_whole_and_others_are_masked_in_texts() {
        let c = copy("ann mockridge", &state(), &[], &BTreeSet::new());
        let text = serde_json::to_string(&c.items).unwrap();
        assert!(text.contains("mother") && text.contains("29"), "{text}");
        for other in ["Bert", "Trial", "Placehold", "900987", "Standin", "9990000018"] {
            assert!(!text.contains(other), "{other} in {text}");
        }
        assert!(text.contains("Ann Mockridge rang"), "their own name stays: {text}");
        let masked: Vec<&str> = c.masked.iter().map(|m| m.original.as_str()).collect();
        for other in ["Placehold's", "Bert", "900987;"] {
            assert!(masked.contains(&other), "{other} is not listed: {masked:?}");
        }
    }

    #[test]
    fn nobody_gets_anything_under_a_part_of_a_name_or_a_strangers() {
        for name in ["Mockridge", "Carol Nobody", "", "Dr"] {
            assert_eq!(copy(name, &state(), &[], &BTreeSet::new()).items, [], "{name}");
        }
    }

    #[test]
    fn whoever_is_named_in_what_happened_is_masked_and_a_duty_is_not() {
        let by = Person { name: "Dr Consulta".to_owned(), ..Person::default() };
        let events = [Event::LegalHoldPlaced { reason: "asked by Sam Other".to_owned(), by }];
        let named = names_in(&events);
        assert_eq!(named, BTreeSet::from(["Dr Consulta".to_owned()]));
        let history = [("x".to_owned(), "Dr Consulta rang Ann Mockridge on duty.".to_owned())];
        let c = copy("Ann Mockridge", &state(), &history, &named);
        let said = &c.items.last().unwrap().text;
        assert_eq!(said, "Dr [masked: another person] rang Ann Mockridge on duty.");
    }

    #[test]
    fn a_father_with_the_childs_name_is_somebody_recorded() {
        assert!(is_recorded("Ann Mockridge", &state()) && is_recorded("bert trial", &state()));
        assert!(!is_recorded("Placehold Mockridge", &state()));
    }

    #[test]
    fn the_same_case_gives_the_same_copy() {
        let history =
            [("What happened".to_owned(), "Said by Ann Mockridge to Bert Trial.".to_owned())];
        let (a, b) = (
            copy("Ann Mockridge", &state(), &history, &BTreeSet::new()),
            copy("Ann Mockridge", &state(), &history, &BTreeSet::new()),
        );
        assert_eq!(a, b);
        assert!(a.items.iter().any(|i| i.text.contains("to [masked: another person].")), "{a:?}");
    }
}
