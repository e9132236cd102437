//! Questions that need not be asked, because what is known already answers them.

use super::Page;
use crate::domain::facts::Facts;
use crate::domain::jar::{self, ExtraTrigger, Verdict};
use crate::domain::scope;
use serde::Serialize;

/// A question left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The field that would hold the answer.
    pub field: &'static str,
    pub why: String,
}

const QUESTIONS: [(&str, &str); 5] = [
    ("J1", "jar_answers.external_cause"),
    ("J2", "jar_answers.sudden_no_apparent_cause"),
    ("J3", "jar_answers.custody_or_detention"),
    ("J4", "jar_answers.suspicion_not_natural"),
    ("J5", "jar_answers.unattended_stillbirth"),
];

/// The questions that the other facts answer. None is left out because its answer is only likely:
/// a question is skipped where the rules themselves no longer look at it.
#[must_use]
pub fn skipped(facts: &Facts, extra: &[ExtraTrigger]) -> Vec<Skipped> {
    let mut out = Vec::new();
    for (code, field) in QUESTIONS {
        let mut without = facts.clone();
        let a = &mut without.jar_answers;
        match code {
            "J1" => a.external_cause = None,
            "J2" => a.sudden_no_apparent_cause = None,
            "J3" => a.custody_or_detention = None,
            "J4" => a.suspicion_not_natural = None,
            _ => a.unattended_stillbirth = None,
        }
        let scope = scope::judge(&without);
        let judged = jar::assess(&without, extra);
        let decided = judged
            .criteria
            .iter()
            .find(|c| c.code == code && c.result != Verdict::CannotTell)
            .map(|c| c.reason.clone());
        let why = if scope.in_scope { decided } else { Some(scope.reason) };
        out.extend(why.map(|why| Skipped { field, why }));
    }
    out
}

impl Page {
    /// Whether everything that it asks is answered already.
    #[must_use]
    pub fn is_needless(self, skipped: &[Skipped]) -> bool {
        let answers = self.fields().iter().filter(|f| f.starts_with("jar_answers."));
        matches!(self, Self::Sudden | Self::Cause | Self::Care)
            && answers.into_iter().all(|f| skipped.iter().any(|s| s.field == *f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::intake::{self, Need};
    use serde_json::json;

    fn of(body: serde_json::Value) -> Vec<&'static str> {
        let now = "2026-03-01T03:00:00Z".parse().unwrap();
        let facts = intake::read(body, Need::Nothing, now).unwrap().facts;
        skipped(&facts, &[]).iter().map(|s| s.field).collect()
    }

    #[test]
    fn only_what_is_decided_is_skipped() {
        assert!(of(json!({})).is_empty());
        assert!(of(json!({ "event": "stillbirth" })).is_empty());
        let aged = json!({ "event": "death", "child": { "age_description": "4 months" } });
        assert_eq!(of(aged), ["jar_answers.unattended_stillbirth"]);
        let held = json!({ "event": "death", "death": { "place": { "type": "custody" } } });
        assert_eq!(of(held), ["jar_answers.custody_or_detention"]);
        let attended =
            json!({ "event": "stillbirth", "jar_answers": { "unattended_stillbirth": "no" } });
        assert_eq!(of(attended).len(), 4, "the birth itself is still asked for");
    }
}
