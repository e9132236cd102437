//! Who is told of what, how urgently, and the ladder that is climbed until somebody acknowledges.

use super::{Agency, Contact, LAST_STEP, When};
use crate::domain::alert::{AlertKind, Channel};
use crate::domain::facts::words;
use serde::{Deserialize, Serialize};

words!(
    Urgency {
        /// Day and night.
        Now = "now",
        /// When the office opens.
        Office = "office",
    }
);
words!(
    /// Whom a step turns to.
    Whom {
        /// Whoever is on: first on the rota, and the desks that hold at that hour.
        Duty = "duty",
        /// The next on the rota; without one, every desk whatever its hours.
        Backup = "backup",
        /// Desks at any hour and everybody on the rota today.
        Everyone = "everyone",
        /// The people and desks of the team named in `team`.
        Team = "team",
    }
);

/// One line of the policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Agencies it is about; `*` for all.
    pub agencies: Vec<String>,
    pub events: Vec<AlertKind>,
    /// By day or by night only; `always` for both.
    #[serde(default)]
    pub when: When,
    /// False: these agencies are not told of these events.
    #[serde(default = "yes")]
    pub told: bool,
    #[serde(default = "now")]
    pub urgency: Urgency,
    #[serde(default = "yes")]
    pub acknowledge: bool,
    /// Acknowledged, but no entry in the response plan after so long: it comes back.
    #[serde(default)]
    pub act_within_minutes: Option<u32>,
    /// Empty: the usual ladder.
    #[serde(rename = "step", default)]
    pub steps: Vec<Step>,
    #[serde(default)]
    pub last: Option<LastStep>,
}

/// One rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Seconds after the alert began; the first step is 0.
    pub after_seconds: u32,
    pub whom: Whom,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub team: String,
    /// All at once.
    pub channels: Vec<Channel>,
}

/// The end of a ladder: somebody by name who rings the partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastStep {
    /// Who does it: a person or a desk, in words.
    pub name: String,
    /// The number at which that human is reached.
    pub number: String,
    pub after_seconds: u32,
    /// How often they are told again while nobody has acknowledged.
    #[serde(default = "quarter")]
    pub repeat_seconds: u32,
    #[serde(rename = "contact", default)]
    pub contacts: Vec<Contact>,
}

impl LastStep {
    /// As if they were an agency of their own: where their contact points stand.
    #[must_use]
    pub fn as_agency(&self) -> Agency {
        Agency {
            id: LAST_STEP.to_owned(),
            name: self.name.clone(),
            ring: self.number.clone(),
            told_of: Vec::new(),
            acknowledge: false,
            contacts: self.contacts.clone(),
            people: Vec::new(),
            rota: None,
        }
    }
}

fn yes() -> bool {
    true
}

fn now() -> Urgency {
    Urgency::Now
}

fn quarter() -> u32 {
    900
}

/// The usual ladder: everything silent at once, a call after three minutes, the next in line after
/// six, everybody after ten. The last step (a named human) follows after fifteen.
#[must_use]
pub fn default_steps() -> Vec<Step> {
    use Channel::{Email, Sms, Voice, Webhook};
    let step = |after_seconds, whom, channels: &[Channel]| Step {
        after_seconds,
        whom,
        team: String::new(),
        channels: channels.to_vec(),
    };
    vec![
        step(0, Whom::Duty, &[Webhook, Email, Sms]),
        step(180, Whom::Duty, &[Voice]),
        step(360, Whom::Backup, &[Sms, Voice]),
        step(600, Whom::Everyone, &[Email, Sms, Voice]),
    ]
}

/// Seconds after which the named human is told, without a policy that says otherwise.
pub(super) const LAST_AFTER: u32 = 900;

/// How soon after an acknowledgement an entry in the response plan is expected, unless set.
pub(super) const ACT_WITHIN_MINUTES: u32 = 240;

impl Rule {
    /// Whether it speaks of this agency and event.
    #[must_use]
    pub fn fits(&self, agency: &str, kind: AlertKind) -> bool {
        self.agencies.iter().any(|a| a == "*" || a == agency) && self.events.contains(&kind)
    }
}
