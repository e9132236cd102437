//! What has happened to a case, in the order it happened. Events are never changed or removed;
//! a new shape gets a new name beside the old one.

use super::alert::{AlertKind, PlannedAlert};
use super::facts::{Amendment, Facts};
use super::id::{AlertId, PanelId, Reference};
use super::intake::Warning;
use super::jar::{Assessment, Decision};
use super::milestone::Record;
use super::scope::Scope;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// How a notification came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    Page,
    Api,
    Seed,
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

/// How an acknowledgement reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    #[serde(rename = "self")]
    Themselves,
    /// Someone spoke to them and says so.
    Telephone,
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
    },
    JarStoodDown {
        reason: String,
        consulted: Vec<Person>,
        decided_by: Person,
        recalled: Vec<AlertId>,
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
}

impl Event {
    /// The name kept beside the sealed payload.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotificationReceived { .. } => "notification_received",
            Self::JarAssessed { .. } => "jar_assessed",
            Self::AlertsPlanned { .. } => "alerts_planned",
            Self::FactsAmended { .. } => "facts_amended",
            Self::JarStoodDown { .. } => "jar_stood_down",
            Self::JarCalled { .. } => "jar_called",
            Self::AlertAcknowledged { .. } => "alert_acknowledged",
            Self::MilestoneRecorded { .. } => "milestone_recorded",
            Self::ListedForPanel { .. } => "listed_for_panel",
            Self::TakenOffPanel { .. } => "taken_off_panel",
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
