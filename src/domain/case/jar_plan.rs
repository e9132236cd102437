//! Which alerts a decision calls for, given those already out.

use super::{CaseState, Context};
use crate::domain::alert::{AlertKind, Channel, PlannedAlert, Recipient};
use crate::domain::event::alert_for;
use crate::domain::id::AlertId;
use crate::domain::jar::Decision;
use std::collections::{BTreeMap, BTreeSet};

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
    (state.stood_down.is_none() && state.withdrawn.is_none()).then_some(state)
}

/// Agencies that hold "until ruled out", and whether any of those alerts has to be acknowledged.
pub(super) type Warned = BTreeMap<String, bool>;

/// Who was told "until ruled out" and has not been told to stop.
pub(super) fn warned(state: Option<&CaseState>) -> Warned {
    let mut out = Warned::new();
    let held = state.into_iter().flat_map(|s| s.alerts.values());
    for a in held.filter(|a| a.kind == AlertKind::JarProvisional && !a.over) {
        *out.entry(a.agency.clone()).or_default() |= a.acknowledge;
    }
    out
}

/// Alerts now due for `decision`. An agency that already holds a response alert as strong as this
/// is not told twice; one that was told "until ruled out" is told that it is certain.
pub(super) fn response_alerts(
    state: Option<&CaseState>,
    decision: Decision,
    ctx: &mut Context<'_>,
) -> Vec<PlannedAlert> {
    let certain = |agency: &str| {
        let told = |a: &super::Alert| {
            a.agency == agency
                && !a.over
                && matches!(a.kind, AlertKind::JarTriggered | AlertKind::JarUpgraded)
        };
        state.is_some_and(|s| s.alerts.values().any(told))
    };
    let warned = warned(state);
    let again = |a: &PlannedAlert| {
        a.kind == AlertKind::JarProvisional && warned.contains_key(a.agency.as_str())
    };
    let mut out = called(decision, &warned, ctx);
    out.retain(|a| !certain(&a.agency) && !again(a));
    out
}

/// Calls for a response, as if nobody held one that is certain. Whoever was told "until ruled out"
/// is told that it is certain by the policy for that; everybody else by the one for a response. If
/// the policy says not to tell an agency that it is certain, that spares it a second call, not the
/// first: it counts only if the agency had to acknowledge "until ruled out".
fn called(decision: Decision, warned: &Warned, ctx: &mut Context<'_>) -> Vec<PlannedAlert> {
    let Some(kind) = alert_for(decision) else { return Vec::new() };
    let all = (ctx.recipients)(kind);
    if decision != Decision::Triggered {
        return all.into_iter().map(|r| planned(kind, r, ctx)).collect();
    }
    let mut out = Vec::new();
    for r in (ctx.recipients)(AlertKind::JarUpgraded) {
        if warned.contains_key(&r.agency) {
            out.push(planned(AlertKind::JarUpgraded, r, ctx));
        }
    }
    for r in all {
        let kind = match warned.get(&r.agency) {
            None => kind,
            Some(true) => continue,
            Some(false) if out.iter().any(|a| a.agency == r.agency) => continue,
            Some(false) => AlertKind::JarUpgraded,
        };
        out.push(planned(kind, r, ctx));
    }
    out
}

/// Everyone who is told of a new death: the response alerts, and word to those who are told of
/// every death, or of deaths without a response, and are not alerted anyway. `warned` were told
/// "until ruled out" on the case that speaks for it.
pub(super) fn first_alerts(
    decision: Decision,
    warned: &Warned,
    ctx: &mut Context<'_>,
) -> Vec<PlannedAlert> {
    let mut out = called(decision, warned, ctx);
    let mut alerted: BTreeSet<String> = out.iter().map(|a| a.agency.clone()).collect();
    let mut kinds = vec![AlertKind::DeathNotified];
    if decision == Decision::NotTriggered {
        kinds.push(AlertKind::NotJar);
    }
    for kind in kinds {
        for r in (ctx.recipients)(kind) {
            if alerted.insert(r.agency.clone()) {
                out.push(planned(kind, r, ctx));
            }
        }
    }
    out
}

/// Word that it is over, to exactly those who were alerted, at every point at which they were
/// tried: those who have opened it must not go on, those who have not must not start.
pub(super) fn words_to_the_alerted(
    state: &CaseState,
    kind: AlertKind,
    ctx: &mut Context<'_>,
) -> Vec<PlannedAlert> {
    let about = |k: AlertKind| {
        k.is_response() || (kind == AlertKind::JarRecalled && k.asks_for_acknowledgement())
    };
    let mut told: BTreeMap<String, Recipient> = BTreeMap::new();
    for a in state.alerts.values().filter(|a| about(a.kind) && !a.over) {
        let r = told.entry(a.agency.clone()).or_insert_with(|| Recipient {
            agency: a.agency.clone(),
            agency_name: a.agency_name.clone(),
            acknowledge: false,
            contacts: Vec::new(),
            ladder: None,
        });
        for p in &a.tried {
            if !r.contacts.iter().any(|c| c.id == p.id && c.address == p.address) {
                r.contacts.push(p.clone());
            }
        }
    }
    told.into_values()
        .map(|mut r| {
            // Whoever gets a text is not rung as well; one that is known not to arrive is none.
            let texted: BTreeSet<String> = r
                .contacts
                .iter()
                .filter(|c| c.channel == Channel::Sms && (ctx.usable)(c))
                .map(|c| c.address.clone())
                .collect();
            r.contacts.retain(|c| c.channel != Channel::Voice || !texted.contains(&c.address));
            planned(kind, r, ctx)
        })
        .collect()
}

pub(super) fn planned(kind: AlertKind, r: Recipient, ctx: &mut Context<'_>) -> PlannedAlert {
    PlannedAlert {
        id: AlertId((ctx.new_id)()),
        agency: r.agency,
        agency_name: r.agency_name,
        kind,
        acknowledge: r.acknowledge,
        contacts: r.contacts,
        ladder: r.ladder,
        desk: ctx.desk.clone(),
    }
}
