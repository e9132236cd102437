//! What a change would do, in words, before it is done.

use super::fields::{label, said};
use crate::domain::jar::Decision;
use crate::service::Effect;
use serde_json::{Value, json};

/// Whether somebody should see it first.
pub(super) fn wants_a_look(e: &Effect) -> bool {
    e.standing.0 != e.standing.1
        || e.rules.0 != e.rules.1
        || !e.alerted.is_empty()
        || !e.warnings.is_empty()
}

/// What was shown, so that another effect is shown again before it happens.
pub(super) fn token(e: &Effect) -> String {
    let changed: Vec<&str> = e.changes.iter().map(|c| c.field.as_str()).collect();
    let warned: Vec<&str> = e.warnings.iter().map(|w| w.code.as_str()).collect();
    format!(
        "{}/{}/{}/{}/{}/",
        e.standing.1.word(),
        e.rules.1.word(),
        e.alerted.len(),
        changed.join(","),
        warned.join(",")
    )
}

/// Fields with what they were and would be.
pub(super) fn lines(e: &Effect) -> Vec<Value> {
    let line = |p: &crate::domain::case::Put| {
        let to = if p.to.value.is_none() && p.to.others.is_empty() {
            "Not known after all".to_owned()
        } else {
            said(&p.field, &p.to)
        };
        json!({ "label": label(&p.field), "from": said(&p.field, &p.was), "to": to })
    };
    e.changes.iter().map(line).collect()
}

/// What follows, one sentence each; those that matter most first.
pub(super) fn sentences(e: &Effect) -> Vec<String> {
    let mut out = Vec::new();
    let who = e.alerted.join(", ");
    match (e.standing.1 > e.standing.0, e.standing.1, e.alerted.is_empty()) {
        (true, Decision::Triggered, false) => out.push(format!(
            "This makes a Joint Agency Response due: {who} will be alerted at once. An alert cannot be unsent."
        )),
        (true, _, false) => out.push(format!(
            "This makes it possible that a Joint Agency Response is due: {who} will be alerted at once, until it is ruled out. An alert cannot be unsent."
        )),
        (true, _, true) => out.push(
            "This makes a Joint Agency Response due. Everybody who is told of it has been alerted before."
                .to_owned(),
        ),
        (false, _, _) => {}
    }
    if e.rules.1 < e.rules.0 && e.standing.1 > e.rules.1 {
        out.push(format!(
            "The rules would then say: {}. Nothing is stopped by that: the response goes on until a person stands it down.",
            e.rules.1.word().replace('_', " ")
        ));
    }
    if e.rules.0 != e.rules.1 {
        out.push(format!("Why: {}", e.reason));
    }
    out.extend(e.warnings.iter().map(|w| format!("To check: {} {}", label(&w.field), w.message)));
    out
}
