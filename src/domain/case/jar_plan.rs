//! Which alerts a decision calls for, given those already out.

use super::{CaseState, Context};
use crate::domain::alert::{AlertKind, PlannedAlert, Recipient};
use crate::domain::event::alert_for;
use crate::domain::id::AlertId;
use crate::domain::jar::Decision;
use std::collections::BTreeSet;

/// What should hold after new facts: never less than what stands, until a person stands it down.
/// After a stand-down, only a criterion that was not met then calls the response again.
pub(super) fn standing_after(state: &CaseState, rules_say: Decision, met: &[String]) -> Decision {
    match &state.stood_down {
        None => state.standing.max(rules_say),
        Some(down) if met.iter().any(|c| !down.met_then.contains(c)) => rules_say,
        Some(_) => state.standing,
    }
}

/// The case as far as earlier alerts count: after a stand-down everyone has been told to stop, so
/// everyone is told anew.
pub(super) fn still_told(state: &CaseState) -> Option<&CaseState> {
    state.stood_down.is_none().then_some(state)
}

/// Alerts now due for `decision`. An agency that already holds a response alert as strong as this
/// is not told twice; one that was told "until ruled out" is told that it is certain.
pub(super) fn response_alerts(
    state: Option<&CaseState>,
    decision: Decision,
    ctx: &mut Context<'_>,
) -> Vec<PlannedAlert> {
    let Some(kind) = alert_for(decision) else { return Vec::new() };
    let told = |agency: &str, kinds: &[AlertKind]| {
        state.is_some_and(|s| {
            s.alerts.values().any(|a| a.agency == agency && !a.recalled && kinds.contains(&a.kind))
        })
    };
    let certain = [AlertKind::JarTriggered, AlertKind::JarUpgraded];
    let mut out = Vec::new();
    for r in (ctx.recipients)(kind) {
        if told(&r.agency, &certain) {
            continue;
        }
        let provisional = told(&r.agency, &[AlertKind::JarProvisional]);
        let kind = match (provisional, decision) {
            (false, _) => kind,
            (true, Decision::Triggered) => AlertKind::JarUpgraded,
            (true, _) => continue,
        };
        out.push(planned(kind, r, ctx));
    }
    out
}

/// Everyone who is told of a new death: the response alerts, and word to those who are told of
/// every death and are not alerted anyway.
pub(super) fn first_alerts(decision: Decision, ctx: &mut Context<'_>) -> Vec<PlannedAlert> {
    let mut out = response_alerts(None, decision, ctx);
    let alerted: BTreeSet<String> = out.iter().map(|a| a.agency.clone()).collect();
    for r in (ctx.recipients)(AlertKind::DeathNotified) {
        if !alerted.contains(&r.agency) {
            out.push(planned(AlertKind::DeathNotified, r, ctx));
        }
    }
    out
}

/// Word of a stand-down, to exactly those who hold a response alert, where it reached them.
pub(super) fn stand_down_alerts(state: &CaseState, ctx: &mut Context<'_>) -> Vec<PlannedAlert> {
    let mut told = BTreeSet::new();
    let mut out = Vec::new();
    for a in state.alerts.values().filter(|a| a.kind.is_response() && !a.recalled) {
        if !told.insert(a.agency.clone()) {
            continue;
        }
        let r = Recipient {
            agency: a.agency.clone(),
            agency_name: a.agency_name.clone(),
            acknowledge: false,
            contacts: a.contacts.clone(),
        };
        out.push(planned(AlertKind::JarStoodDown, r, ctx));
    }
    out
}

fn planned(kind: AlertKind, r: Recipient, ctx: &mut Context<'_>) -> PlannedAlert {
    PlannedAlert {
        id: AlertId((ctx.new_id)()),
        agency: r.agency,
        agency_name: r.agency_name,
        kind,
        acknowledge: r.acknowledge,
        contacts: r.contacts,
        desk: ctx.desk.clone(),
    }
}
