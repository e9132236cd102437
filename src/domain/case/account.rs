//! A second report of the same death: an account of the first case. It keeps its own journal and its
//! own reference; its facts are taken into the first case beside those held there; and whoever it
//! would have alerted is alerted on the first case, unless that has been done as strongly.

use super::decide::{At, taken_in};
use super::{Alert, CaseState, Refusal, jar_plan, met};
use crate::domain::alert::{AlertKind, AlertState, PlannedAlert};
use crate::domain::event::{Event, Person, Settled, StoodIn};
use crate::domain::facts::{Amendment, Facts};
use crate::domain::id::{AlertId, CaseId, Reference};
use crate::domain::jar::{self, Decision};
use crate::domain::likeness::Likeness;
use crate::domain::ready::{Stage, stage};
use crate::domain::scope;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

use super::Context;

/// A report that is to become an account.
pub struct Report<'a> {
    pub case: CaseId,
    pub reference: &'a Reference,
    pub facts: &'a Facts,
    /// What stands for it alone.
    pub standing: Decision,
    /// Agencies that hold alerts of it.
    pub agencies: Vec<String>,
}

/// How a report became an account.
#[derive(Clone, Debug)]
pub struct Joining {
    /// None if it was certain enough.
    pub by: Option<Person>,
    pub reason: String,
    pub now: DateTime<Utc>,
    /// Alerts of the first case of which nothing is left to try.
    pub lost: BTreeSet<AlertId>,
}

/// Accounts attached to one case without a person at most: more are no reports of a death.
const MOST_BY_ITSELF: usize = 20;

/// Whether a new report that is certainly of the same death may become an account of this case
/// without a person: only while the case stands where a report that came just now could stand by
/// itself. Once people have met about it, or it waits for a panel, somebody has to look; and whoever
/// reports learns nothing of how far it is.
#[must_use]
pub fn takes_accounts(s: &CaseState) -> bool {
    !s.drill
        && s.accounts.of.is_none()
        && s.withdrawn.is_none()
        && s.stood_down.is_none()
        && s.keeping.restricted.is_none()
        && s.accounts.held.len() < MOST_BY_ITSELF
        && matches!(stage(s), Stage::Notified | Stage::Gathering | Stage::OutOfScope)
}

/// The first case takes a report in as an account of its own. Whatever the report calls for by
/// itself is called for here too.
///
/// # Errors
/// The facts put together cannot be right, or one of the two cannot be merged.
pub fn attach(
    first: &CaseState,
    report: Report<'_>,
    how: &Joining,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    if first.drill || first.accounts.of.is_some() {
        return Err(Refusal::CannotMerge(
            "the first case is an exercise or itself a second account",
        ));
    }
    if first.accounts.held.iter().any(|a| a.case == report.case) {
        return Ok(Vec::new());
    }
    let due = still_called(first, report.standing, ctx);
    let mut events = vec![Event::AccountAttached {
        account: report.case,
        reference: report.reference.clone(),
        by: how.by.clone(),
        reason: how.reason.clone(),
        agencies: report.agencies,
    }];
    let told = format!("Second account, {}", report.reference);
    let at = At { account: Some(report.case), at_least: report.standing, now: how.now };
    let taken = take(first, report.facts, told, &at, due, &how.lost, ctx)?;
    events.extend(taken);
    Ok(events)
}

/// More facts of an account: the first case takes them in too.
///
/// # Errors
/// The facts put together cannot be right.
pub fn told_more(
    first: &CaseState,
    account: &CaseState,
    patch: &Facts,
    reason: String,
    now: DateTime<Utc>,
    lost: &BTreeSet<AlertId>,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    let due = still_called(first, account.standing, ctx);
    let at = At { account: Some(account.id), at_least: account.standing, now };
    take(first, patch, reason, &at, due, lost, ctx)
}

fn take(
    first: &CaseState,
    facts: &Facts,
    reason: String,
    at: &At,
    due: Vec<PlannedAlert>,
    lost: &BTreeSet<AlertId>,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    let mut patch = facts.clone();
    let n = &first.facts.notifier;
    if n.name.is_some() || n.telephone.is_some() || n.email.is_some() {
        // Another caller is no contradiction; who they are stands in their own report.
        patch.notifier = crate::domain::facts::Contact::default();
    }
    let events = taken_in(first, patch, Amendment::FurtherAccount, reason, at, ctx)?;
    let standing = events.iter().rev().find_map(|e| match e {
        Event::JarAssessed { standing, .. } => Some(*standing),
        _ => None,
    });
    let standing = standing.unwrap_or(first.standing);
    let (mut events, planned): (Vec<Event>, Vec<Event>) =
        events.into_iter().partition(|e| !matches!(e, Event::AlertsPlanned { .. }));
    let mut alerts: Vec<PlannedAlert> = planned
        .into_iter()
        .flat_map(|e| if let Event::AlertsPlanned { alerts } = e { alerts } else { Vec::new() })
        .collect();
    still_due(first, standing, due, &mut alerts, lost, ctx);
    if !alerts.is_empty() {
        events.push(Event::AlertsPlanned { alerts });
    }
    Ok(events)
}

/// Everyone whom a report with this standing calls, seen from the case that alerts them: whoever that
/// case told "until ruled out" hears that it is certain.
fn still_called(state: &CaseState, standing: Decision, ctx: &mut Context<'_>) -> Vec<PlannedAlert> {
    let warned = jar_plan::warned(jar_plan::still_told(state));
    jar_plan::first_alerts(standing, &warned, ctx)
}

/// Adds what is due and neither planned nor alerted as strongly before.
fn still_due(
    state: &CaseState,
    standing: Decision,
    due: Vec<PlannedAlert>,
    alerts: &mut Vec<PlannedAlert>,
    lost: &BTreeSet<AlertId>,
    ctx: &mut Context<'_>,
) {
    for mut d in due {
        let planned = |a: &PlannedAlert| a.agency == d.agency && weight(a.kind) >= weight(d.kind);
        let done = state.alerts.iter().any(|(id, a)| covers(state, *id, a, &d, lost));
        if done || alerts.iter().any(planned) {
            continue;
        }
        // There is a response: that there is none would be wrong.
        if d.kind == AlertKind::NotJar && standing != Decision::NotTriggered {
            d.kind = AlertKind::DeathNotified;
        }
        d.id = AlertId((ctx.new_id)());
        alerts.push(d);
    }
}

/// Whether an agency need not be told again: the alert it holds says as much, has reached somebody
/// or is still being followed up, and was not taken back.
fn covers(
    state: &CaseState,
    id: AlertId,
    a: &Alert,
    due: &PlannedAlert,
    lost: &BTreeSet<AlertId>,
) -> bool {
    let stands = !a.over
        && a.superseded_by.is_none()
        && (!a.kind.is_response() || jar_plan::still_told(state).is_some());
    let followed = !a.acknowledge || a.acknowledged.is_some() || a.progress.is_open();
    let reached = a.acknowledged.is_some() || a.progress.is_unanswered() || !lost.contains(&id);
    a.agency == due.agency
        && weight(a.kind) >= weight(due.kind)
        && (a.acknowledge || !due.acknowledge)
        && stands
        && followed
        && reached
}

fn weight(kind: AlertKind) -> u8 {
    match kind {
        AlertKind::JarTriggered | AlertKind::JarUpgraded => 3,
        AlertKind::JarProvisional => 2,
        AlertKind::DeathNotified | AlertKind::NotJar => 1,
        // Words about other alerts tell nobody of a death.
        _ => 0,
    }
}

/// A new report as an account: its own first events, with its alerts named and not sent.
#[must_use]
pub fn begin_account(mut events: Vec<Event>, first: &CaseState, reason: String) -> Vec<Event> {
    let mut told = Vec::new();
    events.retain(|e| match e {
        Event::AlertsPlanned { alerts } => {
            told.extend(alerts.iter().map(stood_in));
            false
        }
        _ => true,
    });
    events.push(Event::BecameAccount {
        first: first.id,
        reference: first.reference.clone(),
        by: None,
        reason,
        told,
        settled: Vec::new(),
    });
    events
}

fn stood_in(a: &PlannedAlert) -> StoodIn {
    StoodIn {
        id: a.id,
        agency: a.agency.clone(),
        agency_name: a.agency_name.clone(),
        kind: a.kind,
        acknowledge: a.acknowledge,
        no_contact: a.contacts.is_empty(),
    }
}

impl StoodIn {
    /// How the alert that it stands for began.
    #[must_use]
    pub fn state(&self) -> AlertState {
        if self.no_contact { AlertState::NoContact } else { AlertState::Planned }
    }
}

/// More facts of a report that is an account: as [`super::amend`], with its alerts named and not
/// sent, because the first case sends them.
///
/// # Errors
/// As [`super::amend`].
pub fn amend_account(
    account: &CaseState,
    patch: Facts,
    reason: String,
    now: DateTime<Utc>,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    let how = Amendment::FurtherAccount;
    let mut events = super::amend(account, patch, how, reason, now, ctx)?;
    let mut told = Vec::new();
    events.retain(|e| match e {
        Event::AlertsPlanned { alerts } => {
            told.extend(alerts.iter().map(stood_in));
            false
        }
        _ => true,
    });
    if !told.is_empty() {
        events.push(Event::AccountToldMore { told });
    }
    Ok(events)
}

/// A person makes a case an account of another. Both get their events; none if it is one already.
///
/// # Errors
/// One of them is no case of its own, or holds what would be lost or laid open by it.
pub fn merge(
    first: &CaseState,
    second: &CaseState,
    how: &Joining,
    ctx: &mut Context<'_>,
) -> Result<(Vec<Event>, Vec<Event>), Refusal> {
    if second.accounts.of.as_ref().is_some_and(|o| o.case == first.id) {
        return Ok((Vec::new(), Vec::new()));
    }
    mergeable(first, second)?;
    let mut agencies: Vec<String> = second.alerts.values().map(|a| a.agency.clone()).collect();
    agencies.sort();
    agencies.dedup();
    let report = Report {
        case: second.id,
        reference: &second.reference,
        facts: &second.facts,
        standing: second.standing,
        agencies,
    };
    // Whom the second has alerted is reached by its own alerts, which run on: only what the first
    // case now calls for by itself is planned there.
    let at = At { account: Some(second.id), at_least: second.standing, now: how.now };
    let told = format!("Second account, {}", second.reference);
    let mut of_first = vec![Event::AccountAttached {
        account: report.case,
        reference: report.reference.clone(),
        by: how.by.clone(),
        reason: how.reason.clone(),
        agencies: report.agencies,
    }];
    of_first.extend(take(first, report.facts, told, &at, Vec::new(), &how.lost, ctx)?);
    let settled = second.alerts.iter().filter(|(_, a)| is_answered_for(first, a));
    let of_second = vec![Event::BecameAccount {
        first: first.id,
        reference: first.reference.clone(),
        by: how.by.clone(),
        reason: how.reason.clone(),
        told: Vec::new(),
        settled: settled.map(|(id, _)| *id).collect(),
    }];
    Ok((of_first, of_second))
}

/// Whether an open obligation of the second case is answered for: somebody at the same agency has
/// acknowledged an alert of the first that says as much. Any doubt, and it goes on.
fn is_answered_for(first: &CaseState, open: &Alert) -> bool {
    open.progress.is_open()
        && first.alerts.values().any(|a| {
            a.agency == open.agency
                && weight(a.kind) >= weight(open.kind)
                && !a.over
                && a.superseded_by.is_none()
                && a.acknowledged.is_some()
                && !a.progress.is_unanswered()
        })
        && (jar_plan::still_told(first).is_some() || !open.kind.is_response())
}

fn mergeable(first: &CaseState, second: &CaseState) -> Result<(), Refusal> {
    let no = |why| Err(Refusal::CannotMerge(why));
    if first.id == second.id {
        return no("a case cannot be an account of itself");
    }
    if first.area != second.area {
        return no(
            "the two cases belong to two areas; the area that does not review the death withdraws its own",
        );
    }
    if first.drill || second.drill {
        return no("one of the two is an exercise");
    }
    if first.accounts.of.is_some() || second.accounts.of.is_some() {
        return no("one of the two is a second account already");
    }
    if !second.accounts.held.is_empty() {
        return no(
            "the second case has accounts of its own; undo those first, or make it the first",
        );
    }
    if first.withdrawn.is_some() || second.withdrawn.is_some() {
        return no("one of the two notifications was withdrawn");
    }
    if second.listing.is_some() || matches!(stage(second), Stage::Reviewed | Stage::Closed) {
        return no("the second case is on a panel's list or has been reviewed; make it the first");
    }
    if second.keeping.hold.is_some() && first.keeping.hold.is_none() {
        return no("a legal hold stands on the second case; place one on the first as well");
    }
    let open_to = |s: &CaseState| {
        let people = s.keeping.restricted.as_ref().map(|r| &r.people);
        people.map(|p| p.iter().map(|n| n.id).collect::<BTreeSet<_>>())
    };
    match (open_to(first), open_to(second)) {
        (_, None) => Ok(()),
        (Some(a), Some(b)) if a.is_subset(&b) => Ok(()),
        _ => no("the second case is restricted: restrict the first to the same people before"),
    }
}

/// An account becomes a case of its own again; both get their events. The first case's facts are
/// what they would be without it, and what is due for it is planned anew.
///
/// # Errors
/// It is not an account of that case.
pub fn unmerge(
    first: &CaseState,
    second: &CaseState,
    by: &Person,
    reason: &str,
    lost: &BTreeSet<AlertId>,
    ctx: &mut Context<'_>,
) -> Result<(Vec<Event>, Vec<Event>), Refusal> {
    let is_held = first.accounts.held.iter().any(|a| a.case == second.id);
    let is_of = second.accounts.of.as_ref().is_some_and(|o| o.case == first.id);
    if !is_held || !is_of {
        return Err(Refusal::CannotMerge("it is not a second account of that case"));
    }
    let mut of_first = vec![Event::AccountDetached {
        account: second.id,
        reference: second.reference.clone(),
        by: by.clone(),
        reason: reason.to_owned(),
    }];
    let facts = first.accounts.without(second.id, &first.facts);
    if facts != first.facts {
        let scope = scope::judge(&facts);
        let assessment = jar::assess(&facts, ctx.extra);
        let standing = jar_plan::standing_after(first, assessment.decision, &met(&assessment));
        let alerts = if standing > first.standing {
            jar_plan::response_alerts(jar_plan::still_told(first), standing, ctx)
        } else {
            Vec::new()
        };
        of_first.push(Event::JarAssessed { assessment, scope, standing });
        super::decide::push_alerts(&mut of_first, alerts);
    }
    let mut of_second = vec![Event::BecameCase {
        first: first.id,
        reference: first.reference.clone(),
        by: by.clone(),
        reason: reason.to_owned(),
    }];
    let mut alerts = Vec::new();
    // That its first case's response ended is no word about this child.
    let mut alone = second.clone();
    alone.stand_alone();
    if alone.withdrawn.is_none() {
        let due = still_called(&alone, alone.standing, ctx);
        still_due(&alone, alone.standing, due, &mut alerts, lost, ctx);
    }
    super::decide::push_alerts(&mut of_second, alerts);
    Ok((of_first, of_second))
}

/// What is written down when another case may be about the same death.
#[must_use]
pub fn likeness_found(other: CaseId, likeness: &Likeness, seen: String) -> Event {
    let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
    Event::LikenessFound {
        other,
        verdict: likeness.verdict,
        agrees: owned(&likeness.agrees),
        differs: owned(&likeness.differs),
        seen,
    }
}

/// What a person decided about it.
#[must_use]
pub fn likeness_settled(
    other: CaseId,
    settled: Settled,
    by: Person,
    reason: String,
    seen: String,
) -> Event {
    Event::LikenessSettled { other, settled, by, reason, seen }
}
