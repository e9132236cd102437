//! The dispatcher: takes messages the moment they are committed, and those that are due; sends
//! each over its channel; records every attempt. Woken by commits, and by a second's tick as the
//! safety net, so that the rare path is the usual one.

use super::lanes::{Held, Lanes};
use super::worked::Worked;
use crate::alerts::phone;
use crate::alerts::{Carried, Channels, Message};
use crate::domain::alert::{AlertKind, Channel, Notice};
use crate::domain::delivery::Outcome;
use crate::platform::clock::SharedClock;
use crate::platform::failpoint::{Point, reach};
use crate::platform::metrics::Metrics;
use crate::platform::news::News;
use crate::service::{Hand, Lease};
use crate::store::{Job, Store};
use chrono::{DateTime, Duration, Utc};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration as StdDuration, Instant};
use tokio::sync::{mpsc, watch};

/// Messages taken over in memory at most; beyond, they wait in the database.
const ROOM: usize = 20_000;

/// How the dispatcher is set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub in_flight: usize,
    pub in_flight_per_target: usize,
    pub lease: Duration,
    pub give_up: Duration,
    /// Longest a send may take: a job whose lease ends sooner is left to its next owner.
    pub send_timeout: Duration,
}

/// What [`Dispatcher::run`] needs.
pub struct Dispatcher {
    pub store: Store,
    pub channels: Arc<Channels>,
    pub clock: SharedClock,
    pub metrics: Arc<Metrics>,
    pub settings: Settings,
    pub limits: Limits,
    /// Rung when an attempt was recorded.
    pub news: News,
    pub worked: Worked,
}

/// Texts to one number within an hour: networks block whoever sends more.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub identical: i64,
    pub any: i64,
}

/// The service's way to the dispatcher.
pub struct Handle {
    tx: mpsc::UnboundedSender<Vec<Held>>,
    held: Arc<AtomicUsize>,
    open: AtomicBool,
    token: i64,
    lease: Duration,
}

impl Handle {
    /// A handle and what the dispatcher receives from it.
    #[must_use]
    pub fn new(lease: Duration) -> (Arc<Self>, Inbox) {
        let (tx, rx) = mpsc::unbounded_channel();
        let held = Arc::new(AtomicUsize::new(0));
        let token = random_token();
        let handle = Self { tx, held: held.clone(), open: AtomicBool::new(true), token, lease };
        (Arc::new(handle), Inbox { rx, held })
    }

    /// From now on commits leave their messages in the database.
    pub fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
    }
}

/// The dispatcher's end of a [`Handle`].
pub struct Inbox {
    rx: mpsc::UnboundedReceiver<Vec<Held>>,
    held: Arc<AtomicUsize>,
}

impl Hand for Handle {
    fn lease(&self, now: DateTime<Utc>) -> Option<Lease> {
        let room = self.held.load(Ordering::Relaxed) < ROOM && self.open.load(Ordering::SeqCst);
        let ends = Instant::now() + std_of(self.lease);
        room.then(|| Lease { token: self.token, until: now + self.lease, ends })
    }

    fn take(&self, jobs: Vec<Job>, lease: Lease) {
        self.held.fetch_add(jobs.len(), Ordering::Relaxed);
        let held = jobs.into_iter().map(|job| Held { job, until: lease.ends }).collect();
        // A closed dispatcher means shutdown: the lease runs out and another worker takes them.
        let _ = self.tx.send(held);
    }
}

enum Event {
    Sent { lane: String, channel: String, went: bool },
    Claimed { lane: String, asked: usize, jobs: Vec<Held> },
    Due(Vec<String>),
}

/// Tells the dispatcher that a message is off its way, also when its task panics: a slot must not
/// be lost.
struct Off {
    events: mpsc::UnboundedSender<Event>,
    lane: String,
    channel: String,
    went: bool,
}

/// A look for due messages. However it ends, the dispatcher is told, or it would never look again.
struct Looked {
    events: mpsc::UnboundedSender<Event>,
    due: Vec<String>,
}

impl Drop for Looked {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Due(std::mem::take(&mut self.due)));
    }
}

impl Drop for Off {
    fn drop(&mut self) {
        let lane = std::mem::take(&mut self.lane);
        let channel = std::mem::take(&mut self.channel);
        let _ = self.events.send(Event::Sent { lane, channel, went: self.went });
    }
}

/// How long a message may wait in memory before it is looked at again.
const WAITED: StdDuration = StdDuration::from_secs(1);

/// How long counting a message may take: much less than sending it, which comes after.
const COUNT: StdDuration = StdDuration::from_secs(2);

/// How long one look for due messages may take.
const LOOK: StdDuration = StdDuration::from_secs(40);

fn std_of(d: Duration) -> StdDuration {
    d.to_std().unwrap_or(StdDuration::ZERO)
}

fn random_token() -> i64 {
    let bytes = uuid::Uuid::new_v4();
    let (high, _) = bytes.as_u64_pair();
    // Never zero, which means "nobody".
    i64::from_be_bytes(high.to_be_bytes()) | 1
}

impl Dispatcher {
    /// Runs until `stop` turns true; then finishes what is in hand, for at most ten seconds.
    pub async fn run(self, mut inbox: Inbox, mut stop: watch::Receiver<bool>) {
        let me = Arc::new(self);
        let (events, mut happened) = mpsc::unbounded_channel();
        let mut lanes = Lanes::new(me.settings.in_flight, me.settings.in_flight_per_target);
        let mut tick = tokio::time::interval(StdDuration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut deadline: Option<Instant> = None;
        let mut looking = false;
        loop {
            tokio::select! {
                Some(batch) = inbox.rx.recv() => {
                    lanes.push(batch);
                }
                Some(event) = happened.recv() => match event {
                    Event::Sent { lane, channel, went } => lanes.done(&lane, &channel, went),
                    Event::Claimed { lane, asked, jobs } => lanes.claimed(&lane, asked, jobs),
                    Event::Due(due) => {
                        looking = false;
                        for lane in &due {
                            lanes.mark_backlog(lane);
                        }
                    }
                },
                _ = tick.tick() => if deadline.is_none() && !looking {
                    looking = true;
                    me.look(&events);
                },
                _ = stop.changed(), if deadline.is_none() => {
                    deadline = Some(Instant::now() + StdDuration::from_secs(10));
                }
            }
            while let Some(Held { job, until }) = lanes.next() {
                me.start(job, until, &events);
            }
            if deadline.is_none() {
                for (lane, most) in lanes.claims() {
                    me.claim(lane, most, &events);
                }
            }
            inbox.held.store(lanes.held(), Ordering::Relaxed);
            if deadline.is_some_and(|d| lanes.held() == 0 || Instant::now() > d) {
                return;
            }
        }
    }

    /// Once a second: take back what others left, and see which lanes have anything due.
    fn look(self: &Arc<Self>, events: &mpsc::UnboundedSender<Event>) {
        let me = self.clone();
        let mut seen = Looked { events: events.clone(), due: Vec::new() };
        tokio::spawn(async move {
            // A database that does not answer must not be waited for longer than a look may take.
            if let Ok(due) = tokio::time::timeout(LOOK, me.due()).await {
                seen.due = due;
            } else {
                tracing::warn!("the database does not say which messages are due");
            }
            drop(seen);
        });
    }

    /// Lanes with due messages, those among them that their worker did not report on.
    async fn due(&self) -> Vec<String> {
        let now = self.clock.now();
        match self.store.reap(now).await {
            Ok(0) => {}
            Ok(n) => tracing::info!(messages = n, "took over messages whose worker did not report"),
            Err(e) => tracing::warn!(error = %e, "cannot take over abandoned messages"),
        }
        self.store.lanes_due(now).await.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "cannot look for due messages");
            Vec::new()
        })
    }

    fn claim(self: &Arc<Self>, lane: String, asked: usize, events: &mpsc::UnboundedSender<Event>) {
        let (me, events) = (self.clone(), events.clone());
        tokio::spawn(async move {
            let now = me.clock.now();
            let most = i64::try_from(asked).unwrap_or(i64::MAX);
            let until = now + me.settings.lease;
            let token = random_token();
            let ends = Instant::now() + std_of(me.settings.lease);
            let jobs = match me.store.claim(lane.clone(), most, now, until, token).await {
                Ok(jobs) => jobs,
                Err(e) => {
                    tracing::warn!(error = %e, "cannot take due messages");
                    Vec::new()
                }
            };
            let jobs = jobs.into_iter().map(|job| Held { job, until: ends }).collect();
            let _ = events.send(Event::Claimed { lane, asked, jobs });
        });
    }

    fn start(self: &Arc<Self>, job: Job, until: Instant, events: &mpsc::UnboundedSender<Event>) {
        let (me, events) = (self.clone(), events.clone());
        tokio::spawn(async move {
            let channel = job.channel.clone();
            let mut off = Off { events, lane: job.lane.clone(), channel, went: false };
            off.went = me.send(job, until).await;
        });
    }

    /// One attempt, recorded. Whether the receiver took it.
    async fn send(&self, job: Job, until: Instant) -> bool {
        // Not enough lease left to send and record: whoever takes it next does it whole.
        if Instant::now() + std_of(self.settings.send_timeout) > until {
            tracing::debug!(delivery = %job.id, "left to its next owner: too little of the lease is left");
            return false;
        }
        if !self.is_still_owed(&job, until).await {
            tracing::debug!(delivery = %job.id, "not sent: over while it waited here");
            return false;
        }
        let started = Instant::now();
        let now = self.clock.now();
        reach(Point::BeforeSend);
        if job.attempts == 0 {
            let waited = (now - job.created_at).num_microseconds().unwrap_or(0);
            #[allow(clippy::cast_precision_loss)] // microseconds of a wait
            self.metrics.first_attempt.observe(waited as f64 / 1e6);
        }
        // A message that breaks the renderer must not take the dispatcher with it.
        // And no channel may take longer than it was given: a mail server that says nothing at all
        // must not hold a slot for ever.
        let attempt = AssertUnwindSafe(self.attempt(&job, now)).catch_unwind();
        let carried = match tokio::time::timeout(std_of(self.settings.send_timeout), attempt).await
        {
            Ok(Ok(carried)) => carried,
            Ok(Err(_)) => {
                let why = "this message cannot be sent as it is";
                Carried::plain(Outcome::Refused { code: None, why, recipient: false })
            }
            Err(_) => {
                Carried::plain(Outcome::Retry { code: None, why: "no answer in time", after: None })
            }
        };
        reach(Point::AfterSend);
        let took = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let went = matches!(carried.outcome, Outcome::Accepted { .. });
        let set = self.recorded(&job, &carried, now, took);
        let lane = job.lane;
        reach(Point::BeforeRecord);
        if !self.record(set, until).await {
            self.worked.forget(&lane);
        }
        self.news.tell();
        went
    }

    /// Whether a message is still this node's to send. One that waited here for its turn may have been
    /// recalled or answered meanwhile; a database that does not say so keeps nobody from being told.
    async fn is_still_owed(&self, job: &Job, until: Instant) -> bool {
        let taken = until.checked_sub(std_of(self.settings.lease));
        if taken.is_none_or(|t| t.elapsed() < WAITED) {
            return true;
        }
        let asked = self.store.is_leased(job.id, job.lease_token);
        !matches!(tokio::time::timeout(COUNT, asked).await, Ok(Ok(false)))
    }

    async fn attempt(&self, job: &Job, now: DateTime<Utc>) -> Carried {
        let why = "this message cannot be read";
        let broken = Carried::plain(Outcome::Refused { code: None, why, recipient: false });
        let (Some(channel), Ok(mut notice)) =
            (Channel::parse(&job.channel), serde_json::from_str::<Notice>(&job.notice))
        else {
            return broken;
        };
        notice.code = self.store.unveiled(notice.code);
        let message = Message {
            id: job.id,
            alert_id: job.alert_id,
            lane: job.lane.clone(),
            channel,
            address: self.store.unveiled(job.address.clone()),
            notice,
            kind: job.kind.as_deref().and_then(AlertKind::parse),
            step: u32::try_from(job.step).unwrap_or(0),
            attempts: u32::try_from(job.attempts).unwrap_or(0),
        };
        let counted = match self.take_pace(&message, now).await {
            Ok(counted) => counted,
            Err(held_back) => return Carried::plain(held_back),
        };
        let carried = self.channels.send(&message, now).await;
        if let Some(number) = counted
            && carried.surely_stayed()
        {
            // No network saw it. Counted, an outage would hold a number back after its end.
            let (channel, id) = (message.channel.word(), message.id);
            if let Err(e) = self.store.give_pace_back(channel, &number, id, now).await {
                tracing::warn!(error = %e, "a message that stayed here counts as sent");
            }
        }
        carried
    }

    /// Slows down before a network would block the number, which is given if it was counted. The
    /// ladder does not wait for it: it goes on to the next channel or person.
    async fn take_pace(&self, m: &Message, now: DateTime<Utc>) -> Result<Option<String>, Outcome> {
        if !matches!(m.channel, Channel::Sms | Channel::Voice) {
            return Ok(None);
        }
        let words = self.channels.words_of(m);
        // "07700 900123" and "+44 7700 900123" are one handset to its network.
        let number = phone::normalise(&m.address).unwrap_or_else(|_| m.address.clone());
        let taking = self.store.take_pace(
            m.channel.word(),
            &number,
            &words,
            m.id,
            now,
            self.limits.identical,
            self.limits.any,
        );
        let Ok(taken) = tokio::time::timeout(COUNT, taking).await else {
            tracing::warn!("the database does not count messages to a number");
            return Ok(None);
        };
        match taken {
            Ok(true) => Ok(Some(number)),
            Ok(false) => Err(Outcome::Retry {
                code: None,
                why: "held back: too many messages to this number within an hour",
                after: Some(Duration::minutes(10)),
            }),
            // Not to be counted is no reason not to be told.
            Err(e) => {
                tracing::warn!(error = %e, "messages to a number cannot be counted");
                Ok(None)
            }
        }
    }
}
