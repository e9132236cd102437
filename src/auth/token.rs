//! API tokens: random, shown once, kept as a digest. A few seconds of memory save a look-up per
//! request; a revoked token is refused everywhere within that time.

use super::policy::{Caller, TokenScope, Who};
use crate::platform::crypt::{CryptError, random_token, sha256};
use crate::platform::fresh;
use crate::store::{Store, StoreError, TokenRow};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const REMEMBERED: Duration = Duration::from_secs(5);

/// Checks bearer tokens.
#[derive(Default)]
pub struct Tokens {
    seen: Mutex<HashMap<[u8; 32], (Instant, Caller)>>,
}

/// Makes a token: what the machine keeps, and the digest we keep.
///
/// # Errors
/// No randomness.
pub fn make() -> Result<(String, Vec<u8>), CryptError> {
    let token = format!("cdr_{}", random_token()?);
    let digest = digest(&token).to_vec();
    Ok((token, digest))
}

fn digest(token: &str) -> [u8; 32] {
    sha256(&[b"cdr-api-token", token.as_bytes()])
}

impl Tokens {
    /// The caller behind a token; none if it is unknown or revoked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn caller(&self, store: &Store, token: &str) -> Result<Option<Caller>, StoreError> {
        let digest = digest(token);
        if let Some(c) = self.remembered(&digest) {
            return Ok(Some(c));
        }
        let Some(row) = store.token(&digest).await? else { return Ok(None) };
        let caller = caller_of(row);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, (at, _)| at.elapsed() < REMEMBERED);
        seen.insert(digest, (Instant::now(), caller.clone()));
        Ok(Some(caller))
    }

    /// Whether a token was good within the last seconds.
    #[must_use]
    pub fn knows(&self, token: &str) -> bool {
        self.remembered(&digest(token)).is_some()
    }

    fn remembered(&self, digest: &[u8; 32]) -> Option<Caller> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(digest).filter(|(at, _)| at.elapsed() < REMEMBERED).map(|(_, c)| c.clone())
    }
}

fn caller_of(row: TokenRow) -> Caller {
    let scopes = row.scopes.split(' ').filter_map(TokenScope::parse).collect();
    Caller {
        who: Who::Machine { id: row.id, name: row.name, scopes },
        area: row.area,
        agency: row.agency,
    }
}

/// Makes and stores a token; returns what the machine keeps.
///
/// # Errors
/// The change was not committed.
pub async fn issue(
    store: &Store,
    name: &str,
    scopes: &[TokenScope],
    area: &str,
    agency: Option<String>,
    at: DateTime<Utc>,
) -> Result<String, StoreError> {
    let (token, digest) = make()?;
    let scopes: Vec<&str> = scopes.iter().map(|s| s.word()).collect();
    let row = TokenRow {
        id: fresh::id(),
        name: name.to_owned(),
        scopes: scopes.join(" "),
        area: area.to_owned(),
        agency,
    };
    store.add_token(digest, row, at).await?;
    Ok(token)
}
