//! What has happened to a case, in the order it happened. Events are never changed or removed;
//! a new shape gets a new name beside the old one.

use super::alert::{AlertKind, ContactPoint, PlannedAlert};
use super::document::DocumentKind;
use super::escalation::{Progress, Why};
use super::facts::{Amendment, Facts, words};
use super::id::{AlertId, CaseId, PanelId, Reference};
use super::intake::Warning;
use super::jar::{Assessment, Decision};
use super::likeness::Verdict;
use super::milestone::Record;
use super::reading::Readings;
use super::scope::Scope;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a notification came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    Page,
    Api,
    Seed,
    /// Not a death: an exercise of the whole path.
    Drill,
}

/// Somebody by name: consulted, deciding, acknowledging.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Person {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agency: String,
}

/// Somebody with an account, as they were called when it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub id: Uuid,
    pub name: String,
}

/// How an acknowledgement reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    #[serde(rename = "self")]
    Themselves,
    /// Someone spoke to them and says so.
    Telephone,
    /// The link in a message, and the button behind it.
    Link,
    /// A reply to a text.
    Reply,
    /// A key pressed during a call.
    VoiceKey,
}

impl Means {
    /// As the board says it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Themselves => "signed in",
            Self::Telephone => "spoken to by telephone",
            Self::Link => "by the link",
            Self::Reply => "by text",
            Self::VoiceKey => "by key during a call",
        }
    }
}

/// What a step of a ladder did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum Step {
    /// Tried the next contact points.
    Rung,
    /// Told a named human to ring, and tried the agency once more.
    Ring { human: String, number: String, points: Vec<ContactPoint> },
    /// Began again, because nothing followed the acknowledgement.
    ComeBack,
}

/// Why fields were put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum SetHow {
    /// The change that was this entry of the case is taken back.
    Undo { version: i64 },
    /// Somebody chose between accounts.
    Settled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Event {
    NotificationReceived {
        reference: Reference,
        area: String,
        route: Route,
        facts: Box<Facts>,
        warnings: Vec<Warning>,
    },
    /// The rules were run. `standing` is what holds from now on: the rules' answer, or the more
    /// cautious one that stood before.
    JarAssessed {
        assessment: Assessment,
        scope: Scope,
        standing: Decision,
    },
    AlertsPlanned {
        alerts: Vec<PlannedAlert>,
    },
    FactsAmended {
        patch: Box<Facts>,
        how: Amendment,
        changed: Vec<String>,
        reason: String,
        /// The second account that they came with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<CaseId>,
    },
    /// Fields put exactly so: an earlier change undone, or two accounts settled.
    FactsSet {
        fields: Readings,
        how: SetHow,
        reason: String,
    },
    JarStoodDown {
        reason: String,
        consulted: Vec<Person>,
        decided_by: Person,
        recalled: Vec<AlertId>,
        /// Those of them that somebody had opened by then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        opened: Vec<AlertId>,
        /// The case whose second account this is, if it was that one's response that ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with: Option<CaseId>,
    },
    /// Made in error, or a second notification of the same death.
    NotificationWithdrawn {
        reason: String,
        decided_by: Person,
        recalled: Vec<AlertId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        opened: Vec<AlertId>,
    },
    /// A person decided that a response is due although the rules did not say so.
    JarCalled {
        reason: String,
        consulted: Vec<Person>,
        decided_by: Person,
    },
    AlertAcknowledged {
        alert: AlertId,
        agency: String,
        person: Person,
        note: String,
        means: Means,
    },
    /// A rung of an agency's ladder.
    AlertStepped {
        alert: AlertId,
        agency: String,
        step: Step,
        why: Why,
        /// Contact points of the agency that were tried.
        points: Vec<ContactPoint>,
        progress: Progress,
    },
    /// They have it but cannot attend.
    AlertHandedOn {
        alert: AlertId,
        agency: String,
        person: Person,
        means: Means,
        /// Whom they named, in their words; empty if nobody.
        to: String,
        note: String,
        /// Where that person was written to, if a number or address was given.
        points: Vec<ContactPoint>,
        progress: Progress,
    },
    /// The watcher put a next step right that was missing or impossibly far ahead.
    ObligationMended {
        alert: AlertId,
        agency: String,
        progress: Progress,
    },
    /// What an agency does as its part of the response.
    JarPlanEntered {
        agency: String,
        person: Person,
        entry: String,
    },
    MilestoneRecorded {
        record: Record,
        note: String,
    },
    ListedForPanel {
        panel: PanelId,
        panel_name: String,
        held_on: NaiveDate,
        anonymous_reference: String,
        /// Why it was listed although something was missing.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        despite: Option<String>,
    },
    TakenOffPanel {
        panel: PanelId,
        reason: String,
    },
    /// A document has arrived whole; its content is kept beside the journal.
    DocumentAdded {
        id: Uuid,
        name: String,
        kind: DocumentKind,
        size: u64,
        digest: String,
        by: Person,
    },
    /// Its content is gone.
    DocumentWithdrawn {
        id: Uuid,
        reason: String,
        by: Person,
    },
    /// Only these people may open the case from now on.
    CaseRestricted {
        reason: String,
        people: Vec<Named>,
        by: Person,
    },
    CaseUnrestricted {
        reason: String,
        by: Person,
    },
    /// Somebody who is not on the list opened the case, for some hours.
    GlassBroken {
        who: Named,
        role: String,
        reason: String,
        until: DateTime<Utc>,
    },
    /// The guardian has looked into it.
    GlassReviewed {
        who: Uuid,
        broken_at: DateTime<Utc>,
        by: Person,
        note: String,
    },
    LegalHoldPlaced {
        reason: String,
        by: Person,
    },
    LegalHoldLifted {
        reason: String,
        by: Person,
    },
    /// Another report of this death was made an account of this case: by itself if nobody is named.
    AccountAttached {
        account: CaseId,
        reference: Reference,
        by: Option<Person>,
        reason: String,
        /// Agencies that hold alerts of it.
        agencies: Vec<String>,
    },
    /// It is not about this death after all.
    AccountDetached {
        account: CaseId,
        reference: Reference,
        by: Person,
        reason: String,
    },
    /// The other side: this report is an account of another case.
    BecameAccount {
        first: CaseId,
        reference: Reference,
        by: Option<Person>,
        reason: String,
        /// Whom it would have alerted by itself.
        told: Vec<StoodIn>,
        /// Open alerts that are answered for there.
        settled: Vec<AlertId>,
    },
    /// Whom more facts of an account would have alerted by themselves.
    AccountToldMore {
        told: Vec<StoodIn>,
    },
    /// It stands for itself again.
    BecameCase {
        first: CaseId,
        reference: Reference,
        by: Person,
        reason: String,
    },
    /// Another case may be about the same death, or about a twin, a sibling, one incident.
    LikenessFound {
        other: CaseId,
        verdict: Verdict,
        agrees: Vec<String>,
        differs: Vec<String>,
        /// Keyed digest of what was compared.
        seen: String,
    },
    /// A person has looked.
    LikenessSettled {
        other: CaseId,
        settled: Settled,
        by: Person,
        reason: String,
        seen: String,
    },
    /// Whose case it is in the office from now on; nobody's without `to`.
    CaseAssigned {
        to: Option<Named>,
        by: Person,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by_id: Option<Uuid>,
        #[serde(skip_serializing_if = "String::is_empty", default)]
        note: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        until: Option<NaiveDate>,
        /// Took an assignment back: nothing was handed over.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        undo: bool,
    },
    /// Whoever it was handed to has said that they have it.
    HandOverTaken {
        who: Uuid,
    },
}

/// An alert that a report called for and that the first case's alerts stand in for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoodIn {
    pub id: AlertId,
    pub agency: String,
    pub agency_name: String,
    pub kind: AlertKind,
    pub acknowledge: bool,
    pub no_contact: bool,
}

words!(
    /// What a person decided about two cases that are alike.
    Settled { NotTheSame = "not_the_same", Related = "related" }
);

impl Event {
    /// A step that the service takes by itself, whoever looks on: a rung of a ladder, a mended
    /// obligation, a pair that was found.
    #[must_use]
    pub fn is_by_itself(&self) -> bool {
        matches!(
            self,
            Self::AlertStepped { .. } | Self::ObligationMended { .. } | Self::LikenessFound { .. }
        )
    }

    /// The name kept beside the sealed payload.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotificationReceived { .. } => "notification_received",
            Self::JarAssessed { .. } => "jar_assessed",
            Self::AlertsPlanned { .. } => "alerts_planned",
            Self::FactsAmended { .. } => "facts_amended",
            Self::FactsSet { .. } => "facts_set",
            Self::JarStoodDown { .. } => "jar_stood_down",
            Self::JarCalled { .. } => "jar_called",
            Self::NotificationWithdrawn { .. } => "notification_withdrawn",
            Self::AlertAcknowledged { .. } => "alert_acknowledged",
            Self::AlertStepped { .. } => "alert_stepped",
            Self::AlertHandedOn { .. } => "alert_handed_on",
            Self::ObligationMended { .. } => "obligation_mended",
            Self::JarPlanEntered { .. } => "jar_plan_entered",
            Self::MilestoneRecorded { .. } => "milestone_recorded",
            Self::ListedForPanel { .. } => "listed_for_panel",
            Self::TakenOffPanel { .. } => "taken_off_panel",
            Self::DocumentAdded { .. } => "document_added",
            Self::DocumentWithdrawn { .. } => "document_withdrawn",
            Self::CaseRestricted { .. } => "case_restricted",
            Self::CaseUnrestricted { .. } => "case_unrestricted",
            Self::GlassBroken { .. } => "glass_broken",
            Self::GlassReviewed { .. } => "glass_reviewed",
            Self::LegalHoldPlaced { .. } => "legal_hold_placed",
            Self::LegalHoldLifted { .. } => "legal_hold_lifted",
            Self::AccountAttached { .. } => "account_attached",
            Self::AccountDetached { .. } => "account_detached",
            Self::BecameAccount { .. } => "became_account",
            Self::AccountToldMore { .. } => "account_told_more",
            Self::BecameCase { .. } => "became_case",
            Self::LikenessFound { .. } => "likeness_found",
            Self::LikenessSettled { .. } => "likeness_settled",
            Self::CaseAssigned { .. } => "case_assigned",
            Self::HandOverTaken { .. } => "hand_over_taken",
        }
    }
}

/// An event with when it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub at: DateTime<Utc>,
    pub event: Event,
}

/// The kind of alert that a decision calls for.
#[must_use]
pub fn alert_for(decision: Decision) -> Option<AlertKind> {
    match decision {
        Decision::Triggered => Some(AlertKind::JarTriggered),
        Decision::Provisional => Some(AlertKind::JarProvisional),
        Decision::NotTriggered => None,
    }
}
