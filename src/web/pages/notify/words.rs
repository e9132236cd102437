//! What fields and problems are called on these pages.

use crate::domain::draft::{Draft, Skipped};
use crate::domain::intake::{Problem, Warning};
use serde::Serialize;
use serde_json::{Value, json};

/// A field's name as people say it; falls back to the name itself.
pub(super) fn label(field: &str) -> &str {
    match field {
        "event" => "What happened",
        "child" | "child.given_names" => "First names",
        "child.family_name" => "Family name",
        "child.nhs_number" => "NHS number",
        "child.date_of_birth" => "Date of birth",
        "child.age_description" => "Age",
        "child.sex" => "Sex",
        "child.live_born" => "Born alive",
        "child.gestation_weeks" => "Weeks of pregnancy",
        "child.address.postcode" => "Home postcode",
        "child.no_nhs_number_reason" => "Why there is no NHS number",
        "death.date" => "Date",
        "death.time" => "Time",
        "death.place.type" => "Place",
        "death.place.name" => "Name of the place",
        "death.event_place.type" => "Where it began",
        "death.event_place.name" => "Name of that place",
        "death.expected" => "Expected the day before",
        "death.detention" => "Kind of custody or detention",
        "jar_answers.sudden_no_apparent_cause" => "Sudden, with no cause apparent",
        "jar_answers.external_cause" => "External cause",
        "jar_answers.suspicion_not_natural" => "Suspicion that it was not natural",
        "jar_answers.custody_or_detention" => "Custody or detention",
        "jar_answers.unattended_stillbirth" => "Stillbirth with nobody medical there",
        "notifier.name" => "Your name",
        "notifier.role" => "Your role",
        "notifier.organisation" => "Where you work",
        "notifier.telephone" => "Telephone",
        "notifier.email" => "Work e-mail",
        "as_given" => "What could not be read",
        other => other,
    }
}

/// A field's answer as it was typed, in words.
pub(super) fn answer(d: &Draft, field: &str) -> String {
    if matches!(field, "child.date_of_birth" | "death.date") {
        let box_ = |b: &str| d.get(&format!("{field}-{b}"));
        if box_("is") == "unknown" {
            return "Not known yet".to_owned();
        }
        let all = [box_("day"), box_("month"), box_("year")].join(" ");
        let all = all.trim();
        return chrono::NaiveDate::parse_from_str(all, "%d %m %Y")
            .map_or_else(|_| all.to_owned(), |d| d.format("%-d %B %Y").to_string());
    }
    let v = d.get(field);
    match v {
        "yes" => "Yes".to_owned(),
        "no" => "No".to_owned(),
        "possible" => "Possibly".to_owned(),
        "unknown" => "Not known yet".to_owned(),
        "death" => "A child has died".to_owned(),
        "collapse" => "A child has collapsed and is not expected to live".to_owned(),
        "stillbirth" => "A stillbirth".to_owned(),
        v if field.rsplit('.').next() == Some("type") || field == "child.sex" => {
            first_upper(&v.replace('_', " "))
        }
        v => v.to_owned(),
    }
}

pub(super) fn first_upper(text: &str) -> String {
    let mut c = text.chars();
    c.next().map_or_else(String::new, |first| first.to_uppercase().chain(c).collect())
}

/// A line of an error summary: where its link goes, what it says.
pub(super) type Said = (String, String);

/// What is wrong, in words that name the field. Dates link to their first box.
pub(super) fn said(problems: &[Problem]) -> Vec<Said> {
    problems
        .iter()
        .map(|p| {
            let to = match p.field.as_str() {
                f @ ("child.date_of_birth" | "death.date") => format!("{f}-day"),
                f => f.replace('[', ".").replace(']', ""),
            };
            let text = match (p.field.as_str(), p.code) {
                ("notifier.telephone", "no_call_back") => {
                    "Give a telephone number or a work e-mail address, so that you can be called back".to_owned()
                }
                (f, "not_a_date") => format!("{} must be a real date, like 20 11 2026", label(f)),
                (f, "not_a_time") => format!("{} must be a time of day, like 0315 or 03:15", label(f)),
                _ if p.field.starts_with('_') => first_upper(&p.message),
                (f, _) => format!("{}: {}", label(f), p.message),
            };
            (to, text)
        })
        .collect()
}

/// A warning with the name of its field.
#[derive(Serialize)]
pub(super) struct Hint {
    pub label: String,
    pub message: String,
}

pub(super) fn hints(warnings: &[Warning]) -> Vec<Hint> {
    warnings
        .iter()
        // Said in its own words by the pages that keep what could not be read.
        .filter(|w| w.field != "as_given" && !w.field.starts_with("further"))
        .map(|w| {
            let names: Vec<&str> = w.field.split(", ").map(label).collect();
            Hint { label: names.join(", "), message: w.message.clone() }
        })
        .collect()
}

/// Questions left out, with the reason by field.
pub(super) fn reasons(skipped: &[Skipped]) -> Value {
    let by: serde_json::Map<String, Value> =
        skipped.iter().map(|s| (s.field.to_owned(), json!(s.why))).collect();
    Value::Object(by)
}
