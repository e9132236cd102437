//! What becomes of alerts that are out when others take their place, when somebody has answered, and
//! when a response ends.

use super::{Alert, CaseState};
use crate::domain::alert::{AlertKind, ContactPoint, PlannedAlert};
use crate::domain::id::AlertId;
use chrono::{DateTime, Utc};

/// One ladder per agency: what was asked "until ruled out" and is now certain is asked once. Word
/// that nobody has to acknowledge takes no ladder's place: that one is still to be answered.
pub(super) fn supersede(s: &mut CaseState, by: &PlannedAlert) {
    if !by.acknowledge {
        return;
    }
    let open = |a: &&mut Alert| {
        a.agency == by.agency
            && a.kind == AlertKind::JarProvisional
            && a.progress.is_unanswered()
            && !a.recalled
    };
    for a in s.alerts.values_mut().filter(open) {
        a.progress = a.progress.settled();
        // A human who is to ring this agency goes on until somebody there has answered.
        a.superseded_by = Some(by.id);
    }
}

/// The named human need not ring any more.
pub(super) fn release(a: &mut Alert, at: DateTime<Utc>) {
    if std::mem::take(&mut a.human_waits) {
        a.human_released = Some(at);
    }
}

/// Nor for what this alert took the place of.
pub(super) fn release_replaced(s: &mut CaseState, by: AlertId, at: DateTime<Utc>) {
    for a in s.alerts.values_mut().filter(|a| a.superseded_by == Some(by)) {
        release(a, at);
    }
}

pub(super) fn recall(
    s: &mut CaseState,
    recalled: &[AlertId],
    opened: &[AlertId],
    at: DateTime<Utc>,
    told: impl Fn(AlertKind) -> bool,
) {
    for id in recalled {
        if let Some(a) = s.alerts.get_mut(id) {
            a.recalled = true;
            a.opened_before_recall = opened.contains(id);
            a.progress = a.progress.settled();
            release(a, at);
        }
    }
    // An acknowledged alert is not taken back, but nothing more is awaited of anybody.
    for a in s.alerts.values_mut() {
        if a.kind.is_response() {
            a.progress = a.progress.settled();
        }
        a.over |= a.recalled || told(a.kind);
    }
    s.plan_from = s.plan.len();
}

pub(super) fn tried(a: &mut Alert, points: Vec<ContactPoint>) {
    for p in &points {
        if !a.tried.iter().any(|t| t.id == p.id && t.address == p.address) {
            a.tried.push(p.clone());
        }
    }
    a.last_points = points;
}
