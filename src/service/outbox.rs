//! From planned alerts to messages, and from a commit straight into the dispatcher's hands.

use super::Service;
use crate::domain::alert::AlertKind;
use crate::domain::case::CaseState;
use crate::platform::fresh;
use crate::store::changes::{ChangeSet, DeliveryRow};
use crate::store::{CommitError, Job};
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

impl Service {
    /// Adds a message per contact point of every alert the set plans. With a dispatcher at hand
    /// they are born in its hands, so that nobody has to look for them; if this process dies, the
    /// lease runs out and any worker takes them.
    pub(super) fn plan_messages(
        &self,
        set: &mut ChangeSet,
        state: &CaseState,
        now: DateTime<Utc>,
    ) -> Handover {
        if set.alerts.is_empty() {
            return Handover::default();
        }
        let lease = self.hands.as_ref().and_then(|h| h.lease(now));
        let mut jobs = Vec::new();
        let planned = state.alerts.iter().filter(|(id, _)| set.alerts.iter().any(|r| r.id == id.0));
        for (id, alert) in planned {
            let notice = set.alerts.iter().find(|r| r.id == id.0).map(|r| r.notice.clone());
            for c in &alert.contacts {
                let row = DeliveryRow {
                    id: fresh::id(),
                    alert_id: id.0,
                    lane: c.id.clone(),
                    channel: c.channel.word(),
                    address: c.address.clone(),
                    urgent: AlertKind::is_urgent(alert.kind),
                    state: if lease.is_some() { "leased" } else { "due" },
                    next_at: now,
                    lease_until: lease.map(|l| l.until),
                    lease_token: lease.map_or(0, |l| l.token),
                    created_at: now,
                };
                if lease.is_some() {
                    jobs.push(Job {
                        id: row.id,
                        alert_id: row.alert_id,
                        lane: row.lane.clone(),
                        channel: row.channel.to_owned(),
                        address: row.address.clone(),
                        attempts: 0,
                        created_at: now,
                        notice: notice.clone().unwrap_or_default(),
                        lease_token: row.lease_token,
                        urgent: row.urgent,
                    });
                }
                set.deliveries.push(row);
            }
        }
        Handover { jobs, lease }
    }

    /// Commits and hands the messages over, in a task of its own: a caller who hangs up between
    /// the two must not leave a committed alert in nobody's hands until its lease runs out.
    pub(super) async fn commit(
        &self,
        set: ChangeSet,
        handover: Handover,
    ) -> Result<(), CommitError> {
        let (store, hands) = (self.store.clone(), self.hands.clone());
        let both = tokio::spawn(async move {
            store.commit(set).await?;
            if let (Some(hand), Some(lease)) = (hands, handover.lease) {
                hand.take(handover.jobs, lease);
            }
            Ok(())
        });
        both.await.unwrap_or(Err(CommitError::Unavailable))
    }
}

/// Messages that a dispatcher takes over once they are committed.
#[derive(Default)]
pub(super) struct Handover {
    jobs: Vec<Job>,
    lease: Option<Lease>,
}

impl Service {
    /// Puts a dead letter of the caller's area back into the queue.
    ///
    /// # Errors
    /// The database is away.
    pub async fn replay(
        &self,
        caller: &crate::auth::policy::Caller,
        delivery: Uuid,
    ) -> Result<bool, super::ServiceError> {
        let Some(area) = self.store.delivery_area(delivery).await? else { return Ok(false) };
        if !caller.covers(&area) {
            return Ok(false);
        }
        self.store.audit(self.now(), &caller.actor(), "replay_delivery", None).await?;
        Ok(self.store.replay(delivery, self.now()).await?)
    }
}
