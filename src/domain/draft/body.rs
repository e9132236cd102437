//! From what was typed to the notification body, and from a body that cannot be used to one that
//! can, with nothing lost.

use super::Fields;
use crate::domain::civil_time;
use crate::domain::intake::Problem;
use chrono::{DateTime, Datelike, Days, Utc};
use serde_json::{Map, Value};

/// Dates that are asked for in three boxes.
const DATES: [&str; 2] = ["child.date_of_birth", "death.date"];

/// Answers as they are kept: "today" becomes its date, since it is another day soon; a time is
/// written in one way.
pub fn tidy(typed: &mut Fields, now: DateTime<Utc>) {
    let today = civil_time::date_of(now);
    let day = match typed.get("death.date-is").map(String::as_str) {
        Some("today") => Some(today),
        Some("yesterday") => today.checked_sub_days(Days::new(1)),
        Some("unknown") => {
            for box_ in ["day", "month", "year"] {
                typed.remove(&format!("death.date-{box_}"));
            }
            None
        }
        _ => None,
    };
    if let Some(day) = day {
        for (name, v) in [
            ("is", "other".to_owned()),
            ("day", day.day().to_string()),
            ("month", day.month().to_string()),
            ("year", day.year().to_string()),
        ] {
            typed.insert(format!("death.date-{name}"), v);
        }
    }
    if let Some(t) = typed.get_mut("death.time")
        && let Some(usual) = time(t)
    {
        *t = usual;
    }
}

/// `0315`, `3.15`, `3:15 am` and the like as `03:15`.
fn time(text: &str) -> Option<String> {
    let t = text.trim().to_ascii_lowercase();
    let (t, shift) = match (t.strip_suffix("am"), t.strip_suffix("pm")) {
        (Some(t), _) => (t, Some(0)),
        (_, Some(t)) => (t, Some(12)),
        _ => (t.as_str(), None),
    };
    let t = t.trim();
    let (h, m) = match t.split_once([':', '.', ' ', 'h']) {
        Some((h, m)) => (h, m),
        None if t.len() >= 3 => t.split_at_checked(t.len() - 2)?,
        None if shift.is_some() => (t, "0"),
        None => return None,
    };
    let (mut h, m): (u32, u32) = (h.trim().parse().ok()?, m.trim().parse().ok()?);
    if let Some(shift) = shift {
        h = if (1..=12).contains(&h) { h % 12 + shift } else { return None };
    }
    (h < 24 && m < 60).then(|| format!("{h:02}:{m:02}"))
}

/// The notification body that the fields say.
#[must_use]
pub fn body(fields: &Fields) -> Value {
    let mut root = Map::new();
    let said = |n: &&String| !n.starts_with('_') && !n.contains('-');
    for (name, value) in fields.iter().filter(|(n, v)| said(n) && !v.trim().is_empty()) {
        put(&mut root, name, Value::String(value.trim().to_owned()));
    }
    for name in DATES {
        if let Some(date) = date(fields, name) {
            put(&mut root, name, Value::String(date));
        }
    }
    let mut root = listed(Value::Object(root));
    gestation(&mut root);
    root
}

/// A form has no numbers; what is not one is named like any other wrong field.
fn gestation(root: &mut Value) {
    if let Some(v) = root.pointer_mut("/child/gestation_weeks")
        && let Some(n) = v.as_str().and_then(|s| s.trim().parse::<i64>().ok())
    {
        *v = n.into();
    }
}

fn date(fields: &Fields, name: &str) -> Option<String> {
    let part = |b: &str| fields.get(&format!("{name}-{b}")).map_or("", |v| v.trim());
    if part("is") == "unknown" {
        return Some("unknown".to_owned());
    }
    let (d, m, y) = (part("day"), part("month"), part("year"));
    if d.is_empty() && m.is_empty() && y.is_empty() {
        return None;
    }
    let m = month(m).map_or_else(|| m.to_owned(), |n| n.to_string());
    Some(format!("{y:0>4}-{m:0>2}-{d:0>2}"))
}

/// The number of a month that was written as a word.
fn month(text: &str) -> Option<usize> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let t = text.to_ascii_lowercase();
    MONTHS.iter().position(|m| t.starts_with(m)).map(|n| n + 1)
}

/// Puts a value under a dotted name. A name that leads through a value is left out: the forms have
/// none such.
fn put(root: &mut Map<String, Value>, name: &str, value: Value) {
    let mut at = root;
    let mut parts = name.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            at.insert(part.to_owned(), value);
            return;
        }
        match at.entry(part.to_owned()).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(m) => at = m,
            _ => return,
        }
    }
}

/// Objects whose members are numbered are lists.
fn listed(v: Value) -> Value {
    let Value::Object(m) = v else { return v };
    let numbered = !m.is_empty() && m.keys().all(|k| k.bytes().all(|b| b.is_ascii_digit()));
    let mut members: Vec<(String, Value)> = m.into_iter().map(|(k, v)| (k, listed(v))).collect();
    if !numbered {
        return Value::Object(members.into_iter().collect());
    }
    members.sort_by_key(|(k, _)| k.parse::<u32>().unwrap_or(u32::MAX));
    Value::Array(members.into_iter().map(|(_, v)| v).collect())
}

/// The body without what cannot be used: each such value becomes "unknown" and is kept beside, as
/// it was given. A wrong date must not keep a death from being notified.
#[must_use]
pub fn salvaged(mut body: Value, problems: &[Problem]) -> Value {
    for p in problems {
        let pointer = format!("/{}", p.field.replace(['.', '['], "/").replace(']', ""));
        let Some(v) = body.pointer_mut(&pointer) else { continue };
        let given = std::mem::replace(v, Value::String("unknown".to_owned()));
        if given.as_str() == Some("unknown") {
            continue;
        }
        if let Value::Object(root) = &mut body {
            let kept =
                root.entry("as_given".to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(kept) = kept {
                kept.insert(p.field.clone(), given);
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn boxes_rows_and_answers_become_a_body() {
        let f = fields(&[
            ("event", "death"),
            ("child.date_of_birth-day", "3"),
            ("child.date_of_birth-month", "March"),
            ("child.date_of_birth-year", "2024"),
            ("death.date-is", "unknown"),
            ("death.date-day", "9"),
            ("household.1.name", "B"),
            ("household.0.name", "A"),
            ("child.gestation_weeks", "39"),
            ("jar_answers.external_cause", "unknown"),
            ("_version", "3"),
        ]);
        assert_eq!(
            body(&f),
            json!({
                "event": "death",
                "child": { "date_of_birth": "2024-03-03", "gestation_weeks": 39 },
                "death": { "date": "unknown" },
                "household": [{ "name": "A" }, { "name": "B" }],
                "jar_answers": { "external_cause": "unknown" },
            })
        );
    }

    #[test]
    fn today_is_kept_as_its_date_and_times_in_one_way() {
        let now = "2026-07-01T23:30:00Z".parse().unwrap();
        let mut f = fields(&[("death.date-is", "yesterday"), ("death.time", "315")]);
        tidy(&mut f, now);
        // Half past midnight in England.
        assert_eq!(body(&f), json!({ "death": { "date": "2026-07-01", "time": "03:15" } }));
        for (given, want) in
            [("3.15", "03:15"), ("3pm", "15:00"), ("12:05 am", "00:05"), ("1530", "15:30")]
        {
            assert_eq!(time(given).as_deref(), Some(want), "{given}");
        }
        for wrong in ["", "x", "25:00", "9", "13pm", "1260"] {
            assert!(time(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_kept_beside() {
        let p = Problem { field: "death.date".into(), code: "not_a_date", message: String::new() };
        let b = salvaged(json!({ "death": { "date": "2026-02-30" } }), &[p]);
        assert_eq!(
            b,
            json!({ "death": { "date": "unknown" }, "as_given": { "death.date": "2026-02-30" } })
        );
    }
}
