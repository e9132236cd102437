//! An area's directory: which agencies, how each is reached, who is told of what.

use super::Config;
use crate::domain::alert::{AlertKind, Channel, ContactPoint, Recipient};
use crate::domain::calendar::Calendar;
use crate::domain::civil_time;
use crate::domain::deadline::Lengths;
use crate::domain::jar::ExtraTrigger;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// One area as its file describes it.
#[derive(Clone, Debug, Deserialize)]
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
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OfficeHours {
    pub from: NaiveTime,
    pub to: NaiveTime,
}

impl Default for OfficeHours {
    fn default() -> Self {
        let at = |h| NaiveTime::from_hms_opt(h, 0, 0).unwrap_or(NaiveTime::MIN);
        Self { from: at(9), to: at(17) }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agency {
    pub id: String,
    pub name: String,
    /// Shown on the reached board: the number to ring when nothing else works.
    pub ring: String,
    /// Kinds of alert this agency is told of.
    pub told_of: Vec<AlertKind>,
    /// Whether a person there has to acknowledge.
    #[serde(default = "yes")]
    pub acknowledge: bool,
    #[serde(rename = "contact", default)]
    pub contacts: Vec<Contact>,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    pub id: String,
    pub channel: Channel,
    pub address: String,
    #[serde(default)]
    pub when: When,
    /// For webhooks: `whsec_` and base64, agreed with the receiver. Two, separated by a space,
    /// both sign while a secret is being changed.
    #[serde(default)]
    pub secret: Option<SecretString>,
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
}

/// When a contact point is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    #[default]
    Always,
    OfficeHours,
    OutOfHours,
}

#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("areas.files is empty: name at least one area file (see config/area.example.toml)")]
    None,
    #[error("cannot read {path}: {why}")]
    Read { path: String, why: String },
    #[error("{path}: {why}")]
    Wrong { path: String, why: String },
}

/// All areas with everything looked up in them.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    areas: BTreeMap<String, Known>,
    first: String,
    /// Webhook signing keys by lane (`area/agency/contact`).
    secrets: BTreeMap<String, Vec<SecretString>>,
}

#[derive(Clone, Debug)]
struct Known {
    area: Area,
    calendar: Calendar,
}

impl Directory {
    /// Reads area files.
    ///
    /// # Errors
    /// A file that cannot be read or does not make sense; the message names it.
    pub fn read(files: &[PathBuf]) -> Result<Self, DirectoryError> {
        let mut areas = Vec::new();
        for path in files {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|e| DirectoryError::Read { path: shown.clone(), why: e.to_string() })?;
            areas.push((shown.clone(), parse(&shown, &text)?));
        }
        Self::from_areas(areas)
    }

    /// Makes a directory of areas already read, each with the name used in complaints.
    ///
    /// # Errors
    /// No area, two of one name, or a webhook without a usable secret.
    pub fn from_areas(areas: Vec<(String, Area)>) -> Result<Self, DirectoryError> {
        let first = areas.first().map(|(_, a)| a.id.clone()).ok_or(DirectoryError::None)?;
        let mut d = Self { first, ..Self::default() };
        for (path, area) in areas {
            let wrong = |why: String| DirectoryError::Wrong { path: path.clone(), why };
            let mut seen = BTreeSet::new();
            for agency in &area.agencies {
                for c in &agency.contacts {
                    let lane = lane(&area.id, &agency.id, &c.id);
                    if !seen.insert(lane.clone()) {
                        return Err(wrong(format!("contact {lane} is named twice")));
                    }
                    if c.channel == Channel::Webhook {
                        d.secrets.insert(
                            lane.clone(),
                            webhook_secrets(c)
                                .map_err(|why| wrong(format!("contact {lane}: {why}")))?,
                        );
                    }
                }
            }
            let calendar = Calendar::new(&area.extra_bank_holidays, &area.cancelled_bank_holidays);
            if d.areas.insert(area.id.clone(), Known { area, calendar }).is_some() {
                return Err(wrong("an area of this id was read before".to_owned()));
            }
        }
        Ok(d)
    }

    pub fn areas(&self) -> impl Iterator<Item = &Area> {
        self.areas.values().map(|k| &k.area)
    }

    #[must_use]
    pub fn area(&self, id: &str) -> Option<&Area> {
        self.areas.get(id).map(|k| &k.area)
    }

    /// The area that notifications without one belong to: the first file's.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.first
    }

    #[must_use]
    pub fn agency(&self, area: &str, agency: &str) -> Option<&Agency> {
        self.area(area)?.agencies.iter().find(|a| a.id == agency)
    }

    /// The signing secrets of a webhook lane, the newest first.
    #[must_use]
    pub fn secrets(&self, lane: &str) -> &[SecretString] {
        self.secrets.get(lane).map_or(&[], Vec::as_slice)
    }

    /// Who is told of `kind` in `area` at `now`, with the contact points that hold at that hour.
    /// An agency whose contacts are all for other hours is reached on those rather than not at all.
    #[must_use]
    pub fn recipients(&self, area: &str, kind: AlertKind, now: DateTime<Utc>) -> Vec<Recipient> {
        let Some(known) = self.areas.get(area) else { return Vec::new() };
        let open = known.is_open(now);
        let holds = |w: When| match w {
            When::Always => true,
            When::OfficeHours => open,
            When::OutOfHours => !open,
        };
        let told = known.area.agencies.iter().filter(|a| a.told_of.contains(&kind));
        told.map(|a| {
            let point = |c: &Contact| ContactPoint {
                id: lane(area, &a.id, &c.id),
                channel: c.channel,
                address: c.address.clone(),
            };
            let mut contacts: Vec<_> =
                a.contacts.iter().filter(|c| holds(c.when)).map(point).collect();
            if contacts.is_empty() {
                contacts = a.contacts.iter().map(point).collect();
            }
            Recipient {
                agency: a.id.clone(),
                agency_name: a.name.clone(),
                acknowledge: a.acknowledge && kind != AlertKind::JarStoodDown,
                contacts,
            }
        })
        .collect()
    }

    pub(super) fn check(&self, config: &Config, wrong: &mut Vec<String>) {
        for (lane, secrets) in &self.secrets {
            let published = |s: &SecretString| {
                decode_secret(s).is_some_and(|k| k.windows(17).any(|w| w == b"not-a-real-secret"))
            };
            if secrets.iter().any(published) {
                wrong.push(format!("{lane} uses the secret printed in the example: agree one of your own with the receiver"));
            }
        }
        let reach = crate::platform::outgoing::Reach {
            allow_private: config.webhooks.allow_private_targets,
            extra_ports: config.webhooks.extra_ports.iter().copied().collect(),
        };
        for area in self.areas() {
            for (agency, c) in
                area.agencies.iter().flat_map(|a| a.contacts.iter().map(move |c| (a, c)))
            {
                let lane = lane(&area.id, &agency.id, &c.id);
                match c.channel {
                    Channel::Email if config.mail.host.is_empty() => {
                        wrong.push(format!("{lane} is an e-mail address but mail.host is not set"));
                    }
                    Channel::Email if !c.address.contains('@') => {
                        wrong.push(format!("{lane} is not an e-mail address"));
                    }
                    Channel::Email => {}
                    Channel::Webhook => {
                        if let Err(e) = reach.check(&c.address) {
                            wrong.push(format!("{lane}: {e}"));
                        }
                    }
                }
            }
        }
    }
}

impl Known {
    fn is_open(&self, now: DateTime<Utc>) -> bool {
        let local = civil_time::local(now);
        let h = &self.area.office_hours;
        self.calendar.is_working_day(local.date()) && (h.from..h.to).contains(&local.time())
    }
}

/// The stable name of a contact point.
fn lane(area: &str, agency: &str, contact: &str) -> String {
    format!("{area}/{agency}/{contact}")
}

/// Reads one area from TOML; `shown` names it in complaints.
///
/// # Errors
/// Unknown keys, missing ones, wrong types.
pub fn parse(shown: &str, text: &str) -> Result<Area, DirectoryError> {
    use figment::providers::{Format, Toml};
    figment::Figment::from(Toml::string(text))
        .extract()
        .map_err(|e| DirectoryError::Wrong { path: shown.to_owned(), why: e.to_string() })
}

fn webhook_secrets(c: &Contact) -> Result<Vec<SecretString>, String> {
    let text = match (&c.secret, &c.secret_file) {
        (Some(s), None) => s.expose_secret().to_owned(),
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|e| format!("cannot read {}: {e}", path.display()))?,
        _ => return Err("a webhook needs either secret or secret_file".to_owned()),
    };
    let all: Vec<SecretString> =
        text.split_whitespace().map(|w| SecretString::from(w.to_owned())).collect();
    let usable = |s: &SecretString| decode_secret(s).is_some_and(|k| (24..=64).contains(&k.len()));
    if all.is_empty() || !all.iter().all(usable) {
        return Err("a webhook secret is `whsec_` and 24 to 64 bytes in base64".to_owned());
    }
    Ok(all)
}

/// The key bytes of a `whsec_…` secret.
#[must_use]
pub fn decode_secret(secret: &SecretString) -> Option<Vec<u8>> {
    STANDARD.decode(secret.expose_secret().strip_prefix("whsec_")?).ok()
}
