//! From events to read rows. The live path and `cdr journal rebuild` share this, so that what is
//! rebuilt is what was there.

use super::Store;
use super::changes::{
    AccessChange, AlertChange, AlertProgress, AlertRow, CaseRow, ChangeSet, DocumentChange,
    LikenessRow, Lookup, PanelCaseRow,
};
use super::keys::ServiceKey;
use crate::domain::age;
use crate::domain::alert::{AlertKind, AlertState, Notice, PlannedAlert};
use crate::domain::case::{self, Alert, CaseState};
use crate::domain::event::{Event, Recorded, Settled};
use crate::domain::facts::{EventKind, Facts};
use crate::domain::id::{AlertId, CaseId};
use crate::domain::likeness::{Traits, Verdict};
use crate::domain::ready::{Stage, blockers, stage};

/// The read row of a case.
pub(super) fn case_row(s: &CaseState, sealed_facts: Vec<u8>) -> CaseRow {
    let blocked = blockers(s);
    let stage = stage(s);
    CaseRow {
        id: s.id.0,
        reference: s.reference.to_string(),
        area: s.area.clone(),
        stage: stage.word().to_owned(),
        jar: s.standing.word().to_owned(),
        in_scope: s.scope.in_scope,
        ready: stage == Stage::Ready,
        event: s.facts.event.map(|e| EventKind::word(e).to_owned()),
        age_band: s.facts.age().and_then(age::band).map(|b| b.code.to_owned()),
        category: s.category().map(i64::from),
        received_at: s.received_at,
        died_on: s.facts.death.date,
        blockers: serde_json::to_string(&blocked).unwrap_or_else(|_| "[]".to_owned()),
        version: s.version,
        changed_at: s.changed_at,
        sealed_facts,
        restricted: s.keeping.restricted.is_some(),
        held: s.keeping.hold.is_some(),
        account_of: s.accounts.of.as_ref().map(|o| o.case.0),
    }
}

impl Store {
    /// Adds the rows that one event makes or moves, besides the case's own row.
    pub(super) fn project_event(
        &self,
        set: &mut ChangeSet,
        id: CaseId,
        before: Option<&CaseState>,
        recorded: &Recorded,
    ) {
        match &recorded.event {
            Event::NotificationReceived { facts, .. } => self.lookups(set, id, facts),
            Event::FactsAmended { patch, .. } => self.lookups(set, id, patch),
            Event::AlertsPlanned { alerts } => {
                let drill = before.is_some_and(|s| s.drill);
                let reference = before.map(|s| s.reference.to_string()).unwrap_or_default();
                set.alerts
                    .extend(alerts.iter().map(|a| alert_row(id, &reference, drill, a, recorded)));
            }
            // A recalled alert stays recalled, whoever acknowledges it afterwards.
            Event::AlertAcknowledged { alert, .. }
                if before.is_some_and(|s| s.alerts.get(alert).is_some_and(|a| a.recalled)) => {}
            Event::AlertAcknowledged { alert, .. } => {
                set.alert_changes.push(change(alert.0, AlertState::Acknowledged));
            }
            // What came back for want of this entry is acknowledged again by it.
            Event::JarPlanEntered { agency, .. } => {
                let back = |a: &Alert| {
                    a.agency == *agency && a.acknowledged.is_some() && a.progress.is_unanswered()
                };
                let theirs = before.iter().flat_map(|s| &s.alerts).filter(|(_, a)| back(a));
                set.alert_changes
                    .extend(theirs.map(|(id, _)| change(id.0, AlertState::Acknowledged)));
            }
            Event::JarStoodDown { recalled, .. }
            | Event::NotificationWithdrawn { recalled, .. } => {
                set.alert_changes
                    .extend(recalled.iter().map(|a| change(a.0, AlertState::Recalled)));
            }
            Event::ListedForPanel { panel, anonymous_reference, .. } => {
                set.listed.push(PanelCaseRow {
                    panel_id: panel.0,
                    case_id: id.0,
                    anonymous_reference: anonymous_reference.clone(),
                    listed_at: recorded.at,
                });
            }
            Event::TakenOffPanel { panel, .. } => set.unlisted.push((panel.0, id.0)),
            Event::DocumentAdded { id, .. } => set.documents.push(DocumentChange::Kept(*id)),
            Event::DocumentWithdrawn { id, .. } => set.documents.push(DocumentChange::Gone(*id)),
            Event::CaseRestricted { people, .. } => {
                let people = people.iter().map(|p| p.id).collect();
                set.access.push(AccessChange::People { case_id: id.0, people });
            }
            Event::CaseUnrestricted { .. } => {
                set.access.push(AccessChange::People { case_id: id.0, people: Vec::new() });
            }
            Event::GlassBroken { who, role, until, .. } => set.access.push(AccessChange::Glass {
                case_id: id.0,
                user_id: who.id,
                at: recorded.at,
                until: *until,
                role: role.clone(),
            }),
            Event::GlassReviewed { who, broken_at, .. } => {
                set.access.push(AccessChange::Reviewed {
                    case_id: id.0,
                    user_id: *who,
                    broken_at: *broken_at,
                    at: recorded.at,
                });
            }
            Event::JarAssessed { .. }
            // Whatever is put back was said, and so looked up, before.
            | Event::FactsSet { .. }
            | Event::JarCalled { .. }
            | Event::AlertStepped { .. }
            | Event::AlertHandedOn { .. }
            | Event::ObligationMended { .. }
            | Event::MilestoneRecorded { .. }
            | Event::CaseAssigned { .. }
            | Event::HandOverTaken { .. }
            | Event::LegalHoldPlaced { .. }
            | Event::LegalHoldLifted { .. }
            | Event::AccountAttached { .. }
            | Event::AccountDetached { .. }
            | Event::BecameAccount { .. }
            | Event::AccountToldMore { .. }
            | Event::BecameCase { .. } => {}
            Event::LikenessFound { other, verdict, seen, .. } => {
                set.likenesses.push(pair(id, *other, *verdict, "", recorded, seen));
            }
            Event::LikenessSettled { other, settled, seen, .. } => {
                let verdict = match settled {
                    Settled::NotTheSame => Verdict::Different,
                    Settled::Related => Verdict::Related,
                };
                set.likenesses.push(pair(id, *other, verdict, settled.word(), recorded, seen));
            }
        }
        self.progress(set, id, before, recorded);
    }

    /// The obligations that an event moves: what the case's own fold says, compared.
    #[allow(clippy::unused_self)] // beside its sibling, which needs the keys
    fn progress(
        &self,
        set: &mut ChangeSet,
        id: CaseId,
        before: Option<&CaseState>,
        recorded: &Recorded,
    ) {
        let supersedes = |e: &Event| matches!(e, Event::AlertsPlanned { alerts } if alerts.iter().any(|a| a.kind == AlertKind::JarUpgraded));
        let moves = supersedes(&recorded.event)
            || matches!(
                recorded.event,
                Event::AlertStepped { .. }
                    | Event::AlertHandedOn { .. }
                    | Event::ObligationMended { .. }
                    | Event::JarPlanEntered { .. }
                    | Event::AlertAcknowledged { .. }
                    | Event::JarStoodDown { .. }
                    | Event::NotificationWithdrawn { .. }
                    | Event::BecameAccount { .. }
            );
        let Some(before) = before.filter(|_| moves) else { return };
        let Some(after) = case::apply(id, Some(before.clone()), recorded.clone()) else { return };
        let handed_on = |a: &AlertId| matches!(&recorded.event, Event::AlertHandedOn { alert, .. } if alert == a);
        for (alert, a) in &after.alerts {
            // What is planned now has a row of its own.
            let Some(was) = before.alerts.get(alert) else { continue };
            if was.progress != a.progress || was.steps != a.steps {
                set.progress.push(AlertProgress {
                    id: alert.0,
                    phase: a.progress.phase.word(),
                    step_at: a.progress.next_at,
                    steps: i64::from(a.steps),
                    reopened: handed_on(alert)
                        || (!was.progress.is_unanswered() && a.progress.is_unanswered()),
                });
            }
        }
    }

    pub(super) fn lookups(&self, set: &mut ChangeSet, id: CaseId, facts: &Facts) {
        let c = &facts.child;
        let mut add = |kind, text: Option<&String>| {
            if let Some(digest) = text.and_then(|t| self.lookup_digest(kind, t)) {
                set.lookups.push(Lookup { kind, digest, case_id: id.0 });
            }
        };
        add("nhs_number", c.nhs_number.as_ref());
        add("name", c.family_name.as_ref());
        for name in &c.also_known_as {
            add("name", Some(name));
        }
        for (kind, text) in Traits::of(facts).keys() {
            add(kind, Some(&text));
        }
    }

    /// The keyed digest under which a value is found again; none for a text without letters or
    /// digits.
    #[must_use]
    pub fn lookup_digest(&self, kind: &str, text: &str) -> Option<Vec<u8>> {
        let folded: String =
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        if folded.is_empty() {
            return None;
        }
        let key = self.service_key(ServiceKey::Lookups);
        Some(key.mac(format!("{kind}\0{folded}").as_bytes()).to_vec())
    }
}

fn pair(
    id: CaseId,
    other: CaseId,
    verdict: Verdict,
    decided: &'static str,
    recorded: &Recorded,
    seen: &str,
) -> LikenessRow {
    LikenessRow {
        case_id: id.0,
        other_id: other.0,
        verdict: verdict.word(),
        decided,
        at: recorded.at,
        seen: seen.to_owned(),
    }
}

pub(super) fn change(id: uuid::Uuid, state: AlertState) -> AlertChange {
    AlertChange { id, state: state.word(), rank: state.rank() }
}

fn alert_row(
    id: CaseId,
    reference: &str,
    drill: bool,
    a: &PlannedAlert,
    recorded: &Recorded,
) -> AlertRow {
    let progress = case::begun(a, recorded.at);
    let state = if a.contacts.is_empty() { AlertState::NoContact } else { AlertState::Planned };
    let notice = Notice {
        reference: reference.to_owned(),
        kind: a.kind,
        agency: a.agency.clone(),
        agency_name: a.agency_name.clone(),
        acknowledge: a.acknowledge,
        desk: a.desk.clone(),
        at: recorded.at,
        drill,
        lines: Vec::new(),
        code: String::new(),
        ring: Vec::new(),
    };
    AlertRow {
        id: a.id.0,
        case_id: id.0,
        agency: a.agency.clone(),
        agency_name: a.agency_name.clone(),
        kind: a.kind.word().to_owned(),
        acknowledge: a.acknowledge,
        state: state.word().to_owned(),
        rank: state.rank(),
        planned_at: recorded.at,
        notice: serde_json::to_string(&notice).unwrap_or_else(|_| "{}".to_owned()),
        phase: progress.phase.word().to_owned(),
        step_at: progress.next_at,
        steps: 0,
        drill,
    }
}
