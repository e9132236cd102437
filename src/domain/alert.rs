//! Alerts: what one agency is owed about one event, and the states it goes through.

use super::escalation::Ladder;
use super::facts::words;
use super::id::AlertId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

words!(
    /// What an alert is about.
    AlertKind {
        DeathNotified = "death_notified",
        JarTriggered = "jar_triggered",
        JarProvisional = "jar_provisional",
        /// A provisional response that is now certain.
        JarUpgraded = "jar_upgraded",
        JarStoodDown = "jar_stood_down",
        /// The notification was withdrawn: made in error, or a second one of the same death.
        JarRecalled = "jar_recalled",
        /// The criteria are not met; for those who want to know of that.
        NotJar = "not_jar",
        /// Acknowledged, but nothing in the response plan yet.
        Reminder = "reminder",
        /// Somebody at the agency cannot attend and named the reader instead.
        HandedOn = "handed_on",
        /// To the named human: ring the agency that does not answer.
        RingThem = "ring_them",
        /// To the named human: ring these agencies, none of which answers.
        RingAll = "ring_all",
        /// To the named human: the agency has answered, nobody need ring any more.
        Answered = "answered",
        /// Somebody who is to be reached cannot be.
        CoverageGap = "coverage_gap",
        /// To whoever is on: you are, tonight.
        CoveredTonight = "covered_tonight",
        /// To the office: the daily list of who is on and where nobody is.
        Tonight = "tonight",
        /// The weekly silent test of a contact point.
        Test = "test",
        /// The code that verifies a contact point.
        Verify = "verify",
        /// The resume code of a draft, to whoever is writing it.
        DraftCode = "draft_code",
        /// The watcher found something that it could not mend.
        Watcher = "watcher",
        /// To a person: set up how you sign in.
        Invitation = "invitation",
        /// To the guardian: somebody opened a restricted case without being on its list.
        BreakGlass = "break_glass",
    }
);
words!(
    /// "Accepted by the provider", "delivered", "opened" and "acknowledged by a person" are four
    /// different claims and never mixed up.
    AlertState {
        Planned = "planned",
        /// Tried, not yet accepted by any provider.
        Sending = "sending",
        Accepted = "accepted",
        Delivered = "delivered",
        Opened = "opened",
        Acknowledged = "acknowledged",
        /// Every message was refused for good.
        Failed = "failed",
        Expired = "expired",
        Recalled = "recalled",
        /// The directory names no way to reach the agency: somebody must ring.
        NoContact = "no_contact",
    }
);
words!(
    Channel { Email = "email", Webhook = "webhook", Sms = "sms", Voice = "voice" }
);

impl AlertKind {
    /// Shown to people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::DeathNotified => "Child death notified",
            Self::JarTriggered => "Joint Agency Response",
            Self::JarProvisional => "Joint Agency Response, until ruled out",
            Self::JarUpgraded => "Joint Agency Response confirmed",
            Self::JarStoodDown => "Joint Agency Response stood down",
            Self::JarRecalled => "Notification withdrawn",
            Self::NotJar => "No Joint Agency Response",
            Self::Reminder => "Joint Agency Response, waiting for your plan",
            Self::HandedOn => "Joint Agency Response, handed on to you",
            Self::RingThem => "A partner has not answered: please ring",
            Self::RingAll => "Partners have not answered: please ring",
            Self::Answered => "They have answered: no need to ring",
            Self::CoverageGap => "Nobody can be reached",
            Self::CoveredTonight => "You are on tonight",
            Self::Tonight => "Tonight's cover",
            Self::Test => "Test, no action needed",
            Self::Verify => "Contact check",
            Self::DraftCode => "Your notification, to go on with",
            Self::Watcher => "The service needs attention",
            Self::Invitation => "Set up how you sign in",
            Self::BreakGlass => "A restricted case was opened",
        }
    }

    /// Goes before everything that is not.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        !matches!(
            self,
            Self::DeathNotified
                | Self::NotJar
                | Self::CoveredTonight
                | Self::Tonight
                | Self::Test
                | Self::Invitation
        )
    }

    /// Whether a person may be asked to acknowledge it: the duty to respond, and word of a death.
    #[must_use]
    pub fn asks_for_acknowledgement(self) -> bool {
        self.is_response() || matches!(self, Self::DeathNotified | Self::NotJar)
    }

    /// Kinds of which partners are told; a policy can speak of those that do not go by themselves.
    pub const EVENTS: [Self; 7] = [
        Self::JarTriggered,
        Self::JarProvisional,
        Self::JarUpgraded,
        Self::JarStoodDown,
        Self::JarRecalled,
        Self::DeathNotified,
        Self::NotJar,
    ];

    /// Word that it is over. It goes once to exactly those who were alerted, where they were tried:
    /// no policy counts for it, and no ladder is climbed.
    #[must_use]
    pub fn goes_by_itself(self) -> bool {
        matches!(self, Self::JarStoodDown | Self::JarRecalled)
    }

    /// The duty to respond: what a stand-down recalls.
    #[must_use]
    pub fn is_response(self) -> bool {
        matches!(self, Self::JarTriggered | Self::JarProvisional | Self::JarUpgraded)
    }
}

impl AlertState {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sending => "trying to send",
            Self::Accepted => "accepted by the mail or web service, not yet seen",
            Self::Delivered => "delivered, not yet seen",
            Self::Opened => "opened, not yet acknowledged",
            Self::Acknowledged => "acknowledged by a person",
            Self::Failed => "could not be sent: ring them",
            Self::Expired => "expired",
            Self::Recalled => "recalled",
            Self::NoContact => "no way to reach them is known: ring them",
        }
    }

    /// Order of the states; an alert only ever moves up.
    #[must_use]
    pub fn rank(self) -> i64 {
        match self {
            Self::Planned => 0,
            Self::Sending | Self::NoContact => 1,
            Self::Failed => 2,
            Self::Accepted => 3,
            Self::Delivered => 4,
            Self::Opened => 5,
            Self::Expired => 6,
            Self::Recalled => 7,
            Self::Acknowledged => 8,
        }
    }

    /// Whether someone still has to see that the agency is reached.
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Acknowledged | Self::Expired | Self::Recalled)
    }
}

/// One way to reach an agency, as it stood when the alert was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactPoint {
    /// Stable name in the directory, `police/control-room`; also the lane of the dispatcher, so
    /// that one slow receiver never delays another.
    pub id: String,
    pub channel: Channel,
    /// E-mail address, URL or telephone number.
    pub address: String,
    /// The person or desk behind it, in words; for the board.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
}

/// An alert as planned: a snapshot, so that a later change of the directory cannot rewrite what
/// was owed to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAlert {
    pub id: AlertId,
    pub agency: String,
    pub agency_name: String,
    pub kind: AlertKind,
    /// Whether a person at the agency has to acknowledge.
    pub acknowledge: bool,
    /// The first rung: tried at once.
    pub contacts: Vec<ContactPoint>,
    /// What follows while nobody acknowledges; none where no acknowledgement is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
    pub desk: Desk,
}

/// Whose alert it is and where a partner rings for particulars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    pub area: String,
    pub area_name: String,
    pub call_back: String,
}

/// Everything a message may say, frozen with the alert. Nothing here is about the child: this type
/// is the only thing that message texts are made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub reference: String,
    pub kind: AlertKind,
    pub agency: String,
    pub agency_name: String,
    pub acknowledge: bool,
    pub desk: Desk,
    pub at: DateTime<Utc>,
    /// Part of an exercise: every text says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
    /// For words of the service itself: lines made of agencies, roles, hours and counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// A code to be typed in, where one is needed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// For the named human: the agencies to ring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ring: Vec<ToRing>,
}

/// An agency that a human is to ring, and at what number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToRing {
    pub agency: String,
    pub name: String,
    /// Empty if none is known.
    pub number: String,
}

/// Who is to be told of an event: answered by the directory, snapshotted by the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub agency: String,
    pub agency_name: String,
    pub acknowledge: bool,
    pub contacts: Vec<ContactPoint>,
    pub ladder: Option<Ladder>,
}
