//! "So far": age, scope and the decision, as soon as they can be known, with the reasons.

use crate::domain::age::Age;
use crate::domain::facts::EventKind;
use crate::domain::jar::{Decision, Verdict};
use crate::service::Judged;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct SoFar {
    pub age: String,
    pub scope: String,
    pub in_scope: bool,
    /// Decided already, whatever else is still to come.
    pub decided: bool,
    pub decision: &'static str,
    pub jar: String,
    pub why: Vec<String>,
    /// The one question that would settle it.
    pub settle_with: String,
}

/// What can be said of these facts; none before anything has been said.
pub(super) fn so_far(j: &Judged) -> Option<SoFar> {
    let f = &j.facts;
    f.event?;
    let a = &j.assessment;
    let age = match (f.age(), &f.child.age_description) {
        (Some(age), _) => in_words(age),
        (None, Some(said)) => format!("{said} (as you said)"),
        // Nothing is known of when it was born or died; the scope says what that means.
        (None, None) => String::new(),
    };
    let met = |v| a.criteria.iter().filter(move |c| c.result == v).map(|c| c.reason.clone());
    let (jar, why) = match a.decision {
        Decision::Triggered => ("A Joint Agency Response is due", met(Verdict::Met).collect()),
        Decision::Provisional => (
            "A Joint Agency Response may be due: partners are alerted until it is ruled out",
            met(Verdict::CannotTell).collect(),
        ),
        Decision::NotTriggered if !j.scope.in_scope => ("No Joint Agency Response is due", vec![]),
        Decision::NotTriggered => {
            ("No Joint Agency Response is due on what is known now", vec![a.reason.clone()])
        }
    };
    let settle_with = a.settle_with.split(" (Yes settles").next().unwrap_or_default();
    Some(SoFar {
        age,
        // An age is only ever missing for want of a date; then the reason says so.
        scope: j.scope.reason.clone(),
        in_scope: j.scope.in_scope,
        decided: a.decision == Decision::Triggered || !j.scope.in_scope,
        decision: a.decision.word(),
        jar: jar.to_owned(),
        why,
        settle_with: if f.event == Some(EventKind::Stillbirth) && !j.scope.in_scope {
            String::new()
        } else {
            settle_with.to_owned()
        },
    })
}

/// "2 years and 3 months", "5 days".
fn in_words(a: Age) -> String {
    let count = |n: u32, unit: &str| format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
    match (a.years, a.months) {
        (0, 0) => count(a.days, "day"),
        (0, m) => format!("{} and {}", count(m, "month"), count(a.days, "day")),
        (y, 0) => count(y, "year"),
        (y, m) => format!("{} and {}", count(y, "year"), count(m, "month")),
    }
}
