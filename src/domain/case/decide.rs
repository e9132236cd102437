//! From a state and a wish to events, or a refusal that says what to do.

use super::{Alert, CaseState, jar_plan, met};
use crate::domain::alert::{AlertKind, ContactPoint, Desk, PlannedAlert, Recipient};
use crate::domain::event::{Event, Person, Route};
use crate::domain::facts::{Amendment, Facts};
use crate::domain::history::CannotUndo;
use crate::domain::id::{AlertId, CaseId, PanelId, Reference};
use crate::domain::intake::{self, Accepted, Problem};
use crate::domain::jar::{self, Decision, ExtraTrigger};
use crate::domain::milestone::Record;
use crate::domain::ready::{Blocker, Stage, blockers, stage};
use crate::domain::scope;
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// What a decision needs from outside: fresh identifiers and the directory's answer now.
pub struct Context<'a> {
    pub new_id: &'a mut dyn FnMut() -> Uuid,
    /// Who is told of an event of this kind, with the contact points that hold at this hour.
    pub recipients: &'a dyn Fn(AlertKind) -> Vec<Recipient>,
    /// What every alert of this area carries.
    pub desk: &'a Desk,
    /// The partnership's own triggers.
    pub extra: &'a [ExtraTrigger],
    /// Whether somebody has opened an alert, as far as attempts show.
    pub opened: &'a dyn Fn(AlertId) -> bool,
    /// Whether a contact point is not known to fail.
    pub usable: &'a dyn Fn(&ContactPoint) -> bool,
}

/// Why a wish cannot be carried out. Never used to hide that something already happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the facts put together cannot be right")]
    Facts(Vec<Problem>),
    /// Somebody else was quicker with these fields.
    #[error("somebody else has changed the same fields meanwhile; nothing was overwritten")]
    ChangedMeanwhile(Vec<String>),
    #[error("{0}")]
    CannotUndo(CannotUndo),
    #[error("the documents of one case may hold {0} MiB together; withdraw one that is not needed")]
    TooManyDocuments(u64),
    #[error("the case has no such document")]
    NoSuchDocument,
    #[error("no response is running that could be stood down")]
    NothingToStandDown,
    #[error("a response is already called for and running")]
    AlreadyCalled,
    #[error("this case has no such alert")]
    NoSuchAlert,
    #[error("this was answered before: a link answers once")]
    AnsweredBefore,
    #[error("this was stood down or withdrawn since: what called for it is not sent again")]
    OverSince,
    #[error("the case is not ready for panel")]
    NotReady(Vec<Blocker>),
    #[error("the case is already on the list of {0}")]
    AlreadyListed(String),
    #[error("the case is not on this panel's list")]
    NotListed,
    #[error("the case is outside child death review")]
    OutOfScope,
    #[error("the case has already been reviewed")]
    AlreadyReviewed,
    #[error("the notification was withdrawn; call a response to open it again")]
    Withdrawn,
    #[error("the notification has been withdrawn before")]
    AlreadyWithdrawn,
    #[error("a case that the panel has reviewed cannot be withdrawn")]
    ReviewedCannotBeWithdrawn,
    #[error("no agency of this name was asked to respond")]
    NoSuchAgency,
    #[error("a drill is not restricted: there is no child in it")]
    OnlyADrill,
    #[error("the case is not restricted")]
    NotRestricted,
    #[error("nothing waits for review")]
    NothingToReview,
    #[error("no legal hold stands on this case")]
    NoHold,
    /// Two cases that cannot be made one.
    #[error("{0}")]
    CannotMerge(&'static str),
    #[error("the time for which this case is kept is not over, or a legal hold stands")]
    NotDue,
    #[error("a drill is assigned to nobody")]
    DrillNotAssigned,
    #[error("the case is restricted, and whoever it is to go to is not on its list")]
    NotOnItsList,
    #[error("whoever it is to go to does not work in the case's area")]
    OtherArea,
    #[error("somebody has assigned the case since")]
    AssignedSince,
    #[error("the case was not handed to you")]
    NotHandedToYou,
    #[error("the case has changed since you looked; look again and repeat")]
    ChangedSince,
}

/// A new death.
#[must_use]
pub fn notify(
    reference: Reference,
    area: String,
    route: Route,
    accepted: Accepted,
    ctx: &mut Context<'_>,
) -> Vec<Event> {
    let Accepted { facts, warnings } = accepted;
    let scope = scope::judge(&facts);
    let assessment = jar::assess(&facts, ctx.extra);
    let standing = assessment.decision;
    let alerts = jar_plan::first_alerts(standing, &jar_plan::Warned::new(), ctx);
    let mut events = vec![
        Event::NotificationReceived { reference, area, route, facts: Box::new(facts), warnings },
        Event::JarAssessed { assessment, scope, standing },
    ];
    push_alerts(&mut events, alerts);
    events
}

/// An exercise: everybody is told as of a real event of `kind`, and nobody has died.
#[must_use]
pub fn drill(
    reference: Reference,
    area: String,
    kind: AlertKind,
    ctx: &mut Context<'_>,
) -> Vec<Event> {
    let mut alerts = Vec::new();
    for r in (ctx.recipients)(kind) {
        alerts.push(jar_plan::planned(kind, r, ctx));
    }
    let mut events = vec![Event::NotificationReceived {
        reference,
        area,
        route: Route::Drill,
        facts: Box::default(),
        warnings: Vec::new(),
    }];
    push_alerts(&mut events, alerts);
    events
}

/// New or corrected facts: re-assessed at once. An upgrade plans the alerts now due; a downgrade
/// changes nothing until somebody stands the response down. No events if nothing was new.
///
/// # Errors
/// Together with what is held the new facts are impossible, such as a death before birth.
pub fn amend(
    state: &CaseState,
    patch: Facts,
    how: Amendment,
    reason: String,
    now: DateTime<Utc>,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    taken_in(state, patch, how, reason, &At::own(now), ctx)
}

/// Where new facts come from, and what must stand with them.
pub(super) struct At {
    /// The second account that they come with.
    pub account: Option<CaseId>,
    /// What stands for whoever says so: less is not made of it.
    pub at_least: Decision,
    pub now: DateTime<Utc>,
}

impl At {
    /// New facts of the case itself.
    pub(super) fn own(now: DateTime<Utc>) -> Self {
        Self { account: None, at_least: Decision::NotTriggered, now }
    }
}

/// Takes new facts in: see [`amend`].
pub(super) fn taken_in(
    state: &CaseState,
    patch: Facts,
    how: Amendment,
    reason: String,
    at: &At,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    let (facts, changed) = state.facts.amended(&patch, how);
    let mut events = Vec::new();
    if facts != state.facts {
        let (patch, account) = (Box::new(patch), at.account);
        events.push(Event::FactsAmended { patch, how, changed, reason, account });
    } else if at.at_least <= state.standing && state.withdrawn.is_none() {
        return Ok(events);
    }
    reassessed(state, events, &facts, at, ctx)
}

/// What was said, and what the rules and the alerts make of the facts as they are then.
pub(super) fn reassessed(
    state: &CaseState,
    mut events: Vec<Event>,
    facts: &Facts,
    at: &At,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    if state.withdrawn.is_some() {
        return Err(Refusal::Withdrawn);
    }
    intake::review(facts, at.now).map_err(Refusal::Facts)?;
    let scope = scope::judge(facts);
    let assessment = jar::assess(facts, ctx.extra);
    let standing = jar_plan::standing_after(state, assessment.decision, &met(&assessment));
    let standing = standing.max(at.at_least);
    let alerts = if standing > state.standing {
        jar_plan::response_alerts(jar_plan::still_told(state), standing, ctx)
    } else {
        Vec::new()
    };
    events.push(Event::JarAssessed { assessment, scope, standing });
    push_alerts(&mut events, alerts);
    Ok(events)
}

/// A named person ends the response.
///
/// # Errors
/// No response is running.
pub fn stand_down(
    state: &CaseState,
    reason: String,
    consulted: Vec<Person>,
    decided_by: Person,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    if state.withdrawn.is_some() {
        return Err(Refusal::Withdrawn);
    }
    if state.standing == Decision::NotTriggered {
        return Err(Refusal::NothingToStandDown);
    }
    let recalled: Vec<AlertId> = state
        .alerts
        .iter()
        .filter(|(_, a)| a.kind.is_response() && !a.recalled && is_open(a))
        .map(|(id, _)| *id)
        .collect();
    let opened = recalled.iter().copied().filter(|id| (ctx.opened)(*id)).collect();
    let alerts = jar_plan::words_to_the_alerted(state, AlertKind::JarStoodDown, ctx);
    let with = None;
    let mut events =
        vec![Event::JarStoodDown { reason, consulted, decided_by, recalled, opened, with }];
    push_alerts(&mut events, alerts);
    Ok(events)
}

/// Whether the response of a first case ended after this report had become an account of it.
#[must_use]
pub fn ended_since(first: &CaseState, account: &CaseState) -> bool {
    let ended = first.withdrawn.as_ref().map(|w| w.at);
    let ended = ended.or(first.stood_down.as_ref().map(|d| d.at));
    account.accounts.of.as_ref().is_some_and(|of| ended.is_some_and(|e| e > of.at))
}

/// What follows on a second account when the response of its first case ended: whoever the account
/// itself had called, under its own reference, is told so there, and its ladders stop. Nothing, if
/// the first goes on, or there is nobody to tell.
#[must_use]
pub fn over_with(first: &CaseState, state: &CaseState, ctx: &mut Context<'_>) -> Vec<Event> {
    let is_of = state.accounts.of.as_ref().is_some_and(|o| o.case == first.id);
    let (word, reason, decided_by) = match (&first.withdrawn, &first.stood_down) {
        (Some(w), _) => (AlertKind::JarRecalled, &w.reason, &w.decided_by),
        (None, Some(d)) => (AlertKind::JarStoodDown, &d.reason, &d.decided_by),
        (None, None) => return Vec::new(),
    };
    let called = state.alerts.values().any(|a| a.kind.is_response() && !a.recalled);
    if !is_of || !called || state.stood_down.is_some() || state.withdrawn.is_some() {
        return Vec::new();
    }
    let calls = |a: &Alert| a.kind.is_response() && !a.recalled && is_open(a);
    let recalled: Vec<AlertId> =
        state.alerts.iter().filter(|(_, a)| calls(a)).map(|(id, _)| *id).collect();
    let opened = recalled.iter().copied().filter(|id| (ctx.opened)(*id)).collect();
    let alerts = jar_plan::words_to_the_alerted(state, word, ctx);
    let mut events = vec![Event::JarStoodDown {
        reason: reason.clone(),
        consulted: Vec::new(),
        decided_by: decided_by.clone(),
        recalled,
        opened,
        with: Some(first.id),
    }];
    push_alerts(&mut events, alerts);
    events
}

/// A named person takes the notification back: made in error, or the same death twice. Everyone
/// who was told of anything is told so; every open ladder ends.
///
/// # Errors
/// It was withdrawn before, or a panel has reviewed it.
pub fn withdraw(
    state: &CaseState,
    reason: String,
    decided_by: Person,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    if state.withdrawn.is_some() {
        return Err(Refusal::AlreadyWithdrawn);
    }
    if matches!(stage(state), Stage::Reviewed | Stage::Closed) {
        return Err(Refusal::ReviewedCannotBeWithdrawn);
    }
    let recalled: Vec<AlertId> = state
        .alerts
        .iter()
        .filter(|(_, a)| a.kind.asks_for_acknowledgement() && !a.recalled && is_open(a))
        .map(|(id, _)| *id)
        .collect();
    let opened = recalled.iter().copied().filter(|id| (ctx.opened)(*id)).collect();
    let alerts = jar_plan::words_to_the_alerted(state, AlertKind::JarRecalled, ctx);
    let mut events = vec![Event::NotificationWithdrawn { reason, decided_by, recalled, opened }];
    push_alerts(&mut events, alerts);
    Ok(events)
}

/// Nobody has it, or it came back.
fn is_open(a: &Alert) -> bool {
    a.acknowledged.is_none() || a.progress.is_unanswered()
}

/// A named person calls a response that the rules do not ask for.
///
/// # Errors
/// One is already triggered.
pub fn call_jar(
    state: &CaseState,
    reason: String,
    consulted: Vec<Person>,
    decided_by: Person,
    ctx: &mut Context<'_>,
) -> Result<Vec<Event>, Refusal> {
    if state.standing == Decision::Triggered {
        return Err(Refusal::AlreadyCalled);
    }
    let alerts = if state.withdrawn.is_some() {
        // Everybody who heard of the death was told that it was none.
        jar_plan::first_alerts(Decision::Triggered, &jar_plan::Warned::new(), ctx)
    } else {
        jar_plan::response_alerts(jar_plan::still_told(state), Decision::Triggered, ctx)
    };
    let mut events = vec![Event::JarCalled { reason, consulted, decided_by }];
    push_alerts(&mut events, alerts);
    Ok(events)
}

/// A step on the way. The same record again changes nothing.
#[must_use]
pub fn record_milestone(state: &CaseState, record: Record, note: String) -> Vec<Event> {
    if note.is_empty() && state.milestones.get(&record.milestone) == Some(&record) {
        return Vec::new();
    }
    vec![Event::MilestoneRecorded { record, note }]
}

/// Puts a case on a panel's list. Listing the same case on the same panel again changes nothing.
///
/// # Errors
/// Out of scope, reviewed, on another list, or not ready and no reason given to go ahead.
pub fn list_for_panel(
    state: &CaseState,
    panel: PanelId,
    panel_name: String,
    held_on: NaiveDate,
    anonymous_reference: String,
    despite: Option<String>,
) -> Result<Vec<Event>, Refusal> {
    match (&state.listing, stage(state)) {
        (Some(l), _) if l.panel == panel => return Ok(Vec::new()),
        (_, Stage::OutOfScope | Stage::Drill | Stage::SecondAccount) => {
            return Err(Refusal::OutOfScope);
        }
        (_, Stage::Withdrawn) => return Err(Refusal::Withdrawn),
        (_, Stage::Reviewed | Stage::Closed) => return Err(Refusal::AlreadyReviewed),
        (Some(l), _) => return Err(Refusal::AlreadyListed(l.panel_name.clone())),
        (None, _) => {}
    }
    let blocked = blockers(state);
    if !blocked.is_empty() && despite.is_none() {
        return Err(Refusal::NotReady(blocked));
    }
    let despite = despite.filter(|_| !blocked.is_empty());
    Ok(vec![Event::ListedForPanel { panel, panel_name, held_on, anonymous_reference, despite }])
}

/// Takes a case off a list again.
///
/// # Errors
/// It is not on that list.
pub fn take_off_panel(
    state: &CaseState,
    panel: PanelId,
    reason: String,
) -> Result<Vec<Event>, Refusal> {
    if state.listing.as_ref().is_none_or(|l| l.panel != panel) {
        return Err(Refusal::NotListed);
    }
    Ok(vec![Event::TakenOffPanel { panel, reason }])
}

pub(super) fn push_alerts(events: &mut Vec<Event>, alerts: Vec<PlannedAlert>) {
    if !alerts.is_empty() {
        events.push(Event::AlertsPlanned { alerts });
    }
}
