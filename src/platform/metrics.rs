//! Figures for operators. Labels are channels, outcomes and stages: never a case or a person.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Sent {
    pub channel: &'static str,
    pub outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Answered {
    pub route: String,
    pub status: u16,
}

/// Every figure the service keeps in memory.
pub struct Metrics {
    registry: Registry,
    pub notifications: Counter,
    pub attempts: Family<Sent, Counter>,
    pub requests: Family<Answered, Counter>,
    /// Seconds from the commit to the first attempt handed to a receiver.
    pub first_attempt: Histogram,
    pub commit_size: Histogram,
    pub open_alerts: Gauge,
    pub oldest_unacknowledged_minutes: Gauge,
    pub dead_letters: Gauge,
    /// What the watcher holds against the service.
    pub findings: Gauge,
    pub queue: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut m = Self {
            registry: Registry::with_prefix("cdr"),
            notifications: Counter::default(),
            attempts: Family::default(),
            requests: Family::default(),
            first_attempt: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            commit_size: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            open_alerts: Gauge::default(),
            oldest_unacknowledged_minutes: Gauge::default(),
            dead_letters: Gauge::default(),
            findings: Gauge::default(),
            queue: Gauge::default(),
        };
        let r = &mut m.registry;
        r.register("notifications", "Notifications accepted", m.notifications.clone());
        r.register("delivery_attempts", "Attempts to deliver an alert", m.attempts.clone());
        r.register("http_requests", "Requests answered", m.requests.clone());
        r.register(
            "first_attempt_seconds",
            "From commit to the first attempt",
            m.first_attempt.clone(),
        );
        r.register("commit_changes", "Changes that shared one commit", m.commit_size.clone());
        r.register("alerts_open", "Alerts not yet acknowledged", m.open_alerts.clone());
        r.register(
            "oldest_unacknowledged_minutes",
            "Age of the oldest alert that waits for a person",
            m.oldest_unacknowledged_minutes.clone(),
        );
        r.register(
            "watcher_findings",
            "What the watcher found and could not mend",
            m.findings.clone(),
        );
        r.register(
            "dead_letters",
            "Deliveries given up, waiting for a person to replay or clear them",
            m.dead_letters.clone(),
        );
        r.register("deliveries_waiting", "Deliveries due or in hand", m.queue.clone());
        m
    }
}

impl Metrics {
    /// The Prometheus text (`OpenMetrics` 1.0).
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut out, &self.registry);
        out
    }
}
