//! Passwords: argon2id, a few at a time, the same work for accounts that do not exist.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// At most this many hashes at once: each takes 19 MiB and a core.
static ROOM: Semaphore = Semaphore::const_new(2);

/// Hashes computed since the start: tests hold to it that an unknown account costs what a known one
/// does. A clock would tell the same, less surely.
static WORK: AtomicU64 = AtomicU64::new(0);

/// How many hashes this process has computed.
#[must_use]
pub fn work() -> u64 {
    WORK.load(Ordering::Relaxed)
}

/// Shortest password accepted (NCSC: long beats complicated).
pub const SHORTEST: usize = 12;

#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has at least {SHORTEST} characters")]
    TooShort,
    #[error("the password could not be hashed")]
    Hash,
}

fn argon2() -> Argon2<'static> {
    // OWASP's first choice: 19 MiB, two passes, one lane.
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a new password.
///
/// # Errors
/// Too short, or no randomness.
pub async fn hash(password: String) -> Result<String, PasswordError> {
    if password.chars().count() < SHORTEST {
        return Err(PasswordError::TooShort);
    }
    let _room = ROOM.acquire().await;
    WORK.fetch_add(1, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || {
        argon2().hash_password(password.as_bytes()).map(|h| h.to_string())
    })
    .await
    .map_err(|_| PasswordError::Hash)?
    .map_err(|_| PasswordError::Hash)
}

/// Whether the password fits. With no hash (no such account, or one without a password) the same work
/// is done for nothing, so that time does not tell who exists.
pub async fn fits(password: String, hash: Option<String>) -> bool {
    static NOBODY: LazyLock<String> = LazyLock::new(|| {
        argon2()
            .hash_password(b"nobody has this password")
            .map(|h| h.to_string())
            .unwrap_or_default()
    });
    let _room = ROOM.acquire().await;
    WORK.fetch_add(1, Ordering::Relaxed);
    let hash = hash.filter(|h| !h.is_empty());
    tokio::task::spawn_blocking(move || {
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        let fits = PasswordHash::new(&hash)
            .is_ok_and(|h| argon2().verify_password(password.as_bytes(), &h).is_ok());
        exists && fits
    })
    .await
    .unwrap_or(false)
}
