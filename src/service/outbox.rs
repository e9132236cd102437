//! From events to messages, and from a commit straight into the dispatcher's hands.

use super::Service;
use crate::domain::alert::{AlertKind, Channel, ContactPoint, Notice, ToRing};
use crate::domain::case::{self, Alert, CaseState, Refusal};
use crate::domain::event::{Event, Step};
use crate::domain::id::AlertId;
use crate::platform::fresh;
use crate::store::changes::{AuditRow, BulletinRow, ChangeSet, DeliveryRow};
use crate::store::{CommitError, Job, Replayed};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// Takes messages over at the moment of their commit.
pub trait Hand: Send + Sync {
    /// A lease for messages about to be committed; none if the worker is full or not sending.
    fn lease(&self, now: DateTime<Utc>) -> Option<Lease>;
    /// Messages that were committed under a lease.
    fn take(&self, jobs: Vec<Job>, lease: Lease);
}

/// Leave to send at once.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub token: i64,
    pub until: DateTime<Utc>,
    /// The same moment, a little earlier, on the monotonic clock.
    pub ends: Instant,
}

/// The dispatcher of this process, if it has one.
pub type Hands = Option<Arc<dyn Hand>>;

/// Messages that a dispatcher takes over once they are committed.
#[derive(Default)]
pub(super) struct Handover {
    jobs: Vec<Job>,
    lease: Option<Lease>,
}

/// Adds messages to a change set. With a dispatcher at hand they are born in its hands, so that
/// nobody has to look for them; if this process dies, the lease runs out and any worker takes them.
struct Mailbag<'a> {
    set: &'a mut ChangeSet,
    lease: Option<Lease>,
    now: DateTime<Utc>,
    jobs: Vec<Job>,
    /// Agencies that the same human is to ring by this very change.
    rings: Vec<Ring>,
}

/// An agency to be rung, and by whom.
struct Ring {
    alert: Uuid,
    notice: Notice,
    to: ToRing,
    human: Vec<ContactPoint>,
}

/// One message's place: whose, at which step, and what it says instead if it does.
struct Place<'a> {
    alert: Uuid,
    notice: &'a Notice,
    step: i64,
    kind: Option<AlertKind>,
}

impl Mailbag<'_> {
    fn add(&mut self, place: &Place<'_>, points: &[ContactPoint]) {
        if points.is_empty() {
            return;
        }
        let notice = serde_json::to_string(place.notice).unwrap_or_default();
        for p in points {
            let row = DeliveryRow {
                id: fresh::id(),
                alert_id: place.alert,
                lane: p.id.clone(),
                channel: p.channel.word(),
                address: p.address.clone(),
                urgent: place.kind.unwrap_or(place.notice.kind).is_urgent(),
                state: if self.lease.is_some() { "leased" } else { "due" },
                next_at: self.now,
                lease_until: self.lease.map(|l| l.until),
                lease_token: self.lease.map_or(0, |l| l.token),
                created_at: self.now,
                step: place.step,
                kind: place.kind.map(AlertKind::word),
            };
            if self.lease.is_some() {
                self.jobs.push(Job {
                    id: row.id,
                    alert_id: row.alert_id,
                    lane: row.lane.clone(),
                    channel: row.channel.to_owned(),
                    address: row.address.clone(),
                    attempts: 0,
                    created_at: self.now,
                    notice: notice.clone(),
                    kind: row.kind.map(str::to_owned),
                    step: row.step,
                    lease_token: row.lease_token,
                    urgent: row.urgent,
                });
            }
            self.set.deliveries.push(row);
        }
    }

    /// A message of the service itself, about an alert or about none.
    fn bulletin(&mut self, alert: Option<Uuid>, notice: &Notice, points: &[ContactPoint]) {
        let id = fresh::id();
        self.set.bulletins.push(BulletinRow {
            id,
            area: notice.desk.area.clone(),
            kind: notice.kind.word().to_owned(),
            alert_id: alert,
            notice: serde_json::to_string(notice).unwrap_or_default(),
            at: self.now,
        });
        self.add(&Place { alert: id, notice, step: 0, kind: None }, points);
    }

    fn event(&mut self, state: &CaseState, event: &Event) {
        let about = |id: &AlertId| state.alerts.get(id).map(|a| (a, case::notice(state, a)));
        match event {
            Event::AlertsPlanned { alerts } => {
                for planned in alerts {
                    if let Some((a, notice)) = about(&planned.id) {
                        let place =
                            Place { alert: planned.id.0, notice: &notice, step: 0, kind: None };
                        self.add(&place, &a.contacts);
                    }
                }
            }
            Event::AlertStepped { alert, step, points, .. } => {
                let Some((a, notice)) = about(alert) else { return };
                let kind = matches!(step, Step::ComeBack).then_some(AlertKind::Reminder);
                let place =
                    Place { alert: alert.0, notice: &notice, step: i64::from(a.steps), kind };
                self.add(&place, points);
                if let Step::Ring { points, .. } = step {
                    // To the human: whom to ring, and where.
                    let number =
                        a.ladder.as_ref().map(|l| l.human.ring.clone()).unwrap_or_default();
                    let mut notice = notice;
                    notice.kind = AlertKind::RingThem;
                    notice.at = self.now;
                    notice.acknowledge = false;
                    let (agency, name) = (a.agency.clone(), a.agency_name.clone());
                    let to = ToRing { agency, name, number };
                    self.rings.push(Ring { alert: alert.0, notice, to, human: points.clone() });
                }
            }
            Event::AlertHandedOn { alert, points, .. } => {
                let Some((a, notice)) = about(alert) else { return };
                let kind = Some(AlertKind::HandedOn);
                let place =
                    Place { alert: alert.0, notice: &notice, step: i64::from(a.steps), kind };
                self.add(&place, points);
            }
            Event::AlertAcknowledged { alert, .. } => {
                self.answered(state, std::slice::from_ref(alert));
            }
            Event::JarPlanEntered { agency, .. } => {
                self.release(state, AlertKind::Answered, |id| {
                    state.alerts.get(id).is_some_and(|a| a.agency == *agency)
                });
            }
            Event::BecameAccount { settled, .. } => {
                self.answered(state, settled);
            }
            Event::JarStoodDown { recalled, .. } => {
                self.release(state, AlertKind::JarStoodDown, |id| recalled.contains(id));
            }
            Event::NotificationWithdrawn { recalled, .. } => {
                self.release(state, AlertKind::JarRecalled, |id| recalled.contains(id));
            }
            _ => {}
        }
    }

    /// One message to one human, however many agencies they are to ring: five calls at once are
    /// none.
    fn ring(&mut self) {
        let mut left = std::mem::take(&mut self.rings);
        while !left.is_empty() {
            let human = left[0].human.clone();
            let (mine, others): (Vec<Ring>, Vec<Ring>) =
                left.into_iter().partition(|r| r.human == human);
            left = others;
            let ring: Vec<ToRing> = mine.iter().map(|r| r.to.clone()).collect();
            if let [one] = mine.as_slice() {
                let mut notice = one.notice.clone();
                if !one.to.number.is_empty() {
                    notice.desk.call_back.clone_from(&one.to.number);
                }
                notice.ring = ring;
                self.bulletin(Some(one.alert), &notice, &human);
                continue;
            }
            let mut notice = mine[0].notice.clone();
            notice.kind = AlertKind::RingAll;
            notice.agency_name = ring
                .iter()
                .map(|r| format!("{} {}", r.name, r.number).trim().to_owned())
                .collect::<Vec<_>>()
                .join("; ");
            notice.ring = ring;
            // Kept under the first of them, by which its case is found again.
            self.bulletin(Some(mine[0].alert), &notice, &human);
        }
    }

    /// These alerts, and those whose place they took, need no ringing any more.
    fn answered(&mut self, state: &CaseState, alerts: &[AlertId]) {
        self.release(state, AlertKind::Answered, |id| {
            let by = state.alerts.get(id).and_then(|a| a.superseded_by);
            alerts.contains(id) || by.is_some_and(|by| alerts.contains(&by))
        });
    }

    /// Whoever was told to ring hears, by this very change, that it is over. Not by a call: it can
    /// wait until they look.
    fn release(&mut self, state: &CaseState, kind: AlertKind, about: impl Fn(&AlertId) -> bool) {
        let mut told: Vec<ContactPoint> = Vec::new();
        for (id, a) in state.alerts.iter().filter(|(id, _)| about(id)) {
            let Some(ladder) = &a.ladder else { continue };
            let now = |a: &Alert| a.human_released == Some(state.changed_at);
            // One word where the human was to ring for what took its place as well.
            let by = a.superseded_by.and_then(|by| state.alerts.get(&by));
            if !now(a) || by.is_some_and(|by| now(by) && kind == AlertKind::Answered) {
                continue;
            }
            let quiet = ladder.human.points.iter().filter(|p| p.channel != Channel::Voice);
            let points: Vec<ContactPoint> = quiet.filter(|p| !told.contains(p)).cloned().collect();
            // One word for a whole stand-down, one per agency that answers.
            if kind != AlertKind::Answered {
                told.extend(points.iter().cloned());
            }
            let mut notice = case::notice(state, a);
            notice.kind = kind;
            notice.acknowledge = false;
            if !points.is_empty() {
                self.bulletin(Some(id.0), &notice, &points);
            }
        }
    }
}

impl Service {
    /// Adds the messages that `events` call for, and stops those that they make needless.
    pub(super) fn plan_messages(
        &self,
        set: &mut ChangeSet,
        state: &CaseState,
        events: &[Event],
        now: DateTime<Utc>,
    ) -> Handover {
        let speaks = |e: &Event| {
            matches!(
                e,
                Event::AlertsPlanned { .. }
                    | Event::AlertStepped { .. }
                    | Event::AlertHandedOn { .. }
                    | Event::GlassBroken { .. }
                    | Event::AlertAcknowledged { .. }
                    | Event::JarPlanEntered { .. }
                    | Event::BecameAccount { .. }
                    | Event::JarStoodDown { .. }
                    | Event::NotificationWithdrawn { .. }
            )
        };
        quiet(set, state, events);
        if !events.iter().any(speaks) {
            return Handover::default();
        }
        let lease = self.hands.as_ref().and_then(|h| h.lease(now));
        let mut bag = Mailbag { set, lease, now, jobs: Vec::new(), rings: Vec::new() };
        for e in events {
            bag.event(state, e);
            if let Event::GlassBroken { who, .. } = e {
                let (notice, points) = self.to_guardian(&state.area);
                bag.bulletin(None, &notice, &points);
                bag.set.audit.push(AuditRow {
                    at: now,
                    actor: format!("user:{}", who.id),
                    action: "break_glass",
                    case_id: Some(state.id.0),
                    role: "",
                    purpose: "break_glass",
                });
            }
        }
        bag.ring();
        Handover { jobs: bag.jobs, lease }
    }

    /// Sends a message of the service itself, with whatever else `set` holds, in one commit.
    ///
    /// # Errors
    /// The change was not made.
    pub(crate) async fn announce(
        &self,
        mut set: ChangeSet,
        notices: &[(Notice, Vec<ContactPoint>)],
    ) -> Result<(), CommitError> {
        let now = self.now();
        let lease = self.hands.as_ref().and_then(|h| h.lease(now));
        let mut bag = Mailbag { set: &mut set, lease, now, jobs: Vec::new(), rings: Vec::new() };
        for (notice, points) in notices {
            bag.bulletin(None, notice, points);
        }
        let handover = Handover { jobs: bag.jobs, lease };
        self.commit(set, handover).await
    }

    /// Commits and hands the messages over, in a task of its own: a caller who hangs up between
    /// the two must not leave a committed alert in nobody's hands until its lease runs out.
    pub(super) async fn commit(
        &self,
        set: ChangeSet,
        handover: Handover,
    ) -> Result<(), CommitError> {
        self.commit_all(set, vec![handover]).await
    }

    /// The same for two cases that changed together.
    pub(super) async fn commit_all(
        &self,
        set: ChangeSet,
        handovers: Vec<Handover>,
    ) -> Result<(), CommitError> {
        let (store, hands, news) = (self.store.clone(), self.hands.clone(), self.news.clone());
        let all = tokio::spawn(async move {
            store.commit(set).await?;
            for h in handovers {
                if let (Some(hand), Some(lease)) = (&hands, h.lease) {
                    hand.take(h.jobs, lease);
                }
            }
            news.tell();
            Ok(())
        });
        all.await.unwrap_or(Err(CommitError::Unavailable))
    }

    /// Puts a dead letter of the caller's area back into the queue.
    ///
    /// # Errors
    /// It calls for what was stood down or withdrawn since, or the database is away.
    pub async fn replay(
        &self,
        caller: &crate::auth::policy::Caller,
        delivery: Uuid,
    ) -> Result<bool, super::ServiceError> {
        let Some(area) = self.store.delivery_area(delivery).await? else { return Ok(false) };
        if !caller.covers(&area) {
            return Ok(false);
        }
        self.note(caller, "replay_delivery", None).await?;
        match self.store.replay(delivery, self.now()).await? {
            Replayed::Again => Ok(true),
            Replayed::NotDead => Ok(false),
            Replayed::Over => Err(Refusal::OverSince.into()),
        }
    }
}

/// Stops whatever has not left of alerts of these kinds.
fn cancel(set: &mut ChangeSet, state: &CaseState, about: impl Fn(AlertKind) -> bool) {
    for (id, _) in state.alerts.iter().filter(|(_, a)| about(a.kind)) {
        if !set.cancelled.contains(&id.0) {
            set.cancelled.push(id.0);
        }
    }
}

/// Messages of recalled alerts are not sent any more; people who have answered are left in peace.
/// Their systems are not, until it is over: then no call may leave after the word that it is, not even
/// one that somebody had acknowledged.
fn quiet(set: &mut ChangeSet, state: &CaseState, events: &[Event]) {
    let recalled = set.alert_changes.iter().filter(|c| c.state == "recalled").map(|c| c.id);
    set.cancelled = recalled.collect();
    for e in events {
        match e {
            Event::JarStoodDown { .. } => cancel(set, state, AlertKind::is_response),
            Event::NotificationWithdrawn { .. } => {
                cancel(set, state, AlertKind::asks_for_acknowledgement);
            }
            Event::AlertAcknowledged { alert, .. } => set.quieted.push(alert.0),
            Event::JarPlanEntered { agency, .. } => {
                let answered = |a: &Alert| a.agency == *agency && a.acknowledged.is_some();
                let theirs = state.alerts.iter().filter(|(_, a)| answered(a));
                set.quieted.extend(theirs.map(|(id, _)| id.0));
            }
            Event::BecameAccount { settled, .. } => {
                set.quieted.extend(settled.iter().map(|id| id.0));
            }
            Event::AlertsPlanned { .. } => {
                let over = state.alerts.iter().filter(|(_, a)| a.superseded_by.is_some());
                set.quieted.extend(over.map(|(id, _)| id.0));
            }
            _ => {}
        }
    }
}
