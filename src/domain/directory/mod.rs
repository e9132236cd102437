//! An area's directory: agencies, teams, people and contact points, who is on duty, and who is told
//! of what. One document per area; every change is a new version of the whole, so that nothing is
//! ever half-changed.

mod coverage;
mod hours;
mod plan;
mod policy;
mod review;

pub use coverage::{Gap, Standing, TonightLine, gaps, is_ever_told, tonight};
pub use hours::{OfficeHours, When};
pub use plan::{Known, lanes, office, recipients};
pub use policy::{LastStep, Rule, Step, Urgency, Whom, default_steps};
pub use review::review;

use super::alert::{AlertKind, Channel};
use super::deadline::Lengths;
use super::facts::words;
use super::jar::ExtraTrigger;
use super::rota::Rota;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// One area.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    pub id: String,
    pub name: String,
    /// The number in every alert: where a partner rings for particulars.
    pub call_back: String,
    #[serde(default)]
    pub extra_triggers: Vec<ExtraTrigger>,
    #[serde(default)]
    pub office_hours: OfficeHours,
    #[serde(default)]
    pub deadlines: Lengths,
    #[serde(default)]
    pub extra_bank_holidays: Vec<NaiveDate>,
    #[serde(default)]
    pub cancelled_bank_holidays: Vec<NaiveDate>,
    #[serde(rename = "agency", default)]
    pub agencies: Vec<Agency>,
    /// Who is told of what, and how hard; the first rule that fits counts. Without one that fits,
    /// an agency's `told_of` and `acknowledge` count, with the usual ladder.
    #[serde(rename = "policy", default)]
    pub policy: Vec<Rule>,
    /// The last step of every ladder that does not name its own.
    #[serde(default)]
    pub last_step: Option<LastStep>,
    /// What the local guidance asks of whoever notifies, the same night; one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tonight: Vec<String>,
    /// Where the notifier finds debrief and support; one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub support: Vec<String>,
}

/// A partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agency {
    pub id: String,
    pub name: String,
    /// Shown on the reached board: the number to ring when nothing else works.
    pub ring: String,
    /// Kinds of alert this agency is told of.
    #[serde(default)]
    pub told_of: Vec<AlertKind>,
    /// Whether a person there has to acknowledge.
    #[serde(default = "yes")]
    pub acknowledge: bool,
    /// Desks: contact points that are nobody's in particular.
    #[serde(rename = "contact", default)]
    pub contacts: Vec<Contact>,
    #[serde(rename = "person", default)]
    pub people: Vec<Person>,
    /// Who is on by turns; without one the desks' hours decide.
    #[serde(default)]
    pub rota: Option<Rota>,
}

fn yes() -> bool {
    true
}

/// Somebody who can be on duty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub role: String,
    #[serde(default)]
    pub team: String,
    #[serde(rename = "contact", default)]
    pub contacts: Vec<Contact>,
}

/// One way to reach somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    pub id: String,
    #[serde(rename = "channel")]
    pub kind: PointKind,
    pub address: String,
    #[serde(default)]
    pub when: When,
    /// For a desk: which team's it is.
    #[serde(default)]
    pub team: String,
    /// For webhooks: `whsec_` and base64, agreed with the receiver. Two, separated by a space,
    /// both sign while a secret is being changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Hidden>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}

words!(
    /// What a contact point is; it decides which channels reach it.
    PointKind {
        Email = "email",
        Webhook = "webhook",
        /// Texts and calls.
        Mobile = "mobile",
        /// Calls only.
        Landline = "landline",
        /// A number passed from hand to hand: calls, and texts if it is a mobile.
        DutyNumber = "duty_number",
    }
);

impl PointKind {
    /// The channels by which a point of this kind is reached.
    #[must_use]
    pub fn channels(self, address: &str) -> Vec<Channel> {
        match self {
            Self::Email => vec![Channel::Email],
            Self::Webhook => vec![Channel::Webhook],
            Self::Mobile => vec![Channel::Sms, Channel::Voice],
            Self::Landline => vec![Channel::Voice],
            Self::DutyNumber if is_mobile(address) => vec![Channel::Sms, Channel::Voice],
            Self::DutyNumber => vec![Channel::Voice],
        }
    }

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Email => "e-mail",
            Self::Webhook => "system (webhook)",
            Self::Mobile => "mobile",
            Self::Landline => "landline",
            Self::DutyNumber => "shared duty number",
        }
    }
}

fn is_mobile(address: &str) -> bool {
    let digits: String = address.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    digits.starts_with("07") || digits.starts_with("+447") || digits.starts_with("00447")
}

/// A text that does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What the people stand under, beside the agencies, who are named to ring when nobody answers.
pub const LAST_STEP: &str = "last_step";

impl Area {
    /// Whoever is named to ring when nobody answers: the area's, then those of single rules.
    pub fn last_steps(&self) -> impl Iterator<Item = &LastStep> {
        self.last_step.iter().chain(self.policy.iter().filter_map(|r| r.last.as_ref()))
    }

    /// Gives two points of people named to ring names of their own where they share one and are not
    /// the same: what is known of a point is kept under its name.
    pub fn name_last_points_apart(&mut self) {
        let rules = self.policy.iter_mut().filter_map(|r| r.last.as_mut());
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for c in self.last_step.iter_mut().chain(rules).flat_map(|l| &mut l.contacts) {
            let first = c.id.clone();
            let mut n = 2;
            while taken.get(&c.id).is_some_and(|address| *address != c.address) {
                c.id = format!("{first}-{n}");
                n += 1;
            }
            taken.insert(c.id.clone(), c.address.clone());
        }
    }

    /// Every contact point that a message may go to: what it stands under, and whose it is. Those
    /// of the people named to ring are among them: their silence would be the last one.
    pub fn points(&self) -> impl Iterator<Item = (&str, &Contact, Option<&Person>)> {
        let agencies = self.agencies.iter();
        let desks = agencies.flat_map(|a| a.points().map(|(c, p)| (a.id.as_str(), c, p)));
        let last = self.last_steps().flat_map(|l| &l.contacts).map(|c| (LAST_STEP, c, None));
        desks.chain(last)
    }

    #[must_use]
    pub fn agency(&self, id: &str) -> Option<&Agency> {
        self.agencies.iter().find(|a| a.id == id)
    }

    /// The stable name of one of an agency's contact points; what its state and its deliveries
    /// are kept under.
    #[must_use]
    pub fn point_name(&self, agency: &str, contact: &str) -> String {
        format!("{}/{agency}/{contact}", self.id)
    }
}

impl Agency {
    #[must_use]
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|p| p.id == id)
    }

    /// Every contact point with whose it is: desks first.
    pub fn points(&self) -> impl Iterator<Item = (&Contact, Option<&Person>)> {
        let desks = self.contacts.iter().map(|c| (c, None));
        desks.chain(self.people.iter().flat_map(|p| p.contacts.iter().map(move |c| (c, Some(p)))))
    }
}
