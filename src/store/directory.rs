//! Versions of areas' directories, what is known of contact points, and how many messages a number
//! has had within the hour.

use super::changes::{DirectoryRow, PointChange};
use super::engine::{Conn, on};
use super::keys::ServiceKey;
use super::{CommitError, Store, StoreError};
use chrono::{DateTime, Duration, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What is known of a contact point.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct PointRow {
    pub lane: String,
    pub area: String,
    pub address: Vec<u8>,
    pub verified_at: Option<DateTime<Utc>>,
    pub worked_at: Option<DateTime<Utc>>,
    pub failed_at: Option<DateTime<Utc>>,
    pub unusable: Option<String>,
}

impl Store {
    /// The highest version of each area's directory.
    ///
    /// # Errors
    /// The database failed.
    pub async fn directory_versions(&self) -> Result<Vec<(String, i64)>, StoreError> {
        const SQL: &str = "SELECT area, MAX(version) FROM directory GROUP BY area";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?))
    }

    /// One version of an area's directory, opened.
    ///
    /// # Errors
    /// The database failed, or the version cannot be opened.
    pub async fn directory_at(
        &self,
        area: &str,
        version: i64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        const SQL: &str = "SELECT area, version, at, actor, what, sealed FROM directory WHERE area = $1 AND version = $2";
        let row: Option<DirectoryRow> = on!(pool self.pool(), |p| sqlx::query_as(SQL)
            .bind(area)
            .bind(version)
            .fetch_optional(p)
            .await?);
        let key = self.service_key(ServiceKey::Directory);
        row.map(|r| {
            key.open(&directory_aad(&r.area, r.version), &r.sealed).map_err(StoreError::from)
        })
        .transpose()
    }

    /// A version ready to be committed.
    ///
    /// # Errors
    /// Sealing failed.
    pub fn directory_row(
        &self,
        area: &str,
        version: i64,
        at: DateTime<Utc>,
        actor: &str,
        what: &str,
        plain: &[u8],
    ) -> Result<DirectoryRow, StoreError> {
        let key = self.service_key(ServiceKey::Directory);
        Ok(DirectoryRow {
            area: area.to_owned(),
            version,
            at,
            actor: actor.to_owned(),
            what: what.to_owned(),
            sealed: key.seal(&directory_aad(area, version), plain)?,
        })
    }

    /// Who changed an area's directory, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn directory_history(
        &self,
        area: &str,
    ) -> Result<Vec<(i64, DateTime<Utc>, String, String)>, StoreError> {
        const SQL: &str = "SELECT version, at, actor, what FROM directory WHERE area = $1 ORDER BY version DESC LIMIT 50";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(area).fetch_all(p).await?))
    }

    /// What is known of contact points, of one area or (empty) of all.
    ///
    /// # Errors
    /// The database failed.
    pub async fn points(&self, area: &str) -> Result<Vec<PointRow>, StoreError> {
        const SQL: &str = "SELECT lane, area, address, verified_at, worked_at, failed_at, unusable FROM point WHERE area = $1 OR $1 = ''";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(area).fetch_all(p).await?))
    }

    /// The keyed digest of an address, as points and paces are kept under.
    #[must_use]
    pub fn address_digest(&self, address: &str) -> Vec<u8> {
        let folded: String =
            address.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
        self.service_key(ServiceKey::Lookups).mac(format!("address\0{folded}").as_bytes()).to_vec()
    }

    /// An empty change of a point, to be filled.
    #[must_use]
    pub fn point_change(&self, lane: &str, area: &str, address: &str) -> PointChange {
        PointChange {
            lane: lane.to_owned(),
            area: area.to_owned(),
            address: self.address_digest(address),
            worked_at: None,
            failed_at: None,
            unusable: None,
        }
    }

    /// Keeps the code that was sent to a point.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn expect_code(
        &self,
        p: PointChange,
        code: &str,
        until: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let digest = self.code_digest(&p.lane, code);
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                const SQL: &str = "INSERT INTO point (lane, area, address, code_digest, code_until, code_tries) VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (lane) DO UPDATE SET verified_at = CASE WHEN point.address = excluded.address THEN point.verified_at END, worked_at = CASE WHEN point.address = excluded.address THEN point.worked_at END, unusable = CASE WHEN point.address = excluded.address THEN point.unusable END, address = excluded.address, code_digest = excluded.code_digest, code_until = excluded.code_until, code_tries = 0";
                on!(conn conn, |c| sqlx::query(SQL).bind(&p.lane).bind(&p.area).bind(&p.address).bind(&digest).bind(until).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Takes a code: five tries, and it is used up. Whether it fits.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn take_code(
        &self,
        lane: &str,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (tx, rx) = oneshot::channel();
        let (digest, lane) = (self.code_digest(lane, code), lane.to_owned());
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                const TRY: &str = "UPDATE point SET code_tries = code_tries + 1 WHERE lane = $1 AND code_tries < 5 AND code_until > $2";
                const FITS: &str = "UPDATE point SET verified_at = $2, worked_at = $2, unusable = NULL, code_digest = NULL, code_until = NULL WHERE lane = $1 AND code_digest = $3";
                let tried = on!(conn conn, |c| sqlx::query(TRY).bind(&lane).bind(now).execute(c).await?.rows_affected());
                let mut fits = 0;
                if tried == 1 {
                    fits = on!(conn conn, |c| sqlx::query(FITS).bind(&lane).bind(now).bind(&digest).execute(c).await?.rows_affected());
                }
                let _ = tx.send(fits == 1);
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("take_code"))
    }

    fn code_digest(&self, lane: &str, code: &str) -> Vec<u8> {
        let key = self.service_key(ServiceKey::Lookups);
        key.mac(format!("code\0{lane}\0{}", code.trim()).as_bytes()).to_vec()
    }

    /// Counts one more message to a number, unless that would be too many within the hour.
    ///
    /// # Errors
    /// The database failed.
    #[allow(clippy::too_many_arguments)] // what a message is, and the two limits
    pub async fn take_pace(
        &self,
        channel: &str,
        number: &str,
        words: &str,
        id: Uuid,
        now: DateTime<Utc>,
        identical: i64,
        any: i64,
    ) -> Result<bool, StoreError> {
        let key = self.service_key(ServiceKey::Lookups);
        let number = self.address_digest(&format!("{channel}:{number}"));
        let body = key.mac(format!("body\0{words}").as_bytes())[..8].to_vec();
        let lock = number.first_chunk().map_or(0, |first| i64::from_be_bytes(*first));
        let since = now - Duration::hours(1);
        let (tx, rx) = oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                const SAME: &str =
                    "SELECT COUNT(*) FROM pace WHERE number = $1 AND at > $2 AND body = $3";
                const ALL: &str = "SELECT COUNT(*) FROM pace WHERE number = $1 AND at > $2";
                // Two writers, or two nodes, must not both count the last free place.
                if let Conn::Pg(c) = conn {
                    const ALONE: &str = "SELECT pg_advisory_xact_lock($1)";
                    sqlx::query(ALONE).bind(lock).execute(c).await?;
                }
                let same: i64 = on!(conn conn, |c| sqlx::query_scalar(SAME).bind(&number).bind(since).bind(&body).fetch_one(c).await?);
                let all: i64 = on!(conn conn, |c| sqlx::query_scalar(ALL).bind(&number).bind(since).fetch_one(c).await?);
                let room = same < identical && all < any;
                if room {
                    const ADD: &str = "INSERT INTO pace (number, body, at, id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
                    on!(conn conn, |c| sqlx::query(ADD).bind(&number).bind(&body).bind(now).bind(id).execute(c).await?.rows_affected());
                }
                let _ = tx.send(room);
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("take_pace"))
    }

    /// Takes back what [`Store::take_pace`] counted: that message stayed here.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn give_pace_back(
        &self,
        channel: &str,
        number: &str,
        id: Uuid,
        at: DateTime<Utc>,
    ) -> Result<(), CommitError> {
        let number = self.address_digest(&format!("{channel}:{number}"));
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                const SQL: &str = "DELETE FROM pace WHERE number = $1 AND at = $2 AND id = $3";
                on!(conn conn, |c| sqlx::query(SQL).bind(&number).bind(at).bind(id).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await
    }

    /// Forgets what no limit and no replay looks back to.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_old(&self, now: DateTime<Utc>) -> Result<(), CommitError> {
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                const PACE: &str = "DELETE FROM pace WHERE at < $1";
                const HOOKS: &str = "DELETE FROM hook_seen WHERE at < $1";
                const DRAFTS: &str = "DELETE FROM draft WHERE expires_at < $1";
                on!(conn conn, |c| sqlx::query(DRAFTS).bind(now).execute(c).await?.rows_affected());
                on!(conn conn, |c| sqlx::query(PACE).bind(now - Duration::hours(2)).execute(c).await?.rows_affected());
                on!(conn conn, |c| sqlx::query(HOOKS).bind(now - Duration::days(8)).execute(c).await?.rows_affected());
                Ok(())
            })
        }))
        .await
    }
}

fn directory_aad(area: &str, version: i64) -> Vec<u8> {
    format!("directory/{area}/{version}").into_bytes()
}
