//! A case: what has happened (events), what that amounts to (state), and what may happen next
//! (commands). `decide_*` turn a state and a wish into events or a refusal; [`apply`] folds events
//! into a state. Nothing else changes a case.

mod decide;
mod jar_plan;

pub use decide::{
    Context, Refusal, acknowledge, amend, call_jar, list_for_panel, notify, record_milestone,
    stand_down, take_off_panel,
};

use super::alert::{AlertKind, ContactPoint};
use super::event::{Event, Means, Person, Recorded};
use super::facts::Facts;
use super::id::{AlertId, CaseId, PanelId, Reference};
use super::intake::Warning;
use super::jar::{Assessment, Decision, RULESET};
use super::milestone::{Milestone, Record};
use super::scope::Scope;
use chrono::{DateTime, NaiveDate, Utc};
use std::collections::BTreeMap;

/// One case as its events make it.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseState {
    pub id: CaseId,
    pub reference: Reference,
    pub area: String,
    pub received_at: DateTime<Utc>,
    pub facts: Facts,
    pub warnings: Vec<Warning>,
    pub scope: Scope,
    pub assessment: Assessment,
    /// What holds: the rules' answer, unless an earlier, more cautious one still stands or a
    /// person decided otherwise.
    pub standing: Decision,
    pub stood_down: Option<StoodDown>,
    pub alerts: BTreeMap<AlertId, Alert>,
    pub milestones: BTreeMap<Milestone, Record>,
    pub listing: Option<Listing>,
    /// Number of events so far.
    pub version: i64,
    pub changed_at: DateTime<Utc>,
}

/// Who ended the response, why, and what the rules said then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoodDown {
    pub at: DateTime<Utc>,
    pub reason: String,
    pub decided_by: Person,
    /// Criteria met at that time: a new one calls the response again.
    pub met_then: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub agency: String,
    pub agency_name: String,
    pub kind: AlertKind,
    pub acknowledge: bool,
    pub contacts: Vec<ContactPoint>,
    pub planned_at: DateTime<Utc>,
    pub acknowledged: Option<Acknowledged>,
    pub recalled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    pub at: DateTime<Utc>,
    pub person: Person,
    pub means: Means,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub panel: PanelId,
    pub panel_name: String,
    pub held_on: NaiveDate,
    pub anonymous_reference: String,
}

impl CaseState {
    /// Criteria met by the current assessment.
    #[must_use]
    pub fn met(&self) -> Vec<String> {
        met(&self.assessment)
    }

    /// The category of death that was last proposed or decided.
    #[must_use]
    pub fn category(&self) -> Option<u8> {
        let of = |m| self.milestones.get(&m).and_then(|r| r.category);
        of(Milestone::PanelReview).or_else(|| of(Milestone::DraftAnalysis))
    }
}

fn met(assessment: &Assessment) -> Vec<String> {
    let met = |c: &&super::jar::Criterion| c.result == super::jar::Verdict::Met;
    assessment.criteria.iter().filter(met).map(|c| c.code.clone()).collect()
}

/// Folds a case from its events; none if the first is not a notification.
#[must_use]
pub fn replay(id: CaseId, events: impl IntoIterator<Item = Recorded>) -> Option<CaseState> {
    let mut state = None;
    for e in events {
        state = apply(id, state, e);
    }
    state
}

/// The state after one more event.
#[must_use]
pub fn apply(id: CaseId, state: Option<CaseState>, recorded: Recorded) -> Option<CaseState> {
    let Recorded { at, event } = recorded;
    if let Event::NotificationReceived { reference, area, facts, warnings, .. } = event {
        return Some(CaseState {
            id,
            reference,
            area,
            received_at: at,
            facts: *facts,
            warnings,
            scope: Scope { in_scope: true, exclusion: None, reason: String::new() },
            assessment: Assessment {
                decision: Decision::Provisional,
                ruleset: RULESET.to_owned(),
                reason: String::new(),
                criteria: Vec::new(),
                conflicts: Vec::new(),
                settle_with: String::new(),
            },
            standing: Decision::Provisional,
            stood_down: None,
            alerts: BTreeMap::new(),
            milestones: BTreeMap::new(),
            listing: None,
            version: 1,
            changed_at: at,
        });
    }
    let mut s = state?;
    s.version += 1;
    s.changed_at = at;
    change(&mut s, at, event);
    Some(s)
}

fn change(s: &mut CaseState, at: DateTime<Utc>, event: Event) {
    match event {
        Event::NotificationReceived { .. } => {}
        Event::JarAssessed { assessment, scope, standing } => {
            if standing > s.standing {
                s.stood_down = None;
            }
            let met_now = met(&assessment);
            if let Some(down) = &mut s.stood_down {
                // A criterion that was taken back counts as new when it is met again.
                down.met_then.retain(|c| met_now.contains(c));
            }
            s.assessment = assessment;
            s.scope = scope;
            s.standing = standing;
        }
        Event::AlertsPlanned { alerts } => {
            s.alerts.extend(alerts.into_iter().map(|a| {
                let alert = Alert {
                    agency: a.agency,
                    agency_name: a.agency_name,
                    kind: a.kind,
                    acknowledge: a.acknowledge,
                    contacts: a.contacts,
                    planned_at: at,
                    acknowledged: None,
                    recalled: false,
                };
                (a.id, alert)
            }));
        }
        Event::FactsAmended { patch, how, .. } => s.facts = s.facts.amended(&patch, how).0,
        Event::JarStoodDown { reason, decided_by, recalled, .. } => {
            s.standing = Decision::NotTriggered;
            s.stood_down = Some(StoodDown { at, reason, decided_by, met_then: s.met() });
            for id in recalled {
                if let Some(a) = s.alerts.get_mut(&id) {
                    a.recalled = true;
                }
            }
        }
        Event::JarCalled { .. } => {
            s.standing = Decision::Triggered;
            s.stood_down = None;
        }
        Event::AlertAcknowledged { alert, person, means, .. } => {
            if let Some(a) = s.alerts.get_mut(&alert) {
                a.acknowledged.get_or_insert(Acknowledged { at, person, means });
            }
        }
        Event::MilestoneRecorded { record, .. } => {
            s.milestones.insert(record.milestone, record);
        }
        Event::ListedForPanel { panel, panel_name, held_on, anonymous_reference, .. } => {
            s.listing = Some(Listing { panel, panel_name, held_on, anonymous_reference });
        }
        Event::TakenOffPanel { .. } => s.listing = None,
    }
}
