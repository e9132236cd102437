//! From what is held to boxes, and from boxes to what somebody really changed. A box left as it was
//! says nothing, also where others have changed the field meanwhile.

use super::fields::{Field, Group, Kind};
use crate::domain::draft::{self, Fields};
use crate::domain::facts::Facts;
use crate::domain::reading::reading;
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The boxes of a group as its form shows them.
pub(super) fn filled(group: &Group, facts: &Facts) -> Fields {
    group.fields.iter().flat_map(|f| boxes(f, facts)).collect()
}

/// The boxes of one field; an empty one is left out.
fn boxes(f: &Field, facts: &Facts) -> Fields {
    let mut out = Fields::new();
    let mut put = |name: String, v: &Value| {
        let text = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        out.insert(name, text);
    };
    match (f.kind, reading(facts, f.path).value) {
        (_, None) => {}
        (Kind::Date, Some(Value::String(d))) => {
            if let Ok(d) = NaiveDate::parse_from_str(&d, "%Y-%m-%d") {
                put(format!("{}-day", f.path), &d.day().into());
                put(format!("{}-month", f.path), &d.month().into());
                put(format!("{}-year", f.path), &d.year().into());
            }
        }
        (Kind::Time, Some(Value::String(t))) => {
            put(f.path.to_owned(), &t.chars().take(5).collect::<String>().into());
        }
        (_, Some(Value::Array(items))) => {
            for (n, item) in items.iter().enumerate() {
                match item {
                    Value::Object(row) => {
                        for (k, v) in row {
                            put(format!("{}.{n}.{k}", f.path), v);
                        }
                    }
                    v => put(format!("{}.{n}", f.path), v),
                }
            }
        }
        (_, Some(v)) => put(f.path.to_owned(), &v),
    }
    out
}

/// What somebody typed, by box; line ends as we keep them.
fn tidied(typed: &Fields, now: DateTime<Utc>) -> Fields {
    let mut all: Fields = typed
        .iter()
        .filter(|(n, _)| !n.starts_with('_'))
        .map(|(n, v)| (n.clone(), v.trim().replace("\r\n", "\n")))
        .collect();
    draft::tidy(&mut all, now);
    all
}

/// Whether a box belongs to a field.
fn belongs(name: &str, path: &str) -> bool {
    name.strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('-'))
}

/// Rows of a list, those to be removed and the empty ones left out, numbered anew.
fn rows(path: &str, all: &Fields) -> Fields {
    let mut by_row: BTreeMap<usize, Fields> = BTreeMap::new();
    let mut removed = BTreeSet::new();
    for (name, v) in all {
        let Some(rest) = name.strip_prefix(path).and_then(|r| r.strip_prefix('.')) else {
            continue;
        };
        if let Some(n) = rest.strip_suffix("-remove") {
            removed.extend(n.parse::<usize>().ok());
            continue;
        }
        let (n, key) = rest.split_once('.').map_or((rest, ""), |(n, k)| (n, k));
        if let Ok(n) = n.parse::<usize>()
            && !v.is_empty()
        {
            by_row.entry(n).or_default().insert(key.to_owned(), v.clone());
        }
    }
    let kept = by_row.into_iter().filter(|(n, _)| !removed.contains(n));
    let name = |n: usize, key: &str| match key {
        "" => format!("{path}.{n}"),
        key => format!("{path}.{n}.{key}"),
    };
    kept.enumerate()
        .flat_map(|(n, (_, row))| {
            row.into_iter().map(move |(k, v)| (name(n, &k), v)).collect::<Vec<_>>()
        })
        .collect()
}

/// What somebody changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changed {
    /// The boxes of each changed field.
    pub fields: BTreeMap<&'static str, Fields>,
    /// Fields whose boxes were emptied.
    pub emptied: Vec<&'static str>,
}

/// Compares what was typed with what the form had shown.
pub(super) fn changed(
    group: &'static Group,
    shown: &Facts,
    typed: &Fields,
    now: DateTime<Utc>,
) -> Changed {
    let typed = tidied(typed, now);
    let mut out = Changed::default();
    for f in group.fields {
        let own: Fields = typed
            .iter()
            .filter(|(n, _)| belongs(n, f.path))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        // A form that does not ask for it says nothing of it.
        if own.is_empty() {
            continue;
        }
        let was = boxes(f, shown);
        let is: Fields = match f.kind {
            Kind::Rows(_) | Kind::Texts => rows(f.path, &own),
            _ => own.into_iter().filter(|(_, v)| !v.is_empty()).collect(),
        };
        if is.is_empty() && !was.is_empty() {
            out.emptied.push(f.path);
        } else if is != was {
            out.fields.insert(f.path, is);
        }
    }
    out
}

/// The notification body that some of the changed fields make.
pub(super) fn body<'a>(fields: impl Iterator<Item = &'a Fields>) -> Value {
    draft::body(&fields.flatten().map(|(n, v)| (n.clone(), v.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::super::fields::group;
    use super::*;
    use crate::domain::intake::{Need, read};
    use serde_json::json;

    fn typed(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    fn facts(body: Value) -> Facts {
        read(body, Need::Nothing, "2026-11-20T12:00:00Z".parse().unwrap()).unwrap().facts
    }

    #[test]
    fn a_form_sent_as_it_was_shown_changes_nothing() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let all = facts(json!({
            "event": "death",
            "child": { "given_names": "A", "date_of_birth": "2024-03-01", "also_known_as": ["B", "C"], "gestation_weeks": 39, "address": { "lines": ["1 Lane", "Town"] } },
            "death": { "date": "2026-11-19", "time": "03:15", "circumstances": "one\ntwo" },
            "household": [{ "relationship": "mother", "name": "M" }, { "name": "B" }],
        }));
        for g in &super::super::fields::GROUPS {
            let mut form = filled(g, &all);
            for v in form.values_mut() {
                *v = v.replace('\n', "\r\n");
            }
            for f in g.fields {
                // Empty boxes come too.
                form.entry(f.path.to_owned()).or_default();
            }
            assert_eq!(changed(g, &all, &form, now), Changed::default(), "{}", g.word);
        }
    }

    #[test]
    fn changed_emptied_added_and_removed_are_told_apart() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let all = facts(json!({
            "child": { "given_names": "A", "family_name": "F", "date_of_birth": "2024-03-01" },
            "household": [{ "relationship": "mother", "name": "M" }, { "name": "B" }],
        }));
        let form = typed(&[
            ("child.given_names", ""),
            ("child.family_name", " F "),
            ("child.date_of_birth-day", "2"),
            ("child.date_of_birth-month", "3"),
            ("child.date_of_birth-year", "2024"),
            ("_reason", "x"),
        ]);
        let c = changed(group("child").unwrap(), &all, &form, now);
        assert_eq!(c.emptied, ["child.given_names"]);
        assert_eq!(body(c.fields.values()), json!({ "child": { "date_of_birth": "2024-03-02" } }));
        let form = typed(&[
            ("household.0.name", "M"),
            ("household.0.relationship", "mother"),
            ("household.0-remove", "yes"),
            ("household.1.name", "B"),
            ("household.2.name", ""),
            ("household.3.name", "New"),
        ]);
        let c = changed(group("household").unwrap(), &all, &form, now);
        assert_eq!(
            body(c.fields.values()),
            json!({ "household": [{ "name": "B" }, { "name": "New" }] })
        );
        let gone = typed(&[("household.0-remove", "yes"), ("household.1-remove", "yes")]);
        let c = changed(group("household").unwrap(), &all, &gone, now);
        assert_eq!(c.emptied, ["household"]);
    }
}
