//! Who is sent to next. One lane per receiver, each with its own cap, so that a dead receiver can
//! hold up nobody but itself. Plain data: no clock, no IO.

use crate::store::Job;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// A message with the moment our lease on it ends, on the monotonic clock: whatever happens to the
/// wall clock, a stale copy is never sent under a newer lease.
pub struct Held {
    pub job: Job,
    pub until: Instant,
}

/// The lanes of this process.
pub struct Lanes {
    lanes: HashMap<String, Lane>,
    /// Turn order, so that no lane with a full queue starves the others.
    order: VecDeque<String>,
    in_flight: usize,
    /// Texts, calls and mail go through a few shared providers: one that hangs may not take every
    /// place.
    by_channel: HashMap<String, usize>,
    most: usize,
    most_per_lane: usize,
}

/// The share of all places that messages of one channel may take.
fn share(channel: &str, most: usize) -> usize {
    match channel {
        "email" => most.div_ceil(2),
        "sms" | "voice" => (most * 3).div_ceil(8),
        _ => most,
    }
}

struct Lane {
    queue: VecDeque<Held>,
    in_flight: usize,
    /// The last message did not go through: only a few are risked until one does.
    failing: bool,
    /// Due rows wait in the database.
    backlog: bool,
    claiming: bool,
    claim_size: usize,
}

/// Messages risked at once on a receiver that does not answer well.
const WHILE_FAILING: usize = 2;
/// Rows taken at once at most.
const LARGEST_CLAIM: usize = 512;

impl Lanes {
    #[must_use]
    pub fn new(most: usize, most_per_lane: usize) -> Self {
        Self {
            lanes: HashMap::new(),
            order: VecDeque::new(),
            in_flight: 0,
            by_channel: HashMap::new(),
            most,
            most_per_lane,
        }
    }

    fn lane(&mut self, name: &str) -> &mut Lane {
        if !self.lanes.contains_key(name) {
            self.order.push_back(name.to_owned());
            self.lanes.insert(
                name.to_owned(),
                Lane {
                    queue: VecDeque::new(),
                    in_flight: 0,
                    failing: false,
                    backlog: false,
                    claiming: false,
                    claim_size: self.most_per_lane,
                },
            );
        }
        // Inserted just above if it was missing.
        #[allow(clippy::expect_used)]
        self.lanes.get_mut(name).expect("lane")
    }

    /// Messages to send: urgent ones before all that are not, otherwise in order.
    pub fn push(&mut self, jobs: impl IntoIterator<Item = Held>) {
        for held in jobs {
            let name = held.job.lane.clone();
            let queue = &mut self.lane(&name).queue;
            if held.job.urgent {
                let at = queue.iter().take_while(|h| h.job.urgent).count();
                queue.insert(at, held);
            } else {
                queue.push_back(held);
            }
        }
    }

    /// The database has due messages for this lane.
    pub fn mark_backlog(&mut self, name: &str) {
        self.lane(name).backlog = true;
    }

    /// The next message that may go out, if any lane has one and room for it.
    pub fn next(&mut self) -> Option<Held> {
        if self.in_flight >= self.most {
            return None;
        }
        for _ in 0..self.order.len() {
            let name = self.order.pop_front()?;
            self.order.push_back(name.clone());
            let most = self.most_per_lane;
            let Some(front) = self.lanes.get(&name).and_then(|l| l.queue.front()) else { continue };
            let channel = front.job.channel.clone();
            let busy = self.by_channel.get(&channel).copied().unwrap_or(0);
            if busy >= share(&channel, self.most) {
                continue;
            }
            let lane = self.lane(&name);
            let most = if lane.failing { most.min(WHILE_FAILING) } else { most };
            if lane.in_flight < most
                && let Some(job) = lane.queue.pop_front()
            {
                lane.in_flight += 1;
                self.in_flight += 1;
                *self.by_channel.entry(channel).or_default() += 1;
                return Some(job);
            }
        }
        None
    }

    /// A message of this lane is no longer on its way. `went` tells whether the receiver is well:
    /// then more may be claimed at once.
    pub fn done(&mut self, name: &str, channel: &str, went: bool) {
        if let Some(n) = self.by_channel.get_mut(channel) {
            *n = n.saturating_sub(1);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        let smallest = self.most_per_lane;
        let lane = self.lane(name);
        lane.in_flight = lane.in_flight.saturating_sub(1);
        lane.failing = !went;
        if !went {
            lane.claim_size = smallest;
        }
    }

    /// Lanes whose queue runs low while the database has more: which, and how many to take.
    pub fn claims(&mut self) -> Vec<(String, usize)> {
        let mut out = Vec::new();
        for (name, lane) in &mut self.lanes {
            if lane.backlog && !lane.claiming && lane.queue.len() < lane.claim_size.div_ceil(2) {
                lane.claiming = true;
                out.push((name.clone(), lane.claim_size));
            }
        }
        out
    }

    /// The outcome of a claim.
    pub fn claimed(&mut self, name: &str, asked: usize, jobs: Vec<Held>) {
        let lane = self.lane(name);
        lane.claiming = false;
        lane.backlog = jobs.len() == asked;
        if lane.backlog {
            lane.claim_size = (lane.claim_size * 2).min(LARGEST_CLAIM);
        }
        self.push(jobs);
    }

    /// Messages in hand: waiting and on their way.
    #[must_use]
    pub fn held(&self) -> usize {
        self.in_flight + self.lanes.values().map(|l| l.queue.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;
    use uuid::Uuid;

    fn job(lane: &str) -> Held {
        let job = Job {
            id: Uuid::new_v4(),
            alert_id: Uuid::new_v4(),
            lane: lane.to_owned(),
            channel: "webhook".to_owned(),
            address: String::new(),
            attempts: 0,
            created_at: Utc::now(),
            notice: String::new(),
            kind: None,
            step: 0,
            lease_token: 1,
            urgent: false,
        };
        Held { job, until: Instant::now() }
    }

    #[test]
    fn a_lane_with_one_slot_still_claims() {
        let mut lanes = Lanes::new(1, 1);
        lanes.mark_backlog("a");
        assert_eq!(lanes.claims(), [("a".to_owned(), 1)]);
    }

    #[test]
    fn urgent_messages_overtake_and_keep_their_order() {
        let mut lanes = Lanes::new(10, 10);
        for (n, urgent) in [(1, false), (2, true), (3, false), (4, true)] {
            let mut h = job("a");
            h.job.attempts = n;
            h.job.urgent = urgent;
            lanes.push([h]);
        }
        let order: Vec<i64> = std::iter::from_fn(|| lanes.next()).map(|h| h.job.attempts).collect();
        assert_eq!(order, [2, 4, 1, 3]);
    }

    #[test]
    fn a_failing_lane_is_risked_little_until_it_is_well() {
        let mut lanes = Lanes::new(64, 16);
        lanes.push((0..40).map(|_| job("a")));
        assert!(lanes.next().is_some());
        lanes.done("a", "webhook", false);
        assert_eq!(std::iter::from_fn(|| lanes.next()).count(), 2);
        lanes.done("a", "webhook", true);
        assert_eq!(std::iter::from_fn(|| lanes.next()).count(), 15);
    }

    #[test]
    fn a_dead_lane_holds_up_nobody() {
        let mut lanes = Lanes::new(8, 2);
        lanes.push((0..100).map(|_| job("dead")));
        lanes.push((0..3).map(|_| job("well")));
        let out: Vec<String> = std::iter::from_fn(|| lanes.next()).map(|h| h.job.lane).collect();
        assert_eq!(out.iter().filter(|l| *l == "dead").count(), 2);
        assert_eq!(out.iter().filter(|l| *l == "well").count(), 2);
        lanes.done("well", "webhook", true);
        assert_eq!(lanes.next().map(|h| h.job.lane).as_deref(), Some("well"));
        assert!(lanes.next().is_none());
    }

    #[test]
    fn a_provider_that_hangs_leaves_room_for_the_others() {
        let mut lanes = Lanes::new(16, 4);
        for n in 0..20 {
            let mut h = job(&format!("a/{n}/sms"));
            h.job.channel = "sms".to_owned();
            lanes.push([h]);
        }
        lanes.push((0..4).map(|_| job("hook")));
        let out: Vec<String> = std::iter::from_fn(|| lanes.next()).map(|h| h.job.channel).collect();
        assert_eq!(out.iter().filter(|c| *c == "sms").count(), 6);
        assert_eq!(out.iter().filter(|c| *c == "webhook").count(), 4);
        lanes.done("a/0/sms", "sms", true);
        assert_eq!(lanes.next().map(|h| h.job.channel).as_deref(), Some("sms"));
    }

    #[test]
    fn claims_grow_while_a_lane_keeps_up_and_shrink_when_it_does_not() {
        let mut lanes = Lanes::new(64, 16);
        lanes.mark_backlog("a");
        assert_eq!(lanes.claims(), [("a".to_owned(), 16)]);
        assert!(lanes.claims().is_empty(), "one claim at a time");
        lanes.claimed("a", 16, (0..16).map(|_| job("a")).collect());
        while lanes.next().is_some() {}
        assert_eq!(lanes.claims(), [("a".to_owned(), 32)]);
        lanes.claimed("a", 32, Vec::new());
        assert!(lanes.claims().is_empty(), "the backlog is gone");
        lanes.done("a", "webhook", false);
        lanes.mark_backlog("a");
        assert_eq!(lanes.claims(), [("a".to_owned(), 16)]);
    }
}
