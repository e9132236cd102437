//! The directory: reading what stands, saving a new version of the whole, verifying contact points,
//! and saying where the gaps are.

use super::Service;
use super::error::{ServiceError, invalid};
use crate::alerts::phone;
use crate::auth::policy::{Action, Caller, Object};
use crate::config::area::Directory;
use crate::domain::alert::{AlertKind, Channel, ContactPoint, Desk, Notice};
use crate::domain::directory::{self, Area, Gap, Known, LAST_STEP, Standing, TonightLine};
use crate::store::changes::{AuditRow, ChangeSet};
use crate::store::{CommitError, StoreError};
use chrono::{DateTime, Duration, Utc};
use std::collections::BTreeMap;

/// An area's directory with the version that a change must name.
#[derive(Clone, Debug)]
pub struct AreaVersion {
    pub area: Area,
    pub version: i64,
}

/// How far ahead gaps are looked for.
pub const GAP_DAYS: u32 = 28;

impl Service {
    /// Takes over what the database holds that is newer than what is known here.
    ///
    /// # Errors
    /// The database failed; what is known stays.
    pub async fn refresh_directory(&self) -> Result<(), StoreError> {
        let _turn = self.book.turn().await;
        let mut today = Directory::clone(&self.directory());
        for (area, version) in self.store.directory_versions().await? {
            if version <= today.version(&area) {
                continue;
            }
            let Some(plain) = self.store.directory_at(&area, version).await? else { continue };
            let read: Area =
                serde_json::from_slice(&plain).map_err(|_| StoreError::Corrupt("directory"))?;
            if let Err(why) = today.put(read, version) {
                tracing::error!(
                    area,
                    version,
                    why,
                    "a stored directory cannot be used; the one before stays"
                );
            }
        }
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for p in self.store.points("").await? {
            if p.unusable.is_some() && self.is_current(&today, &p.lane, &p.address) {
                known.entry(p.area).or_default().unusable.insert(p.lane);
            }
        }
        let ids: Vec<String> = today.areas().map(|a| a.id.clone()).collect();
        for id in ids {
            let k = known.remove(&id).unwrap_or_default();
            today.set_known(&id, k);
        }
        self.store.set_lengths(today.areas().map(|a| (a.id.clone(), a.deadlines)).collect());
        self.book.replace(today);
        Ok(())
    }

    /// Whether a point's row is about the address that stands in the directory now.
    fn is_current(&self, d: &Directory, lane: &str, address: &[u8]) -> bool {
        let base =
            lane.strip_suffix("/sms").or_else(|| lane.strip_suffix("/voice")).unwrap_or(lane);
        let mut parts = base.splitn(3, '/');
        let (Some(area), Some(agency), Some(contact)) = (parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        d.area(area).is_some_and(|a| {
            a.points().any(|(under, c, _)| {
                under == agency
                    && c.id == contact
                    && self.store.address_digest(&c.address) == address
            })
        })
    }

    /// An area's directory for somebody who may see it.
    ///
    /// # Errors
    /// Not theirs, or not there.
    pub fn area_directory(&self, caller: &Caller, area: &str) -> Result<AreaVersion, ServiceError> {
        Self::allow(caller, Action::ReadDirectory, Object::default())?;
        let today = self.directory();
        let found = today.area(area).filter(|a| caller.covers(&a.id)).cloned();
        let area = found.ok_or(ServiceError::NotFound)?;
        let version = today.version(&area.id);
        Ok(AreaVersion { area, version })
    }

    /// Saves an area's directory as a whole, on top of the version it was made from.
    ///
    /// # Errors
    /// Not allowed, wrong in itself (every reason), changed by somebody else meanwhile, or not
    /// storable; then nothing was changed.
    pub async fn save_directory(
        &self,
        caller: &Caller,
        new: Area,
        from: i64,
        what: &str,
    ) -> Result<i64, ServiceError> {
        Self::allow(
            caller,
            Action::ChangeDirectory,
            Object { area: Some(&new.id), agencies: &[], ..Object::default() },
        )?;
        let today = self.directory();
        if today.area(&new.id).is_none() {
            return Err(ServiceError::NotFound);
        }
        self.refresh_directory().await?;
        if self.directory().version(&new.id) != from {
            return Err(changed_meanwhile());
        }
        let dialable = |n: &str| phone::normalise(n).map_err(|e| e.to_string());
        let wrong = directory::review(&new, &dialable);
        if !wrong.is_empty() {
            return Err(ServiceError::Invalid(wrong));
        }
        // Webhook secrets and the like: the same check as at start.
        let mut trial = Directory::clone(&today);
        trial.put(new.clone(), from + 1).map_err(|why| invalid("contact", "refused", why))?;
        let plain =
            serde_json::to_vec(&new).map_err(|_| StoreError::Corrupt("directory to store"))?;
        let (now, actor) = (self.now(), caller.actor());
        let row = self.store.directory_row(&new.id, from + 1, now, &actor, what, &plain)?;
        let mut directories = vec![row];
        if from == 0 {
            // What the area file said is kept as well, so that the first change can be undone.
            let file = today.area(&new.id).and_then(|a| serde_json::to_vec(a).ok());
            let file = file.ok_or(StoreError::Corrupt("directory to store"))?;
            let what = "as the area file says";
            directories.push(self.store.directory_row(&new.id, 0, now, "file", what, &file)?);
        }
        let set = ChangeSet {
            directories,
            audit: vec![AuditRow {
                at: now,
                actor,
                action: "change_directory",
                role: caller.role(),
                ..AuditRow::default()
            }],
            ..ChangeSet::default()
        };
        match self.store.commit(set).await {
            Ok(()) => {}
            Err(CommitError::Conflict) => return Err(changed_meanwhile()),
            Err(e) => return Err(e.into()),
        }
        self.refresh_directory().await?;
        self.news.tell();
        Ok(from + 1)
    }

    /// Goes back to an earlier version, as a new version of its own.
    ///
    /// # Errors
    /// As [`Service::save_directory`]; or there is no such version.
    pub async fn restore_directory(
        &self,
        caller: &Caller,
        area: &str,
        version: i64,
    ) -> Result<i64, ServiceError> {
        Self::allow(
            caller,
            Action::ChangeDirectory,
            Object { area: Some(area), agencies: &[], ..Object::default() },
        )?;
        let plain = self.store.directory_at(area, version).await?.ok_or(ServiceError::NotFound)?;
        let old: Area =
            serde_json::from_slice(&plain).map_err(|_| StoreError::Corrupt("directory"))?;
        let from = self.directory().version(area);
        self.save_directory(caller, old, from, &format!("went back to version {version}")).await
    }

    /// Points that are no use any more: area, lane, why, since when.
    pub(super) async fn unusable_points(
        &self,
    ) -> Result<Vec<(String, String, String, DateTime<Utc>)>, ServiceError> {
        let today = self.directory();
        let rows = self.store.points("").await?.into_iter();
        let current = rows.filter(|p| self.is_current(&today, &p.lane, &p.address));
        Ok(current
            .filter_map(|p| Some((p.area, p.lane, p.unusable?, p.failed_at.unwrap_or_default())))
            .collect())
    }

    /// What is known of an area's contact points, by lane; rows about former addresses are left out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn standings(&self, area: &str) -> Result<BTreeMap<String, Standing>, ServiceError> {
        let today = self.directory();
        let rows = self.store.points(area).await?;
        Ok(rows
            .into_iter()
            .filter(|p| self.is_current(&today, &p.lane, &p.address))
            .map(|p| {
                let s = Standing {
                    verified_at: p.verified_at,
                    worked_at: p.worked_at,
                    unusable: p.unusable,
                };
                (p.lane, s)
            })
            .collect())
    }

    /// Hours and people without cover within the next 28 days.
    ///
    /// # Errors
    /// Not theirs, or the database failed.
    pub async fn gaps(&self, caller: &Caller, area: &str) -> Result<Vec<Gap>, ServiceError> {
        let a = self.area_directory(caller, area)?.area;
        let standing = self.standings(area).await?;
        Ok(directory::gaps(
            &a,
            &self.calendar(area),
            &self.directory().known(area),
            &standing,
            self.now(),
            GAP_DAYS,
        ))
    }

    /// Is tonight covered, agency by agency?
    ///
    /// # Errors
    /// The database failed.
    pub async fn tonight(&self, area: &Area) -> Result<Vec<TonightLine>, ServiceError> {
        let standing = self.standings(&area.id).await?;
        Ok(directory::tonight(
            area,
            &self.calendar(&area.id),
            &self.directory().known(&area.id),
            &standing,
            self.now(),
        ))
    }

    /// Sends a code to a contact point, on every channel it has; whoever holds it gives the code
    /// back.
    ///
    /// # Errors
    /// Not allowed, no such point, or not storable.
    pub async fn send_code(
        &self,
        caller: &Caller,
        area: &str,
        agency: &str,
        contact: &str,
    ) -> Result<(), ServiceError> {
        Self::allow(
            caller,
            Action::ChangeDirectory,
            Object { area: Some(area), agencies: &[], ..Object::default() },
        )?;
        let points = self.lanes_of(area, agency, contact).ok_or(ServiceError::NotFound)?;
        let until = self.now() + Duration::hours(24);
        let mut notices = Vec::new();
        for p in points {
            let code = code()?;
            let change = self.store.point_change(&p.id, area, &p.address);
            self.store.expect_code(change, &code, until).await?;
            let mut notice = self.plain_notice(area, agency, AlertKind::Verify);
            notice.code = code;
            notices.push((notice, vec![p]));
        }
        let audit = AuditRow {
            at: self.now(),
            actor: caller.actor(),
            action: "verify_contact",
            role: caller.role(),
            ..AuditRow::default()
        };
        let set = ChangeSet { audit: vec![audit], ..ChangeSet::default() };
        self.announce(set, &notices).await?;
        Ok(())
    }

    /// Takes the code that came back.
    ///
    /// # Errors
    /// Not allowed, no such point, or a code that does not fit.
    pub async fn take_code(
        &self,
        caller: &Caller,
        area: &str,
        agency: &str,
        contact: &str,
        code: &str,
    ) -> Result<(), ServiceError> {
        Self::allow(
            caller,
            Action::ChangeDirectory,
            Object { area: Some(area), agencies: &[], ..Object::default() },
        )?;
        let points = self.lanes_of(area, agency, contact).ok_or(ServiceError::NotFound)?;
        for p in points {
            if self.store.take_code(&p.id, code, self.now()).await? {
                self.refresh_directory().await?;
                return Ok(());
            }
        }
        Err(invalid("code", "wrong", "does not fit, or is older than a day; send a new one"))
    }

    /// A contact point on each of its channels.
    #[must_use]
    pub fn lanes_of(&self, area: &str, agency: &str, contact: &str) -> Option<Vec<ContactPoint>> {
        let today = self.directory();
        let a = today.area(area)?;
        let found = a.points().find(|(under, c, _)| *under == agency && c.id == contact);
        found.map(|(_, c, person)| directory::lanes(a, agency, c, person))
    }

    /// A message of the service itself, in an area's name.
    #[must_use]
    pub fn plain_notice(&self, area: &str, agency: &str, kind: AlertKind) -> Notice {
        let today = self.directory();
        let known = today.area(area);
        let name = known.and_then(|a| match agency {
            LAST_STEP => a.last_step.as_ref().map(|l| l.name.clone()),
            _ => a.agency(agency).map(|g| g.name.clone()),
        });
        Notice {
            reference: String::new(),
            kind,
            agency: agency.to_owned(),
            agency_name: name.unwrap_or_default(),
            acknowledge: false,
            desk: Desk {
                area: area.to_owned(),
                area_name: known.map(|a| a.name.clone()).unwrap_or_default(),
                call_back: known.map(|a| a.call_back.clone()).unwrap_or_default(),
            },
            at: self.now(),
            drill: false,
            lines: Vec::new(),
            code: String::new(),
            ring: Vec::new(),
        }
    }

    /// Where the service itself turns when something needs a human: the office's own desks, by
    /// mail and text, whatever the hour.
    #[must_use]
    pub fn office_points(&self, area: &Area) -> Vec<ContactPoint> {
        let Some(office) = directory::office(area) else { return Vec::new() };
        office
            .points()
            .flat_map(|(c, p)| directory::lanes(area, &office.id, c, p))
            .filter(|p| p.channel != Channel::Voice)
            .collect()
    }
}

fn changed_meanwhile() -> ServiceError {
    invalid(
        "version",
        "changed",
        "somebody else changed the directory meanwhile; load it again and repeat your change",
    )
}

/// Six digits.
fn code() -> Result<String, ServiceError> {
    let random = crate::platform::crypt::Key::random().map_err(StoreError::from)?;
    let mac = random.mac(b"code");
    let n = u32::from_be_bytes([mac[0], mac[1], mac[2], mac[3]]);
    Ok(format!("{:06}", n % 1_000_000))
}
