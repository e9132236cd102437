//! Budgets of attempts to sign in. They slow an attacker and never lock an owner out: what an
//! attacker spends from elsewhere is not what a browser spends that has signed in before.
//!
//! * A browser that the account knows has a budget of its own, and no other counts for it.
//! * Any other: one for the account from this address, and a wide one for the address (a hospital
//!   stands behind one).
//! * Codes after a right password: one for the account from everywhere, since whoever gets there
//!   knows the password. A known browser has its own; a passkey needs no code.
//!
//! Only what fails is spent, but it is taken before the work and given back after, so that guesses
//! made side by side count. Keys are digests under the service's key; the database has them, so
//! limits hold over all nodes.

use crate::platform::crypt::sha256;
use crate::store::{Budget, ServiceKey, Store, StoreError};
use chrono::{DateTime, Utc};
use std::net::IpAddr;
use uuid::Uuid;

/// Passwords for one account from one address: five, then one a minute.
const ACCOUNT_HERE: Budget = Budget { at_once: 5, refill_ms: 60_000 };
/// Passwords from one address, whatever the account: 200, then one each ten seconds.
const ADDRESS: Budget = Budget { at_once: 200, refill_ms: 10_000 };
/// Passwords or codes in a browser that the account knows: ten, then one a minute.
const KNOWN: Budget = Budget { at_once: 10, refill_ms: 60_000 };
/// Codes for one account from anywhere: ten, then one each ten minutes. A million codes, three of
/// them right: a year of guessing finds one with odds of one in six, for somebody who has the password.
const CODES: Budget = Budget { at_once: 10, refill_ms: 600_000 };
/// Invitations and passkeys that do not fit, from one address.
const OTHER: Budget = Budget { at_once: 60, refill_ms: 10_000 };

/// Whoever asks.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub address: IpAddr,
    /// The word of a browser that has signed in before.
    pub device: Option<String>,
    /// Browser and system in two words.
    pub agent: String,
}

/// What was spent, to be given back if it was a good attempt.
#[must_use]
pub struct Spent(Vec<(Vec<u8>, Budget)>);

/// The digest under which a browser is known.
#[must_use]
pub fn device_digest(word: &str) -> Vec<u8> {
    sha256(&[b"cdr-device", word.as_bytes()]).to_vec()
}

/// A network rather than an address: whoever has one IPv6 address has a /64 of them.
fn network(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return v4.to_string();
            }
            let s = v6.segments();
            format!("{:x}:{:x}:{:x}:{:x}", s[0], s[1], s[2], s[3])
        }
    }
}

fn key(store: &Store, parts: &[&str]) -> Vec<u8> {
    let text = format!("throttle\0{}", parts.join("\0"));
    store.service_key(ServiceKey::SignIn).mac(text.as_bytes()).to_vec()
}

async fn known(
    store: &Store,
    user: Option<Uuid>,
    v: &Visitor,
) -> Result<Option<Vec<u8>>, StoreError> {
    let (Some(user), Some(word)) = (user, &v.device) else { return Ok(None) };
    let digest = device_digest(word);
    Ok(store.knows_device(&digest, user).await?.then_some(digest))
}

/// Room for one more password? `email` is what was typed, so that unknown accounts are slowed alike.
///
/// # Errors
/// The database failed.
pub async fn password(
    store: &Store,
    email: &str,
    user: Option<Uuid>,
    v: &Visitor,
    now: DateTime<Utc>,
) -> Result<Option<Spent>, StoreError> {
    let budgets = match known(store, user, v).await? {
        Some(digest) => vec![(key(store, &["known", &hex(&digest)]), KNOWN)],
        None => vec![
            (key(store, &["account", email, &network(v.address)]), ACCOUNT_HERE),
            (key(store, &["address", &network(v.address)]), ADDRESS),
        ],
    };
    spend(store, budgets, now).await
}

/// Room for one more code?
///
/// # Errors
/// The database failed.
pub async fn code(
    store: &Store,
    user: Uuid,
    v: &Visitor,
    now: DateTime<Utc>,
) -> Result<Option<Spent>, StoreError> {
    let budgets = match known(store, Some(user), v).await? {
        Some(digest) => vec![(key(store, &["known-code", &hex(&digest)]), KNOWN)],
        None => vec![(key(store, &["code", &user.to_string()]), CODES)],
    };
    spend(store, budgets, now).await
}

/// Room for one more attempt of another kind from this address?
///
/// # Errors
/// The database failed.
pub async fn other(
    store: &Store,
    v: &Visitor,
    now: DateTime<Utc>,
) -> Result<Option<Spent>, StoreError> {
    spend(store, vec![(key(store, &["other", &network(v.address)]), OTHER)], now).await
}

async fn spend(
    store: &Store,
    budgets: Vec<(Vec<u8>, Budget)>,
    now: DateTime<Utc>,
) -> Result<Option<Spent>, StoreError> {
    let room = store.spend(budgets.clone(), now).await?;
    Ok(room.then_some(Spent(budgets)))
}

/// It was a good attempt.
///
/// # Errors
/// The change was not committed.
pub async fn give_back(store: &Store, spent: Spent) -> Result<(), StoreError> {
    store.give_back(spent.0).await
}

fn hex(bytes: &[u8]) -> String {
    crate::platform::crypt::hex(bytes)
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let of = |t: &str| network(t.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }
}
