//! A change set: plain data that is committed whole or not at all.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// Everything one command changes. Rows are as stored; sealing and hashing happened before.
#[derive(Clone, Debug, Default)]
pub struct ChangeSet {
    pub new_streams: Vec<NewStream>,
    pub advanced: Vec<Advanced>,
    pub entries: Vec<Entry>,
    pub cases: Vec<CaseRow>,
    pub lookups: Vec<Lookup>,
    pub alerts: Vec<AlertRow>,
    pub alert_changes: Vec<AlertChange>,
    pub deliveries: Vec<DeliveryRow>,
    /// Alerts whose waiting messages are not to be sent any more.
    pub cancelled: Vec<Uuid>,
    pub attempts: Vec<AttemptRow>,
    pub results: Vec<DeliveryResult>,
    /// Alerts that may have lost their last message: failed if nothing of them is left to try.
    pub maybe_failed: Vec<Uuid>,
    pub answers: Vec<AnswerRow>,
    pub audit: Vec<AuditRow>,
    pub panels: Vec<PanelRow>,
    pub listed: Vec<PanelCaseRow>,
    pub unlisted: Vec<(Uuid, Uuid)>,
}

impl ChangeSet {
    /// About how many rows it writes.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.entries.len()
            + self.cases.len()
            + self.lookups.len()
            + self.alerts.len()
            + self.deliveries.len()
            + self.attempts.len() * 3
            + self.audit.len()
            + 2
    }
}

/// The first entries of a stream.
#[derive(Clone, Debug)]
pub struct NewStream {
    pub id: Uuid,
    pub version: i64,
    pub head: Vec<u8>,
    pub key_name: String,
    pub wrapped_key: Vec<u8>,
}

/// More entries of a stream that must stand at `from`.
#[derive(Clone, Debug)]
pub struct Advanced {
    pub id: Uuid,
    pub from: i64,
    pub to: i64,
    pub head: Vec<u8>,
}

/// One journal entry, sealed and chained.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Entry {
    pub stream_id: Uuid,
    pub version: i64,
    pub name: String,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub payload: Vec<u8>,
    pub hash: Vec<u8>,
}

/// The read row of a case.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct CaseRow {
    pub id: Uuid,
    pub reference: String,
    pub area: String,
    pub stage: String,
    pub jar: String,
    pub in_scope: bool,
    pub ready: bool,
    pub event: Option<String>,
    pub age_band: Option<String>,
    pub category: Option<i64>,
    pub received_at: DateTime<Utc>,
    pub died_on: Option<NaiveDate>,
    /// JSON list of blockers.
    pub blockers: String,
    pub version: i64,
    pub changed_at: DateTime<Utc>,
    pub sealed_facts: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Lookup {
    pub kind: &'static str,
    pub digest: Vec<u8>,
    pub case_id: Uuid,
}

/// The read row of an alert.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct AlertRow {
    pub id: Uuid,
    pub case_id: Uuid,
    pub agency: String,
    pub agency_name: String,
    pub kind: String,
    pub acknowledge: bool,
    pub state: String,
    pub rank: i64,
    pub planned_at: DateTime<Utc>,
    /// JSON: what the message says, frozen when it was planned.
    pub notice: String,
}

/// A move of an alert; lower ranks never overwrite higher ones.
#[derive(Clone, Debug)]
pub struct AlertChange {
    pub id: Uuid,
    pub state: &'static str,
    pub rank: i64,
}

/// One message to one contact point. `lease_token` not zero: it is born in the hands of this
/// process, which sends it at once.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    pub id: Uuid,
    pub alert_id: Uuid,
    pub lane: String,
    pub channel: &'static str,
    pub address: String,
    pub urgent: bool,
    pub state: &'static str,
    pub next_at: DateTime<Utc>,
    pub lease_until: Option<DateTime<Utc>>,
    pub lease_token: i64,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AttemptRow {
    pub delivery_id: Uuid,
    pub alert_id: Uuid,
    pub n: i64,
    pub at: DateTime<Utc>,
    pub outcome: String,
    pub code: Option<i64>,
    pub took_ms: i64,
    /// The alert's state that this attempt is evidence for.
    pub state: String,
}

/// Where a delivery stands after an attempt; applies only while the lease is still held.
#[derive(Clone, Debug)]
pub struct DeliveryResult {
    pub id: Uuid,
    pub lease_token: i64,
    pub state: &'static str,
    pub next_at: DateTime<Utc>,
    pub attempts: i64,
    pub outcome: String,
}

/// The first answer to an idempotency key.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AnswerRow {
    pub digest: Vec<u8>,
    pub body: Vec<u8>,
    pub status: i64,
    pub answer: String,
    pub at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub struct AuditRow {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub action: &'static str,
    pub case_id: Option<Uuid>,
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct PanelRow {
    pub id: Uuid,
    pub area: String,
    pub name: String,
    pub held_on: NaiveDate,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct PanelCaseRow {
    pub panel_id: Uuid,
    pub case_id: Uuid,
    pub anonymous_reference: String,
    pub listed_at: DateTime<Utc>,
}
