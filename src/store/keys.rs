//! Data keys of cases and the service's own keys, all wrapped by the master key.

use super::engine::{Conn, Target, on};
use super::{Store, StoreError};
use crate::platform::crypt::{CryptError, Key, Keyring};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Keys the service makes for itself at first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceKey {
    /// Digests of searchable values.
    Lookups,
    /// Tokens of acknowledgement links.
    Links,
    /// The order in which references are given out.
    References,
    /// Digests of idempotency keys and bodies.
    Idempotency,
    /// Versions of directories.
    Directory,
    /// Notifications not yet sent: each draft has a key of its own derived from this one.
    Drafts,
    /// Second factors, sign-ins half way through, budgets of attempts.
    SignIn,
}

impl ServiceKey {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Lookups, "lookups"),
        (Self::Links, "links"),
        (Self::References, "references"),
        (Self::Idempotency, "idempotency"),
        (Self::Directory, "directory"),
        (Self::Drafts, "drafts"),
        (Self::SignIn, "sign_in"),
    ];
}

pub(super) struct ServiceKeys(BTreeMap<ServiceKey, Key>);

#[derive(sqlx::FromRow)]
struct Wrapped {
    key_name: String,
    wrapped_key: Vec<u8>,
}

impl ServiceKeys {
    /// Reads the keys, making those that do not exist yet. Two nodes that start together agree:
    /// the first to insert wins and both read back.
    pub(super) async fn open(target: &Target, keyring: &Keyring) -> Result<Self, StoreError> {
        let mut conn = target.connect().await?;
        let mut keys = BTreeMap::new();
        for (which, name) in ServiceKey::ALL {
            let aad = service_aad(name);
            let mut held = read(&mut conn, name).await?;
            if held.is_none() {
                let (key_name, wrapped) = keyring.wrap(&aad, &Key::random()?)?;
                const SQL: &str = "INSERT INTO service_key (name, key_name, wrapped_key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
                on!(conn &mut conn, |c| sqlx::query(SQL).bind(name).bind(key_name).bind(wrapped).execute(c).await?.rows_affected());
                held = read(&mut conn, name).await?;
            }
            let held = held.ok_or(StoreError::Corrupt("service_key"))?;
            keys.insert(which, keyring.unwrap(&held.key_name, &aad, &held.wrapped_key)?);
        }
        Ok(Self(keys))
    }

    pub(super) fn get(&self, which: ServiceKey) -> &Key {
        // `open` inserted every variant.
        &self.0[&which]
    }
}

async fn read(conn: &mut Conn, name: &str) -> Result<Option<Wrapped>, sqlx::Error> {
    const SQL: &str = "SELECT key_name, wrapped_key FROM service_key WHERE name = $1";
    on!(conn conn, |c| sqlx::query_as(SQL).bind(name).fetch_optional(c).await)
}

fn service_aad(name: &str) -> Vec<u8> {
    format!("service_key/{name}").into_bytes()
}

/// What ties a wrapped case key to its stream.
pub(super) fn case_aad(id: Uuid) -> Vec<u8> {
    format!("stream/{id}").into_bytes()
}

impl Store {
    /// One of the service's own keys.
    #[must_use]
    pub fn service_key(&self, which: ServiceKey) -> &Key {
        self.inner.keys.get(which)
    }

    pub(super) fn unwrap_case_key(
        &self,
        id: Uuid,
        key_name: Option<&str>,
        wrapped: Option<&[u8]>,
    ) -> Result<Key, CryptError> {
        match (key_name, wrapped) {
            (Some(name), Some(w)) => self.inner.keyring.unwrap(name, &case_aad(id), w),
            _ => Err(CryptError::Destroyed),
        }
    }

    /// Wraps every key that an older master key wraps with the active one, a few hundred per
    /// transaction, while the service runs. Returns how many.
    ///
    /// # Errors
    /// An old master key is not configured any more, or the database failed.
    pub async fn rewrap_keys(&self) -> Result<u64, StoreError> {
        let keyring = &self.inner.keyring;
        let mut conn = self.inner.target.connect().await?;
        let mut done = 0;
        for (_, name) in ServiceKey::ALL {
            let aad = service_aad(name);
            let held = read(&mut conn, name).await?.ok_or(StoreError::Corrupt("service_key"))?;
            if held.key_name != keyring.active() {
                let key = keyring.unwrap(&held.key_name, &aad, &held.wrapped_key)?;
                let (key_name, wrapped) = keyring.wrap(&aad, &key)?;
                const SQL: &str =
                    "UPDATE service_key SET key_name = $2, wrapped_key = $3 WHERE name = $1";
                on!(conn &mut conn, |c| sqlx::query(SQL).bind(name).bind(key_name).bind(wrapped).execute(c).await?.rows_affected());
                done += 1;
            }
        }
        loop {
            const OLD: &str =
                "SELECT id, key_name, wrapped_key FROM stream WHERE key_name <> $1 LIMIT 200";
            let old: Vec<(Uuid, String, Vec<u8>)> = on!(conn &mut conn, |c| sqlx::query_as(OLD)
                .bind(keyring.active())
                .fetch_all(c)
                .await?);
            if old.is_empty() {
                return Ok(done);
            }
            conn.begin().await?;
            for (id, name, wrapped) in &old {
                let key = keyring.unwrap(name, &case_aad(*id), wrapped)?;
                let (new_name, rewrapped) = keyring.wrap(&case_aad(*id), &key)?;
                const SQL: &str = "UPDATE stream SET key_name = $2, wrapped_key = $3 WHERE id = $1 AND key_name = $4";
                on!(conn &mut conn, |c| sqlx::query(SQL).bind(id).bind(new_name).bind(rewrapped).bind(name).execute(c).await?.rows_affected());
            }
            conn.commit().await?;
            done += old.len() as u64;
        }
    }
}
