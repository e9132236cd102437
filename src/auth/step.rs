//! Sign-ins half way through: a code, a passkey or another service is awaited. What is needed then is
//! sealed in the database; the browser holds only a random word, for ten minutes.

use crate::platform::crypt::{Key, random_token, sha256};
use crate::store::{ServiceKey, Store, StoreError};
use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

const LASTS: Duration = Duration::minutes(10);

fn digest(word: &str) -> Vec<u8> {
    sha256(&[b"cdr-step", word.as_bytes()]).to_vec()
}

fn place(kind: &str) -> Vec<u8> {
    format!("sign_in_step/{kind}").into_bytes()
}

fn key(store: &Store) -> &Key {
    store.service_key(ServiceKey::SignIn)
}

/// Begins a step; the word for the cookie.
///
/// # Errors
/// The change was not committed.
pub async fn begin(
    store: &Store,
    kind: &'static str,
    what: &impl Serialize,
    now: DateTime<Utc>,
) -> Result<String, StoreError> {
    let word = random_token()?;
    let plain = serde_json::to_vec(what).map_err(|_| StoreError::Corrupt("step to store"))?;
    let sealed = key(store).seal(&place(kind), &plain)?;
    store.add_step(digest(&word), kind, sealed, now, now + LASTS).await?;
    Ok(word)
}

/// What a step needs; it stays.
///
/// # Errors
/// The database failed.
pub async fn look<T: DeserializeOwned>(
    store: &Store,
    kind: &'static str,
    word: &str,
    now: DateTime<Utc>,
) -> Result<Option<T>, StoreError> {
    open(store, kind, store.step(&digest(word), kind, now).await?)
}

/// What a step needs; it works once.
///
/// # Errors
/// The change was not committed.
pub async fn take<T: DeserializeOwned>(
    store: &Store,
    kind: &'static str,
    word: &str,
    now: DateTime<Utc>,
) -> Result<Option<T>, StoreError> {
    open(store, kind, store.take_step(digest(word), kind, now).await?)
}

fn open<T: DeserializeOwned>(
    store: &Store,
    kind: &str,
    sealed: Option<Vec<u8>>,
) -> Result<Option<T>, StoreError> {
    let Some(sealed) = sealed else { return Ok(None) };
    let plain = key(store).open(&place(kind), &sealed)?;
    serde_json::from_slice(&plain).map(Some).map_err(|_| StoreError::Corrupt("step"))
}
