//! The five criteria, one function each (process reference: J1 to J5).

use super::{Conflict, Criterion, Verdict};
use crate::domain::facts::{Answer, Detention, EventKind, Facts, PlaceType, YesNo};
use crate::domain::scope::born_alive_on_some_account;

/// What a criterion function returns: the criterion and a contradiction, if it met one.
pub(super) type Found = (Criterion, Option<Conflict>);

struct Rule {
    code: &'static str,
    clause: &'static str,
    path: &'static str,
    question: &'static str,
}

impl Rule {
    fn criterion(&self, result: Verdict, reason: &str, relied_on: &[&str]) -> Criterion {
        Criterion {
            code: self.code.to_owned(),
            result,
            reason: reason.to_owned(),
            clause: self.clause.to_owned(),
            relied_on: relied_on.iter().map(|p| (*p).to_owned()).collect(),
            settle_with: (result == Verdict::CannotTell).then(|| self.question.to_owned()),
        }
    }

    /// A criterion that rests on the notifier's answer alone.
    fn by_answer(&self, facts: &Facts, held: Option<Answer>, said: &Said) -> Found {
        let readings = facts.readings(self.path, held);
        let (result, reason) = match strongest(&readings) {
            Some(Answer::Yes) => (Verdict::Met, said.yes),
            Some(Answer::Possible) => (Verdict::Met, said.possible),
            Some(Answer::No) => (Verdict::NotMet, said.no),
            None => (Verdict::CannotTell, said.unknown),
        };
        (self.criterion(result, reason, &[self.path]), accounts_differ(self.path, &readings))
    }
}

struct Said {
    yes: &'static str,
    possible: &'static str,
    no: &'static str,
    unknown: &'static str,
}

/// The safer of several readings.
fn strongest(readings: &[Answer]) -> Option<Answer> {
    readings.iter().copied().min()
}

fn accounts_differ(path: &str, readings: &[Answer]) -> Option<Conflict> {
    let (first, rest) = readings.split_first()?;
    rest.iter().any(|r| r != first).then(|| Conflict {
        fields: vec![path.to_owned()],
        message: "Two accounts differ; the one that calls for a response was taken.".to_owned(),
    })
}

fn conflict(fields: &[&str], message: &str) -> Conflict {
    Conflict {
        fields: fields.iter().map(|f| (*f).to_owned()).collect(),
        message: message.to_owned(),
    }
}

const CLAUSE: &str =
    "Child Death Review Statutory and Operational Guidance (England) 2018, Joint Agency Response";

pub(super) fn external_cause(facts: &Facts) -> Found {
    let rule = Rule {
        code: "J1",
        clause: CLAUSE,
        path: "jar_answers.external_cause",
        question: "Is the death, or could it be, due to an external cause (an accident, drowning, a fall, poisoning, violence, suicide)?",
    };
    let said = Said {
        yes: "The death is due to an external cause.",
        possible: "The death could be due to an external cause; could be is enough.",
        no: "No external cause, by the notifier's answer.",
        unknown: "It is not known yet whether there was an external cause.",
    };
    rule.by_answer(facts, facts.jar_answers.external_cause, &said)
}

pub(super) fn sudden(facts: &Facts) -> Found {
    let rule = Rule {
        code: "J2",
        clause: CLAUSE,
        path: "jar_answers.sudden_no_apparent_cause",
        question: "Was the death sudden, with no cause apparent at once?",
    };
    let said = Said {
        yes: "Sudden, with no cause immediately apparent (this includes sudden unexpected death in infancy or childhood).",
        possible: "Possibly sudden with no cause immediately apparent.",
        no: "Not sudden, or a cause is apparent, by the notifier's answer.",
        unknown: "It is not known yet whether the death was sudden with no apparent cause.",
    };
    rule.by_answer(facts, facts.jar_answers.sudden_no_apparent_cause, &said)
}

pub(super) fn suspicion(facts: &Facts) -> Found {
    let rule = Rule {
        code: "J4",
        clause: CLAUSE,
        path: "jar_answers.suspicion_not_natural",
        question: "Do the first circumstances raise any suspicion that the death may not have been natural?",
    };
    let said = Said {
        yes: "The circumstances raise suspicion that the death was not natural.",
        possible: "There is some suspicion that the death may not have been natural; any suspicion is enough.",
        no: "No suspicion that the death was not natural, by the notifier's answer.",
        unknown: "It is not known yet whether anything raises suspicion.",
    };
    rule.by_answer(facts, facts.jar_answers.suspicion_not_natural, &said)
}

/// J3 is about status, not cause: custody of any kind, or detention under the Mental Health Act.
pub(super) fn custody(facts: &Facts) -> Found {
    const ANSWER: &str = "jar_answers.custody_or_detention";
    const DETENTION: &str = "death.detention";
    let rule = Rule {
        code: "J3",
        clause: CLAUSE,
        path: ANSWER,
        question: "Was the child in custody, or detained under the Mental Health Act?",
    };
    let answers = facts.readings(ANSWER, facts.jar_answers.custody_or_detention);
    let detentions = facts.readings(DETENTION, facts.death.detention);
    let places = [
        ("death.place.type", facts.readings("death.place.type", facts.death.place.kind)),
        (
            "death.event_place.type",
            facts.readings("death.event_place.type", facts.death.event_place.kind),
        ),
    ];
    let answer = strongest(&answers);
    let held = detentions.iter().any(|d| *d != Detention::None);
    let free = detentions.contains(&Detention::None);
    let in_custody: Vec<&str> =
        places.iter().filter(|(_, k)| k.contains(&PlaceType::Custody)).map(|(p, _)| *p).collect();
    let on_ward = places.iter().any(|(_, k)| k.contains(&PlaceType::MentalHealthInpatientUnit));

    if held || !in_custody.is_empty() {
        let mut relied: Vec<&str> = in_custody;
        if held {
            relied.insert(0, DETENTION);
        }
        let c = (answers.contains(&Answer::No) || free).then(|| {
            let mut fields = vec![ANSWER];
            fields.extend(&relied);
            conflict(
                &fields,
                "One statement says in custody or detained, another says not; the one that calls for a response was taken.",
            )
        });
        let reason = "The child was in custody or detained; the cause of death does not matter.";
        return (rule.criterion(Verdict::Met, reason, &relied), c);
    }
    match answer {
        Some(Answer::Yes | Answer::Possible) => {
            let c = detentions.contains(&Detention::None).then(|| {
                conflict(
                    &[ANSWER, DETENTION],
                    "The answer says in custody or detained, the detention status says not; the answer was taken.",
                )
            });
            let c = c.or_else(|| accounts_differ(ANSWER, &answers));
            let reason = "The child was in custody or detained, by the notifier's answer.";
            (rule.criterion(Verdict::Met, reason, &[ANSWER]), c)
        }
        Some(Answer::No) => {
            let reason = "Not in custody and not detained, by the notifier's answer.";
            (rule.criterion(Verdict::NotMet, reason, &[ANSWER]), None)
        }
        None if detentions.contains(&Detention::None) => {
            let reason = "Not detained, by the detention status given.";
            (rule.criterion(Verdict::NotMet, reason, &[DETENTION]), None)
        }
        None => {
            let reason = if on_ward {
                "In a mental health unit; it is not known yet whether the child was detained under the Mental Health Act."
            } else {
                "It is not known yet whether the child was in custody or detained."
            };
            (rule.criterion(Verdict::CannotTell, reason, &[]), None)
        }
    }
}

/// J5, the only criterion for a baby not born alive.
pub(super) fn unattended_stillbirth(facts: &Facts) -> Found {
    const ANSWER: &str = "jar_answers.unattended_stillbirth";
    const ATTENDED: &str = "death.healthcare_professional_at_birth";
    let rule = Rule {
        code: "J5",
        clause: CLAUSE,
        path: ANSWER,
        question: "Was this a stillbirth with no healthcare professional in attendance?",
    };
    let answers = facts.readings(ANSWER, facts.jar_answers.unattended_stillbirth);
    let attended = attended_at_birth_fact(facts);
    let stillborn = not_born_alive(facts);
    let lived = lived_after_birth(facts);

    if matches!(strongest(&answers), Some(Answer::Yes | Answer::Possible)) {
        let c = if attended == Some(true) {
            Some(conflict(
                &[ANSWER, ATTENDED],
                "The answer says no healthcare professional attended, the facts say one did; the answer was taken.",
            ))
        } else if !stillborn && lived {
            Some(conflict(
                &[ANSWER, "event"],
                "The answer says stillbirth, the other facts say the child lived; the answer was taken.",
            ))
        } else {
            accounts_differ(ANSWER, &answers)
        };
        let reason = "A stillbirth with no healthcare professional in attendance.";
        return (rule.criterion(Verdict::Met, reason, &[ANSWER]), c);
    }
    // Reported as a stillbirth by anyone: a later "born alive" is a conflict, not a cancellation.
    if reported_stillborn(facts) && attended == Some(false) {
        let c = if answers.contains(&Answer::No) {
            Some(conflict(
                &[ANSWER, ATTENDED],
                "The answer says no, but a stillbirth without a healthcare professional was reported; the facts were taken.",
            ))
        } else {
            lived.then(|| {
                conflict(
                    &["event", "child.live_born"],
                    "Reported as an unattended stillbirth and as having lived; the response stands until that is settled.",
                )
            })
        };
        let reason = "Reported as a stillbirth with no healthcare professional in attendance.";
        return (rule.criterion(Verdict::Met, reason, &["event", ATTENDED]), c);
    }
    let not_met = |reason, relied: &[&str]| (rule.criterion(Verdict::NotMet, reason, relied), None);
    if stillborn && attended == Some(true) {
        return not_met("A healthcare professional attended the birth.", &["event", ATTENDED]);
    }
    if answers.contains(&Answer::No) {
        return not_met("Not an unattended stillbirth, by the notifier's answer.", &[ANSWER]);
    }
    if !stillborn && lived {
        return not_met(
            "The child was born alive.",
            &["event", "child.date_of_birth", "child.live_born"],
        );
    }
    if !stillborn && attended == Some(true) {
        return not_met("A healthcare professional attended the birth.", &[ATTENDED]);
    }
    let reason = "It is not known yet whether this was a stillbirth with no healthcare professional in attendance.";
    (rule.criterion(Verdict::CannotTell, reason, &[]), None)
}

/// Reported as not born alive, and on no account as having lived: neither said to be born alive,
/// nor of an age, nor reported as a death or collapse.
#[must_use]
pub fn not_born_alive(facts: &Facts) -> bool {
    let events = facts.readings("event", facts.event);
    reported_stillborn(facts)
        && !lived_after_birth(facts)
        && events.iter().all(|e| *e == EventKind::Stillbirth)
}

/// Whether any account answers that this was a stillbirth with nobody there.
#[must_use]
pub fn says_unattended_stillbirth(facts: &Facts) -> bool {
    let path = "jar_answers.unattended_stillbirth";
    facts.readings(path, facts.jar_answers.unattended_stillbirth).contains(&Answer::Yes)
}

fn reported_stillborn(facts: &Facts) -> bool {
    facts.readings("event", facts.event).contains(&EventKind::Stillbirth)
        || facts.readings("child.live_born", facts.child.live_born).contains(&YesNo::No)
}

/// Whether a healthcare professional was there at birth; an account that says no wins, and so does
/// an answer of "unattended stillbirth".
#[must_use]
pub fn attended_at_birth(facts: &Facts) -> Option<bool> {
    let unattended = facts
        .readings("jar_answers.unattended_stillbirth", facts.jar_answers.unattended_stillbirth);
    if unattended.contains(&Answer::Yes) {
        return Some(false);
    }
    attended_at_birth_fact(facts).or_else(|| {
        // "Not an unattended stillbirth" about a stillbirth means that somebody attended.
        (!unattended.is_empty() && not_born_alive(facts)).then_some(true)
    })
}

fn attended_at_birth_fact(facts: &Facts) -> Option<bool> {
    let said = facts.readings(
        "death.healthcare_professional_at_birth",
        facts.death.healthcare_professional_at_birth,
    );
    if said.contains(&YesNo::No) { Some(false) } else { (!said.is_empty()).then_some(true) }
}

/// Positive evidence of life after birth: said so, or an age of a day or more.
fn lived_after_birth(facts: &Facts) -> bool {
    born_alive_on_some_account(facts)
        || facts.age().is_some_and(|a| a.total_days > 0)
        || facts.child.age_description.as_deref().is_some_and(tells_an_age)
}

/// "4 years", "about 10 months": a number and a unit longer than hours.
fn tells_an_age(text: &str) -> bool {
    let t = text.to_lowercase();
    t.bytes().any(|b| matches!(b, b'1'..=b'9'))
        && ["year", "yr", "month", "week", "day"].iter().any(|u| t.contains(u))
}
