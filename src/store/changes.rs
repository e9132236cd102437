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
    /// The same cases as lists have them.
    pub lines: Vec<super::lines::LineRow>,
    pub lookups: Vec<Lookup>,
    pub alerts: Vec<AlertRow>,
    pub alert_changes: Vec<AlertChange>,
    /// Where obligations stand after this change.
    pub progress: Vec<AlertProgress>,
    pub deliveries: Vec<DeliveryRow>,
    pub bulletins: Vec<BulletinRow>,
    /// Alerts whose waiting messages are not to be sent any more.
    pub cancelled: Vec<Uuid>,
    /// Alerts that a person has answered: people are left in peace, systems still hear of it.
    pub quieted: Vec<Uuid>,
    pub attempts: Vec<AttemptRow>,
    pub results: Vec<DeliveryResult>,
    /// Alerts that may have lost their last message: failed if nothing of them is left to try.
    pub maybe_failed: Vec<Uuid>,
    /// Alerts whose last step may have come to nothing: the next one is not waited for, if so.
    pub maybe_hurry: Vec<Uuid>,
    /// What carriers said of messages that they had accepted.
    pub receipts: Vec<ReceiptRow>,
    /// What became known of contact points.
    pub points: Vec<PointChange>,
    /// Daily and weekly work done by this change: (what, day). If another node was first, the
    /// whole change is a conflict.
    pub done: Vec<DoneRow>,
    /// Findings that this change tells. If another node told one meanwhile, the whole change is a
    /// conflict.
    pub raised: Vec<RaisedRow>,
    pub directories: Vec<DirectoryRow>,
    pub answers: Vec<AnswerRow>,
    /// Drafts that became cases; if one was sent before, the whole change is a conflict.
    pub sent_drafts: Vec<SentDraft>,
    pub audit: Vec<AuditRow>,
    pub panels: Vec<PanelRow>,
    pub listed: Vec<PanelCaseRow>,
    pub unlisted: Vec<(Uuid, Uuid)>,
    /// Contents of documents that have arrived whole, or go.
    pub documents: Vec<DocumentChange>,
    /// Moves of who may open a restricted case.
    pub access: Vec<AccessChange>,
    /// Cases that were found alike, or decided about.
    pub likenesses: Vec<LikenessRow>,
}

impl ChangeSet {
    /// Takes in another, so that both are committed or neither.
    pub fn absorb(&mut self, other: Self) {
        macro_rules! append {
            ($($field:ident),+ $(,)?) => {
                // Named one by one: a field that is forgotten here does not compile.
                let Self { $($field),+ } = other;
                $( self.$field.extend($field); )+
            };
        }
        append!(
            new_streams,
            advanced,
            entries,
            cases,
            lines,
            lookups,
            alerts,
            alert_changes,
            progress,
            deliveries,
            bulletins,
            cancelled,
            quieted,
            attempts,
            results,
            maybe_failed,
            maybe_hurry,
            receipts,
            points,
            done,
            raised,
            directories,
            answers,
            sent_drafts,
            audit,
            panels,
            listed,
            unlisted,
            access,
            likenesses,
            documents,
        );
    }

    /// About how many rows it writes.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.entries.len()
            + self.cases.len()
            + self.lines.len()
            + self.lookups.len()
            + self.alerts.len()
            + self.deliveries.len()
            + self.progress.len()
            + self.receipts.len()
            + self.attempts.len() * 3
            + self.audit.len()
            + 2
    }
}

/// What becomes of a document's content.
#[derive(Clone, Copy, Debug)]
pub enum DocumentChange {
    Kept(Uuid),
    Gone(Uuid),
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

/// A draft that becomes a case: what is left of it once the case holds its facts.
#[derive(Clone, Debug)]
pub struct SentDraft {
    pub id: Uuid,
    /// As it was judged: whoever saves a page meanwhile makes it be judged again.
    pub version: i64,
    pub case_id: Uuid,
    pub at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub sealed: Vec<u8>,
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
#[allow(clippy::struct_excessive_bools)] // columns
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
    /// Open to a named list of people only.
    pub restricted: bool,
    /// Under legal hold.
    pub held: bool,
    /// The case that this one is an account of.
    pub account_of: Option<Uuid>,
}

/// A pair of cases; `case_id` is the later one.
#[derive(Clone, Debug)]
pub struct LikenessRow {
    pub case_id: Uuid,
    pub other_id: Uuid,
    pub verdict: &'static str,
    pub decided: &'static str,
    pub at: DateTime<Utc>,
    pub seen: String,
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
    pub phase: String,
    pub step_at: Option<DateTime<Utc>>,
    pub steps: i64,
    pub drill: bool,
}

/// Where an obligation stands after an event.
#[derive(Clone, Debug)]
pub struct AlertProgress {
    pub id: Uuid,
    pub phase: &'static str,
    pub step_at: Option<DateTime<Utc>>,
    pub steps: i64,
    /// Not acknowledged any more: they cannot attend, or nobody acted on it and it came back.
    pub reopened: bool,
}

/// A message of the service itself.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct BulletinRow {
    pub id: Uuid,
    pub area: String,
    pub kind: String,
    pub alert_id: Option<Uuid>,
    pub notice: String,
    pub at: DateTime<Utc>,
}

/// Daily or weekly work that was done.
#[derive(Clone, Debug)]
pub struct DoneRow {
    pub what: String,
    pub day: String,
    pub at: DateTime<Utc>,
}

/// A finding of the watcher that people are told.
#[derive(Clone, Debug)]
pub struct RaisedRow {
    pub what: String,
    pub at: DateTime<Utc>,
}

/// A call-back that was taken.
#[derive(Clone, Debug)]
pub struct HookRow {
    pub digest: Vec<u8>,
    pub at: DateTime<Utc>,
}

/// What a carrier said of a message.
#[derive(Clone, Debug)]
pub struct ReceiptRow {
    pub delivery_id: Uuid,
    pub receipt: String,
    /// When to ask again; none when this is the last word.
    pub ask_at: Option<DateTime<Utc>>,
}

/// What became known of a contact point: it worked, it failed, it is no use any more.
#[derive(Clone, Debug)]
pub struct PointChange {
    pub lane: String,
    pub area: String,
    /// Keyed digest of the address it is about.
    pub address: Vec<u8>,
    pub worked_at: Option<DateTime<Utc>>,
    pub failed_at: Option<DateTime<Utc>>,
    /// `Some("")` makes it usable again.
    pub unusable: Option<String>,
}

/// One version of an area's directory.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DirectoryRow {
    pub area: String,
    pub version: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub what: String,
    pub sealed: Vec<u8>,
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
    /// The step of the ladder that it belongs to.
    pub step: i64,
    /// Said instead of what the alert says.
    pub kind: Option<&'static str>,
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
    /// Who carried it, and under which name there.
    pub provider: Option<&'static str>,
    pub provider_id: Option<String>,
    /// When the carrier is asked what became of it, if it has not said.
    pub ask_at: Option<DateTime<Utc>>,
}

/// The first answer to an idempotency key. It is stored veiled, and goes with its case.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AnswerRow {
    pub digest: Vec<u8>,
    pub body: Vec<u8>,
    /// The case that it tells of.
    pub case_id: Option<Uuid>,
    pub status: i64,
    pub answer: String,
    pub at: DateTime<Utc>,
}

impl AnswerRow {
    /// The row for an answer, if its request came with a key: `digests` are those of the key and
    /// of the body.
    #[must_use]
    pub fn of(
        digests: Option<&(Vec<u8>, Vec<u8>)>,
        case_id: Option<Uuid>,
        status: i64,
        answer: &str,
        at: DateTime<Utc>,
    ) -> Option<Self> {
        let (digest, body) = digests?.clone();
        Some(Self { digest, body, case_id, status, answer: answer.to_owned(), at })
    }
}

/// Who looked at what, in which role and, where that is known, why.
#[derive(Clone, Debug, Default)]
pub struct AuditRow {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub action: &'static str,
    pub case_id: Option<Uuid>,
    pub role: &'static str,
    /// A word; reasons in free text are sealed in the journal.
    pub purpose: &'static str,
}

/// A move of who may open a restricted case.
#[derive(Clone, Debug)]
pub enum AccessChange {
    /// The whole list anew.
    People {
        case_id: Uuid,
        people: Vec<Uuid>,
    },
    Glass {
        case_id: Uuid,
        user_id: Uuid,
        at: DateTime<Utc>,
        until: DateTime<Utc>,
        role: String,
    },
    Reviewed {
        case_id: Uuid,
        user_id: Uuid,
        broken_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
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
