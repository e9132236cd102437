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
    day.with_year(year)
        .or_else(|| NaiveDate::from_ymd_opt(year, 3, 1))
        .unwrap_or(NaiveDate::MAX)
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
