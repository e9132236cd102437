//! From five criteria to one decision.

use super::{Assessment, Conflict, Criterion, Decision, ExtraTrigger, RULESET, Verdict, criteria};
use crate::domain::facts::{EventKind, Facts, YesNo};
use crate::domain::scope;

/// Assesses the facts. Expected death, a known illness or days in intensive care never cancel a
/// criterion that is met.
#[must_use]
pub fn assess(facts: &Facts, extra: &[ExtraTrigger]) -> Assessment {
    let found = [
        criteria::external_cause(facts),
        criteria::sudden(facts),
        criteria::custody(facts),
        criteria::suspicion(facts),
        criteria::unattended_stillbirth(facts),
    ];
    let (mut criteria, mut conflicts) = (Vec::new(), Vec::new());
    for (c, conflict) in found {
        criteria.push(c);
        conflicts.extend(conflict);
    }
    criteria.extend(extra.iter().zip(1..).map(|(t, n)| local(*t, n, facts)));
    conflicts.extend(birth_conflict(facts));

    let scope = scope::judge(facts);
    let any = |v| criteria.iter().any(|c: &Criterion| c.result == v);
    if !scope.in_scope && any(Verdict::Met) {
        conflicts.push(Conflict {
            fields: vec!["event".to_owned(), "child".to_owned()],
            message: format!(
                "{}, but on these facts the death is outside child death review. Check the facts, or ring the designated doctor.",
                names(&criteria, Verdict::Met, "met")
            ),
        });
    }
    let (decision, reason) = if !scope.in_scope {
        (Decision::NotTriggered, format!("Outside child death review. {}", scope.reason))
    } else if any(Verdict::Met) {
        (Decision::Triggered, names(&criteria, Verdict::Met, "met"))
    } else if any(Verdict::CannotTell) {
        (
            Decision::Provisional,
            format!(
                "{}. Partners are alerted until a response is ruled out.",
                names(&criteria, Verdict::CannotTell, "cannot be told yet")
            ),
        )
    } else {
        (Decision::NotTriggered, "None of the criteria is met.".to_owned())
    };
    let settle_with =
        if decision == Decision::Provisional { settle_with(&criteria) } else { String::new() };
    Assessment { decision, ruleset: RULESET.to_owned(), reason, criteria, conflicts, settle_with }
}

/// The one question to ask next: of the criteria that cannot be told, the one most likely to
/// settle the matter (suspicion and suddenness decide most real cases), with how many stay open.
#[must_use]
pub fn settle_with(criteria: &[Criterion]) -> String {
    const FIRST: [&str; 5] = ["J2", "J1", "J4", "J3", "J5"];
    let open: Vec<&Criterion> = criteria.iter().filter(|c| c.settle_with.is_some()).collect();
    let rank = |c: &Criterion| FIRST.iter().position(|f| *f == c.code).unwrap_or(FIRST.len());
    let Some(question) = open.iter().min_by_key(|c| rank(c)).and_then(|c| c.settle_with.clone())
    else {
        return String::new();
    };
    match open.len() - 1 {
        0 => question,
        1 => format!("{question} (Yes settles it; if no, one more question is open.)"),
        n => format!("{question} (Yes settles it; if no, {n} more questions are open.)"),
    }
}

fn names(criteria: &[Criterion], v: Verdict, what: &str) -> String {
    let codes: Vec<&str> =
        criteria.iter().filter(|c| c.result == v).map(|c| c.code.as_str()).collect();
    format!("{} {what}", codes.join(", "))
}

/// A partnership's own trigger; it widens the statutory test and is judged by the same rule that
/// unknown is never no.
fn local(trigger: ExtraTrigger, n: usize, facts: &Facts) -> Criterion {
    let ExtraTrigger::NotAnticipated24h = trigger;
    let expected = facts.readings("death.expected", facts.death.expected);
    let (result, reason) = if expected.contains(&YesNo::No) {
        (
            Verdict::Met,
            "Not anticipated 24 hours before; this partnership responds to every such death.",
        )
    } else if expected.is_empty() {
        (
            Verdict::CannotTell,
            "It is not known yet whether the death was anticipated 24 hours before.",
        )
    } else {
        (Verdict::NotMet, "Anticipated 24 hours before.")
    };
    let question = "Was the death anticipated as a significant possibility 24 hours before?";
    Criterion {
        code: format!("L{n}"),
        result,
        reason: reason.to_owned(),
        clause: "The partnership's own trigger (configuration)".to_owned(),
        relied_on: vec!["death.expected".to_owned()],
        settle_with: (result == Verdict::CannotTell).then(|| question.to_owned()),
    }
}

fn birth_conflict(facts: &Facts) -> Option<Conflict> {
    let stillborn = facts.event == Some(EventKind::Stillbirth);
    let alive = scope::born_alive_on_some_account(facts);
    (stillborn && alive).then(|| Conflict {
        fields: vec!["event".to_owned(), "child.live_born".to_owned()],
        message: "Reported as a stillbirth and as born alive; handled as a live birth until that is settled.".to_owned(),
    })
}
