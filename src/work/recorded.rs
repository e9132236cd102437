//! What an attempt leaves behind, and keeping it.

use super::dispatch::Dispatcher;
use crate::alerts::{Carried, ask_after};
use crate::domain::alert::{AlertState, Channel};
use crate::domain::delivery::{Outcome, jitter, wait};
use crate::platform::metrics::Sent;
use crate::store::Job;
use crate::store::changes::{AlertChange, AttemptRow, ChangeSet, DeliveryResult, PointChange};
use chrono::{DateTime, Utc};
use std::time::{Duration, Instant};

impl Dispatcher {
    /// The rows that an attempt leaves behind.
    pub(super) fn recorded(
        &self,
        job: &Job,
        carried: &Carried,
        at: DateTime<Utc>,
        took_ms: i64,
    ) -> ChangeSet {
        let outcome = &carried.outcome;
        let n = job.attempts + 1;
        let tried_for = at - job.created_at;
        let (state, next_at, word, code) = match outcome {
            Outcome::Accepted { code } => ("done", at, "accepted", *code),
            Outcome::Retry { code, why, .. } if tried_for > self.settings.give_up => {
                ("dead", at, *why, *code)
            }
            Outcome::Retry { code, why, after } => {
                ("due", at + wait(n, jitter(job.id, n), *after), *why, *code)
            }
            Outcome::Refused { code, why, .. } => ("dead", at, *why, *code),
        };
        let alert = if state == "done" { AlertState::Accepted } else { AlertState::Sending };
        self.count(&job.channel, state);
        if state != "done" {
            self.worked.forget(&job.lane);
        }
        if state == "dead" {
            tracing::error!(delivery = %job.id, alert = %job.alert_id, lane = job.lane, reason = word, "a message was given up: somebody must ring");
        } else if state == "due" {
            tracing::warn!(delivery = %job.id, lane = job.lane, attempt = n, reason = word, "a message did not go through; it will be tried again");
        }
        let row = |outcome: String, code: Option<u16>, took_ms, state: AlertState| AttemptRow {
            delivery_id: job.id,
            alert_id: job.alert_id,
            n,
            at,
            outcome,
            code: code.map(i64::from),
            took_ms,
            state: state.word().to_owned(),
        };
        // Providers that were passed over are part of the proof.
        let mut attempts: Vec<AttemptRow> = carried
            .passed_over
            .iter()
            .map(|(p, why, code)| row(format!("{p}: {why}"), *code, 0, AlertState::Sending))
            .collect();
        attempts.push(row(word.to_owned(), code, took_ms, alert));
        let area = job.lane.split('/').next().unwrap_or_default().to_owned();
        let point = self.store.point_change(&job.lane, &area, &job.address);
        // A mail server's or a system's yes is all that will ever be heard of an e-mail or a
        // webhook; a text's fate is told later.
        let heard = matches!(job.channel.as_str(), "email" | "webhook");
        let points = match state {
            "done" if heard && self.worked.news(&job.lane, &point.address, at) => {
                vec![PointChange { worked_at: Some(at), ..point }]
            }
            "dead" => match outcome {
                Outcome::Refused { why, recipient, .. } => {
                    let unusable = recipient.then(|| (*why).to_owned());
                    vec![PointChange { failed_at: Some(at), unusable, ..point }]
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        ChangeSet {
            attempts,
            points,
            maybe_hurry: if state == "done" { Vec::new() } else { vec![job.alert_id] },
            results: vec![DeliveryResult {
                id: job.id,
                lease_token: job.lease_token,
                state,
                next_at,
                attempts: n,
                outcome: word.to_owned(),
                provider: carried.provider,
                provider_id: carried.provider_id.clone(),
                ask_at: carried
                    .provider_id
                    .as_ref()
                    .and_then(|_| ask_after(carried.provider))
                    .map(|d| at + d),
            }],
            alert_changes: vec![AlertChange {
                id: job.alert_id,
                state: alert.word(),
                rank: alert.rank(),
            }],
            maybe_failed: if state == "dead" { vec![job.alert_id] } else { Vec::new() },
            ..ChangeSet::default()
        }
    }

    fn count(&self, channel: &str, state: &str) {
        let channel = Channel::parse(channel).map_or("unknown", Channel::word);
        let outcome = match state {
            "done" => "accepted",
            "dead" => "given_up",
            _ => "to_be_retried",
        };
        self.metrics.attempts.get_or_create(&Sent { channel, outcome }).inc();
    }

    /// Records an attempt; while the database is away, as long as the lease lasts. After that the
    /// message goes out again under the same id, which receivers know how to drop.
    /// Whether it was.
    pub(super) async fn record(&self, set: ChangeSet, until: Instant) -> bool {
        loop {
            match self.store.commit(set.clone()).await {
                Ok(()) => return true,
                Err(e) if Instant::now() > until => {
                    tracing::error!(error = %e, "an attempt could not be recorded; it will be repeated");
                    return false;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}
