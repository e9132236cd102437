//! A case: what has happened (events), what that amounts to (state), and what may happen next
//! (commands). `decide_*` turn a state and a wish into events or a refusal; [`apply`] folds events
//! into a state. Nothing else changes a case.

mod access;
mod account;
mod accounts;
mod assign;
mod called;
mod decide;
mod document;
mod edit;
mod jar_plan;
mod obligation;

pub use access::{
    GLASS_HOURS, Glass, Keeping, LegalHold, Restricted, break_glass, lift_hold, place_hold,
    restrict, review_glass, unrestrict,
};
pub use account::{
    Joining, Report, amend_account, attach, begin_account, likeness_found, likeness_settled, merge,
    takes_accounts, told_more, unmerge,
};
pub use accounts::{Account, AccountOf, Accounts, facts_after};
pub use assign::{Assign, Assignment, assign, take, undo_assign};
pub use decide::{
    Context, Refusal, amend, call_jar, drill, ended_since, list_for_panel, notify, over_with,
    record_milestone, stand_down, take_off_panel, withdraw,
};
pub use document::{add_document, withdraw_document};
pub use edit::{Edit, Put, edit, put};
pub use obligation::{Answer, acknowledge, enter_plan, escalate, hand_on, is_answered, mend};

use self::called::{recall, release, release_replaced, supersede, tried};
use super::alert::{AlertKind, ContactPoint, Desk, Notice, PlannedAlert};
use super::document::Document;
use super::escalation::{Ladder, Progress};
use super::event::{Event, Means, Person, Recorded, Route, Step};
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
    pub withdrawn: Option<Withdrawn>,
    /// An exercise, not a death.
    pub drill: bool,
    /// What agencies entered as their part of the response, in order.
    pub plan: Vec<PlanEntry>,
    /// Entries before this one were for a response that has ended.
    pub plan_from: usize,
    pub alerts: BTreeMap<AlertId, Alert>,
    pub milestones: BTreeMap<Milestone, Record>,
    pub listing: Option<Listing>,
    pub documents: Vec<Document>,
    /// Who may open it, and whether it may be destroyed.
    pub keeping: Keeping,
    /// Second reports of this death, or the case that this is one of.
    pub accounts: Accounts,
    /// Whose it is in the office.
    pub assigned: Assignment,
    /// Number of events so far.
    pub version: i64,
    /// The number of the last event that somebody made: what the service does by itself does not
    /// change what a person decided upon.
    pub touched: i64,
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
    /// With the case that this is an account of: of no meaning for it once it is parted.
    pub with: Option<CaseId>,
}

/// Who took the notification back, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    pub at: DateTime<Utc>,
    pub reason: String,
    pub decided_by: Person,
}

/// One agency's part of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanEntry {
    pub at: DateTime<Utc>,
    pub agency: String,
    pub person: Person,
    pub entry: String,
}

#[allow(clippy::struct_excessive_bools)] // facts that are independent of each other
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub agency: String,
    pub agency_name: String,
    pub kind: AlertKind,
    pub acknowledge: bool,
    pub contacts: Vec<ContactPoint>,
    pub planned_at: DateTime<Utc>,
    pub desk: Desk,
    pub ladder: Option<Ladder>,
    pub progress: Progress,
    /// Messages went out this often: the first rung is 0.
    pub steps: u32,
    /// What the last step tried.
    pub last_points: Vec<ContactPoint>,
    /// Everything of the agency that was ever tried: who is told of a recall.
    pub tried: Vec<ContactPoint>,
    /// When the named human was last told to ring.
    pub human_told: Option<DateTime<Utc>>,
    /// The named human is to ring and has not heard that it is over.
    pub human_waits: bool,
    /// When it was over for them.
    pub human_released: Option<DateTime<Utc>>,
    /// The certain alert that took this provisional one's place before anybody had answered it.
    pub superseded_by: Option<AlertId>,
    pub acknowledged: Option<Acknowledged>,
    /// The last one who could not attend, and whom they named.
    pub handed_on: Option<(Person, String)>,
    /// Everybody who could not since the last acknowledgement, and whom they named.
    pub cannots: Vec<(Person, String)>,
    pub handed_at: Option<DateTime<Utc>>,
    pub recalled: bool,
    /// Its agency was told to stop, whether it had acknowledged or not: what was said before counts
    /// for nothing when it is called again.
    pub over: bool,
    /// Had been opened when it was recalled.
    pub opened_before_recall: bool,
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
    /// Has somebody changed it since it had `seen` events? A number that it never had was not seen.
    #[must_use]
    pub fn changed_since(&self, seen: i64) -> bool {
        seen < self.touched || seen > self.version
    }

    /// Criteria met by the current assessment.
    #[must_use]
    pub fn met(&self) -> Vec<String> {
        met(&self.assessment)
    }

    /// A second account that stands for itself again: it was never stood down for its own sake.
    pub(super) fn stand_alone(&mut self) {
        if self.stood_down.as_ref().is_some_and(|d| d.with.is_some()) {
            self.stood_down = None;
            self.standing = self.assessment.decision;
        }
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
    if let Event::NotificationReceived { reference, area, facts, warnings, route } = event {
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
            withdrawn: None,
            drill: route == Route::Drill,
            plan: Vec::new(),
            plan_from: 0,
            alerts: BTreeMap::new(),
            milestones: BTreeMap::new(),
            listing: None,
            documents: Vec::new(),
            keeping: Keeping::default(),
            accounts: Accounts::default(),
            assigned: Assignment::default(),
            version: 1,
            touched: 1,
            changed_at: at,
        });
    }
    let mut s = state?;
    s.version += 1;
    s.changed_at = at;
    if !event.is_by_itself() {
        s.touched = s.version;
    }
    change(&mut s, at, event);
    Some(s)
}

#[allow(clippy::too_many_lines)] // one arm for each event
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
            for a in alerts.iter().filter(|a| a.kind == AlertKind::JarUpgraded) {
                supersede(s, a);
            }
            s.alerts.extend(alerts.into_iter().map(|a| {
                let progress = begun(&a, at);
                let ladder = ladder_of(&a);
                let alert = Alert {
                    agency: a.agency,
                    agency_name: a.agency_name,
                    kind: a.kind,
                    acknowledge: a.acknowledge,
                    tried: a.contacts.clone(),
                    last_points: a.contacts.clone(),
                    contacts: a.contacts,
                    planned_at: at,
                    desk: a.desk,
                    ladder,
                    progress,
                    steps: 0,
                    human_told: None,
                    human_waits: false,
                    human_released: None,
                    superseded_by: None,
                    acknowledged: None,
                    handed_on: None,
                    cannots: Vec::new(),
                    handed_at: None,
                    recalled: false,
                    over: false,
                    opened_before_recall: false,
                };
                (a.id, alert)
            }));
        }
        event @ (Event::FactsAmended { .. }
        | Event::FactsSet { .. }
        | Event::AccountAttached { .. }
        | Event::AccountDetached { .. }) => {
            facts_after(&mut s.facts, &mut s.accounts, at, &event);
        }
        Event::JarStoodDown { reason, decided_by, recalled, opened, with, .. } => {
            s.standing = Decision::NotTriggered;
            s.stood_down = Some(StoodDown { at, reason, decided_by, met_then: s.met(), with });
            recall(s, &recalled, &opened, at, AlertKind::is_response);
        }
        Event::NotificationWithdrawn { reason, decided_by, recalled, opened } => {
            s.standing = Decision::NotTriggered;
            s.withdrawn = Some(Withdrawn { at, reason, decided_by });
            recall(s, &recalled, &opened, at, AlertKind::asks_for_acknowledgement);
        }
        Event::JarCalled { .. } => {
            s.standing = Decision::Triggered;
            s.stood_down = None;
            s.withdrawn = None;
        }
        Event::AlertAcknowledged { alert, person, means, .. } => {
            // What was planned for a response that ended is no plan for this one.
            let plan = &s.plan[s.plan_from..];
            let planned = |agency: &str| plan.iter().any(|e| e.agency == agency);
            let planned = s.alerts.get(&alert).is_some_and(|a| planned(&a.agency));
            if let Some(a) = s.alerts.get_mut(&alert) {
                // Whoever answers an obligation that came back has it now.
                if a.progress.is_unanswered() || a.acknowledged.is_none() {
                    a.acknowledged = Some(Acknowledged { at, person, means });
                }
                a.cannots.clear();
                if let Some(l) = &a.ladder {
                    a.progress = a.progress.acknowledged(l, at);
                }
                if planned {
                    a.progress = a.progress.acted();
                }
                release(a, at);
            }
            release_replaced(s, alert, at);
        }
        Event::AlertStepped { alert, step, points, progress, .. } => {
            if let Some(a) = s.alerts.get_mut(&alert) {
                a.progress = progress;
                a.steps += 1;
                if let Step::Ring { points, .. } = &step
                    && !points.is_empty()
                {
                    a.human_told = Some(at);
                    a.human_waits = true;
                }
                tried(a, points);
            }
        }
        Event::AlertHandedOn { alert, person, to, points, progress, .. } => {
            if let Some(a) = s.alerts.get_mut(&alert) {
                a.progress = progress;
                a.acknowledged = None;
                a.cannots.push((person.clone(), to.clone()));
                a.handed_at = Some(at);
                a.handed_on = Some((person, to));
                if !points.is_empty() {
                    a.steps += 1;
                    tried(a, points);
                }
            }
        }
        Event::ObligationMended { alert, progress, .. } => {
            if let Some(a) = s.alerts.get_mut(&alert) {
                a.progress = progress;
            }
        }
        Event::JarPlanEntered { agency, person, entry } => {
            for a in s.alerts.values_mut().filter(|a| a.agency == agency) {
                a.progress = a.progress.acted();
                // It came back for want of this entry.
                if a.acknowledged.is_some() && a.progress.is_unanswered() {
                    a.progress = a.progress.settled();
                    release(a, at);
                }
            }
            s.plan.push(PlanEntry { at, agency, person, entry });
        }
        Event::MilestoneRecorded { record, .. } => {
            s.milestones.insert(record.milestone, record);
        }
        Event::ListedForPanel { panel, panel_name, held_on, anonymous_reference, .. } => {
            s.listing = Some(Listing { panel, panel_name, held_on, anonymous_reference });
        }
        Event::TakenOffPanel { .. } => s.listing = None,
        event @ (Event::CaseAssigned { .. } | Event::HandOverTaken { .. }) => {
            assign::apply(s, at, event);
        }
        Event::DocumentAdded { id, name, kind, size, digest, by } => {
            s.documents.push(Document { id, name, kind, size, digest, at, by, withdrawn: None });
        }
        Event::DocumentWithdrawn { id, reason, by } => {
            if let Some(d) = s.documents.iter_mut().find(|d| d.id == id) {
                d.withdrawn = Some((at, reason, by));
            }
        }
        event @ (Event::CaseRestricted { .. }
        | Event::CaseUnrestricted { .. }
        | Event::GlassBroken { .. }
        | Event::GlassReviewed { .. }
        | Event::LegalHoldPlaced { .. }
        | Event::LegalHoldLifted { .. }) => s.keeping.apply(at, event),
        Event::BecameAccount { first: case, reference, by, reason, told, settled } => {
            for id in &settled {
                if let Some(a) = s.alerts.get_mut(id) {
                    a.progress = a.progress.settled();
                    release(a, at);
                }
                release_replaced(s, *id, at);
            }
            s.accounts.of = Some(AccountOf { case, reference, at, by, reason, told, settled });
        }
        Event::AccountToldMore { told } => {
            if let Some(of) = &mut s.accounts.of {
                of.told.extend(told);
            }
        }
        Event::BecameCase { .. } => {
            s.accounts.of = None;
            s.stand_alone();
        }
        // Which cases are alike is asked of the read table.
        Event::LikenessFound { .. } | Event::LikenessSettled { .. } => {}
    }
}

/// What every message about an alert says.
#[must_use]
pub fn notice(s: &CaseState, a: &Alert) -> Notice {
    Notice {
        reference: s.reference.to_string(),
        kind: a.kind,
        agency: a.agency.clone(),
        agency_name: a.agency_name.clone(),
        acknowledge: a.acknowledge,
        desk: a.desk.clone(),
        at: a.planned_at,
        drill: s.drill,
        lines: Vec::new(),
        code: String::new(),
        ring: Vec::new(),
    }
}

/// The ladder of a planned alert: none where no acknowledgement is asked for.
fn ladder_of(a: &PlannedAlert) -> Option<Ladder> {
    let own = || a.ladder.clone().unwrap_or_else(|| Ladder::bare(&a.desk.call_back));
    a.acknowledge.then(own)
}

/// Where a planned alert's obligation begins.
#[must_use]
pub fn begun(a: &PlannedAlert, at: DateTime<Utc>) -> Progress {
    let begun = ladder_of(a).as_ref().map_or_else(Progress::untracked, |l| Progress::begin(l, at));
    // Nobody can be told: there is no answer to wait for, the named human is told at once.
    let next_at = if a.contacts.is_empty() { begun.next_at.map(|_| at) } else { begun.next_at };
    Progress { next_at, ..begun }
}
