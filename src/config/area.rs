//! The directories of all areas: read from files at first start, replaced by later versions from
//! the database while serving.

use super::{Config, Provider};
use crate::domain::alert::{AlertKind, Channel, Recipient};
use crate::domain::calendar::Calendar;
use crate::domain::directory::{self, Contact, Hidden, Known, LAST_STEP, PointKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

pub use crate::domain::directory::{Agency, Area};

#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("areas.files is empty: name at least one area file (see config/area.example.toml)")]
    None,
    #[error("cannot read {path}: {why}")]
    Read { path: String, why: String },
    #[error("{path}: {why}")]
    Wrong { path: String, why: String },
}

/// All areas with everything looked up in them, as they stand at one moment.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    areas: BTreeMap<String, Entry>,
    first: String,
    /// Webhook signing keys by lane (`area/agency/contact`).
    secrets: BTreeMap<String, Vec<Hidden>>,
    /// Channels without a provider.
    silent: BTreeSet<Channel>,
}

#[derive(Clone, Debug)]
struct Entry {
    area: Area,
    calendar: Calendar,
    known: Known,
    /// 0: as the file says; from 1: the version kept in the database.
    version: i64,
}

/// The directory of today, shared by everything that asks it; replaced whole.
#[derive(Debug, Default)]
pub struct Book {
    today: RwLock<Arc<Directory>>,
    /// Held by whoever makes a newer one of it: an older one must not be put back over a newer.
    turn: tokio::sync::Mutex<()>,
}

impl Book {
    #[must_use]
    pub fn new(directory: Directory) -> Arc<Self> {
        Arc::new(Self {
            today: RwLock::new(Arc::new(directory)),
            turn: tokio::sync::Mutex::default(),
        })
    }

    #[must_use]
    pub fn today(&self) -> Arc<Directory> {
        self.today.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for its turn to make a newer one.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub fn replace(&self, directory: Directory) {
        *self.today.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }
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
            if d.areas.contains_key(&area.id) {
                return Err(wrong("an area of this id was read before".to_owned()));
            }
            d.put(area, 0).map_err(wrong)?;
        }
        Ok(d)
    }

    /// Puts an area in the place of the one of the same id.
    ///
    /// # Errors
    /// In words: two contacts of one name, a webhook without a usable secret.
    pub fn put(&mut self, mut area: Area, version: i64) -> Result<(), String> {
        area.name_last_points_apart();
        let mut secrets = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (under, c, _) in area.points() {
            let lane = area.point_name(under, &c.id);
            // One human may be named to ring in several rules.
            if !seen.insert(lane.clone()) && under != LAST_STEP {
                return Err(format!("contact {lane} is named twice"));
            }
            if c.kind == PointKind::Webhook {
                let keys = webhook_secrets(c).map_err(|why| format!("contact {lane}: {why}"))?;
                secrets.insert(lane, keys);
            }
        }
        let prefix = format!("{}/", area.id);
        self.secrets.retain(|lane, _| !lane.starts_with(&prefix));
        self.secrets.extend(secrets);
        let calendar = Calendar::new(&area.extra_bank_holidays, &area.cancelled_bank_holidays);
        let known = self.areas.remove(&area.id).map(|e| e.known).unwrap_or_default();
        self.areas.insert(area.id.clone(), Entry { area, calendar, known, version });
        Ok(())
    }

    /// What is known of an area's contact points from now on.
    pub fn set_known(&mut self, area: &str, known: Known) {
        let silent = self.silent.clone();
        if let Some(e) = self.areas.get_mut(area) {
            e.known = Known { silent, ..known };
        }
    }

    /// Channels for which no provider is configured; what plans leave out.
    pub fn set_silent(&mut self, silent: BTreeSet<Channel>) {
        self.silent = silent;
        let ids: Vec<String> = self.areas.keys().cloned().collect();
        for id in ids {
            let known = self.known(&id);
            self.set_known(&id, known);
        }
    }

    pub fn areas(&self) -> impl Iterator<Item = &Area> {
        self.areas.values().map(|k| &k.area)
    }

    #[must_use]
    pub fn area(&self, id: &str) -> Option<&Area> {
        self.areas.get(id).map(|k| &k.area)
    }

    #[must_use]
    pub fn version(&self, id: &str) -> i64 {
        self.areas.get(id).map_or(0, |e| e.version)
    }

    #[must_use]
    pub fn known(&self, id: &str) -> Known {
        self.areas.get(id).map(|e| e.known.clone()).unwrap_or_default()
    }

    #[must_use]
    pub fn is_unusable(&self, area: &str, lane: &str) -> bool {
        self.areas.get(area).is_some_and(|e| e.known.unusable.contains(lane))
    }

    /// Working days of an area.
    #[must_use]
    pub fn calendar(&self, id: &str) -> Calendar {
        self.areas.get(id).map_or_else(|| Calendar::new(&[], &[]), |e| e.calendar.clone())
    }

    /// The area that notifications without one belong to: the first file's.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.first
    }

    #[must_use]
    pub fn agency(&self, area: &str, agency: &str) -> Option<&Agency> {
        self.area(area)?.agency(agency)
    }

    /// The signing secrets of a webhook lane, the newest first.
    #[must_use]
    pub fn secrets(&self, lane: &str) -> &[Hidden] {
        self.secrets.get(lane).map_or(&[], Vec::as_slice)
    }

    /// Who is told of `kind` in `area` at `now`, each with a ladder.
    #[must_use]
    pub fn recipients(&self, area: &str, kind: AlertKind, now: DateTime<Utc>) -> Vec<Recipient> {
        let Some(e) = self.areas.get(area) else { return Vec::new() };
        directory::recipients(&e.area, &e.calendar, &e.known, kind, now)
    }

    pub(super) fn check(&self, config: &Config, wrong: &mut Vec<String>) {
        for (lane, secrets) in &self.secrets {
            let published = |s: &Hidden| {
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
                area.agencies.iter().flat_map(|a| a.points().map(move |(c, _)| (a, c)))
            {
                let lane = area.point_name(&agency.id, &c.id);
                match c.kind {
                    PointKind::Email
                        if config.mail.host.is_empty()
                            && config.channels.email.iter().all(|p| *p == Provider::Smtp) =>
                    {
                        wrong.push(format!("{lane} is an e-mail address but mail.host is not set"));
                    }
                    PointKind::Email if !c.address.contains('@') => {
                        wrong.push(format!("{lane} is not an e-mail address"));
                    }
                    PointKind::Webhook => {
                        if let Err(e) = reach.check(&c.address) {
                            wrong.push(format!("{lane}: {e}"));
                        }
                    }
                    _ => {}
                }
            }
        }
    }
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

fn webhook_secrets(c: &Contact) -> Result<Vec<Hidden>, String> {
    let text = match (&c.secret, &c.secret_file) {
        (Some(s), None) => s.0.clone(),
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|e| format!("cannot read {}: {e}", path.display()))?,
        _ => return Err("a webhook needs either secret or secret_file".to_owned()),
    };
    let all: Vec<Hidden> = text.split_whitespace().map(|w| Hidden(w.to_owned())).collect();
    let usable = |s: &Hidden| decode_secret(s).is_some_and(|k| (24..=64).contains(&k.len()));
    if all.is_empty() || !all.iter().all(usable) {
        return Err("a webhook secret is `whsec_` and 24 to 64 bytes in base64".to_owned());
    }
    Ok(all)
}

/// The key bytes of a `whsec_…` secret.
#[must_use]
pub fn decode_secret(secret: &Hidden) -> Option<Vec<u8>> {
    STANDARD.decode(secret.0.strip_prefix("whsec_")?).ok()
}
