//! How long a case is kept: rules as data, a legal hold above them all.

use super::case::CaseState;
use super::civil_time;
use super::milestone::Milestone;
use super::ready::{Stage, stage};
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

/// Every rule, in order: the first that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    #[serde(default)]
    pub rule: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: String,
    /// Every area if not given.
    #[serde(default)]
    pub area: Option<String>,
    /// How the case ended: `closed`, `withdrawn`, `out_of_scope`, `drill`.
    pub outcome: Vec<Stage>,
    /// Categories of death; every one if empty.
    #[serde(default)]
    pub category: Vec<u8>,
    /// Years after the case ended.
    pub years: u32,
    /// And not before this birthday of the child.
    #[serde(default)]
    pub birthday: Option<u32>,
    pub why: String,
}

/// When a case may be destroyed, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    pub rule: String,
    pub why: String,
    pub ended: NaiveDate,
    pub on: NaiveDate,
    /// A legal hold stands: never, until it is lifted.
    pub held: bool,
}

impl Due {
    /// Whether it may be destroyed on this day.
    #[must_use]
    pub fn is_due(&self, today: NaiveDate) -> bool {
        !self.held && today >= self.on
    }
}

/// Stages in which a case is over.
pub const OVER: [Stage; 4] = [Stage::Closed, Stage::Withdrawn, Stage::OutOfScope, Stage::Drill];

impl Rules {
    /// # Errors
    /// A rule that fits nothing, or keeps for no time.
    pub fn check(&self) -> Result<(), String> {
        for r in &self.rule {
            if r.outcome.is_empty() || r.outcome.iter().any(|o| !OVER.contains(o)) {
                return Err(format!(
                    "rule \"{}\": outcome must be among closed, withdrawn, out_of_scope, drill",
                    r.name
                ));
            }
            if r.years == 0 || r.years > 150 || r.birthday.is_some_and(|b| b > 150) {
                return Err(format!("rule \"{}\": years must be 1 to 150", r.name));
            }
        }
        Ok(())
    }
}

fn years_after(day: NaiveDate, years: u32) -> NaiveDate {
    let year = day.year().saturating_add(i32::try_from(years).unwrap_or(i32::MAX));
    // 29 February: the day after its last.
    day.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, 3, 1)).unwrap_or(NaiveDate::MAX)
}

/// When a case may be destroyed; none while it is not over, or if no rule fits.
#[must_use]
pub fn due(s: &CaseState, rules: &Rules) -> Option<Due> {
    let outcome = stage(s);
    if !OVER.contains(&outcome) {
        return None;
    }
    let fits = |r: &&Rule| {
        r.area.as_ref().is_none_or(|a| *a == s.area)
            && r.outcome.contains(&outcome)
            && (r.category.is_empty() || s.category().is_some_and(|c| r.category.contains(&c)))
    };
    let rule = rules.rule.iter().find(fits)?;
    let finalised = s.milestones.get(&Milestone::Finalised).and_then(|r| r.on);
    let ended = match outcome {
        Stage::Closed => finalised.unwrap_or_else(|| civil_time::date_of(s.changed_at)),
        _ => civil_time::date_of(s.withdrawn.as_ref().map_or(s.changed_at, |w| w.at)),
    };
    let mut on = years_after(ended, rule.years);
    if let Some(b) = rule.birthday {
        // Without a day of birth the day of notification stands for it: later, so safe.
        let born =
            s.facts.child.date_of_birth.unwrap_or_else(|| civil_time::date_of(s.received_at));
        on = on.max(years_after(born, b));
    }
    let held = s.keeping.hold.is_some();
    Some(Due { rule: rule.name.clone(), why: rule.why.clone(), ended, on, held })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::case::{apply, replay};
    use crate::domain::event::{Event, Person, Recorded, Route};
    use crate::domain::id::{CaseId, Reference};
    use crate::domain::milestone::{Record, Standing};
    use chrono::{TimeZone, Utc};
    use serde_json::json;
    use uuid::Uuid;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn state(events: Vec<Event>) -> CaseState {
        let at = Utc.with_ymd_and_hms(2026, 2, 20, 9, 0, 0).unwrap();
        let id = CaseId(Uuid::nil());
        let facts = json!({ "child": { "date_of_birth": "2024-02-29" } });
        let first = Event::NotificationReceived {
            reference: Reference::new(2026, 1),
            area: "northshire".to_owned(),
            route: Route::Api,
            facts: Box::new(serde_json::from_value(facts).unwrap()),
            warnings: Vec::new(),
        };
        let mut s = replay(id, [Recorded { at, event: first }]);
        for event in events {
            s = apply(id, s, Recorded { at, event });
        }
        s.unwrap()
    }

    fn done(milestone: Milestone, on: &str, category: Option<u8>) -> Event {
        let record = Record { milestone, standing: Standing::Done, on: Some(day(on)), category };
        Event::MilestoneRecorded { record, note: String::new() }
    }

    fn finalised() -> Event {
        done(Milestone::Finalised, "2027-03-31", None)
    }

    fn rules() -> Rules {
        let rule = |name: &str, outcome, category: &[u8], years, birthday| Rule {
            name: name.to_owned(),
            area: None,
            outcome: vec![outcome],
            category: category.to_vec(),
            years,
            birthday,
            why: String::new(),
        };
        Rules {
            rule: vec![
                rule("long", Stage::Closed, &[1], 30, None),
                rule("usual", Stage::Closed, &[], 8, Some(25)),
                rule("error", Stage::Withdrawn, &[], 2, None),
            ],
        }
    }

    #[test]
    fn the_first_rule_that_fits_and_the_later_of_its_days_count() {
        assert_eq!(due(&state(vec![]), &rules()), None, "a case that goes on is kept");
        let d = due(&state(vec![finalised()]), &rules()).unwrap();
        // Born on 29 February: the birthday of a year without one is the day after.
        assert_eq!(
            (d.rule.as_str(), d.ended, d.on),
            ("usual", day("2027-03-31"), day("2049-03-01"))
        );
        assert!(!d.is_due(day("2049-02-28")) && d.is_due(day("2049-03-01")));
        assert_eq!(due(&state(vec![finalised()]), &Rules::default()), None, "no rule, kept");
    }

    #[test]
    fn a_rule_for_one_area_or_category_counts_there_and_nowhere_else() {
        let mut r = rules();
        let theirs = Rule {
            name: "theirs".to_owned(),
            area: Some("southshire".to_owned()),
            ..r.rule[1].clone()
        };
        let ours = Rule {
            name: "ours".to_owned(),
            area: Some("northshire".to_owned()),
            years: 12,
            birthday: None,
            ..r.rule[1].clone()
        };
        r.rule.insert(1, theirs);
        r.rule.insert(2, ours);
        let fits = |category| {
            let reviewed = done(Milestone::PanelReview, "2027-03-01", category);
            due(&state(vec![reviewed, finalised()]), &r).unwrap()
        };
        assert_eq!((fits(None).rule.as_str(), fits(None).on), ("ours", day("2039-03-31")));
        assert_eq!((fits(Some(1)).rule.as_str(), fits(Some(1)).on), ("long", day("2057-03-31")));
        assert_eq!(fits(Some(2)).rule, "ours");
        let withdrawn = Event::NotificationWithdrawn {
            reason: String::new(),
            decided_by: Person::default(),
            recalled: Vec::new(),
            opened: Vec::new(),
        };
        assert_eq!(
            due(&state(vec![withdrawn]), &r).map(|d| d.rule),
            Some("error".to_owned()),
            "another outcome"
        );
    }

    #[test]
    fn a_legal_hold_beats_every_rule_until_it_is_lifted() {
        let by = Person::default;
        let hold = Event::LegalHoldPlaced { reason: "a claim".to_owned(), by: by() };
        let lift = Event::LegalHoldLifted { reason: "settled".to_owned(), by: by() };
        let late = day("2999-01-01");
        let kept = due(&state(vec![finalised(), hold.clone()]), &rules()).unwrap();
        assert!(kept.held && !kept.is_due(late));
        assert!(due(&state(vec![finalised(), hold, lift]), &rules()).unwrap().is_due(late));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        let mut r = rules();
        r.rule[0].outcome = vec![Stage::Gathering];
        assert!(r.check().is_err());
        r.rule[0].outcome = vec![Stage::Closed];
        r.rule[0].years = 0;
        assert!(r.check().is_err());
        assert!(rules().check().is_ok());
    }
}
