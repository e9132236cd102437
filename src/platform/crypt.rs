//! Keys, sealing and digests, all from one provider (aws-lc).
//!
//! Sealing is AES-256-GCM under a fresh random nonce; the associated data ties a ciphertext to the
//! place it belongs, so that moving it elsewhere makes it unreadable. A data key serves one case,
//! so few messages share a key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::fmt;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;

/// A key that never prints.
#[derive(Clone)]
pub struct Key([u8; KEY_LEN]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What can go wrong with keys and ciphertexts; never says what was inside.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CryptError {
    #[error("the random source failed")]
    Random,
    #[error("a sealed value could not be opened: wrong key, or it was changed or moved")]
    Open,
    #[error("no master key named {0:?} is configured")]
    UnknownKey(String),
    #[error("the key was destroyed")]
    Destroyed,
    #[error(
        "a master key is written as a name, a colon and 32 bytes in base64 (cdr keys new prints one)"
    )]
    BadMasterKey,
}

impl Key {
    /// A fresh random key.
    ///
    /// # Errors
    /// The operating system gives no randomness.
    pub fn random() -> Result<Self, CryptError> {
        let mut k = [0; KEY_LEN];
        rand::fill(&mut k).map_err(|_| CryptError::Random)?;
        Ok(Self(k))
    }

    /// # Errors
    /// Not exactly 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CryptError> {
        Ok(Self(bytes.try_into().map_err(|_| CryptError::Open)?))
    }

    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Seals `plain` for the place `aad` names: nonce, ciphertext, tag.
    ///
    /// # Errors
    /// The random source failed.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, CryptError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.0).map_err(|_| CryptError::Random)?;
        let mut body = plain.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(aad), &mut body)
            .map_err(|_| CryptError::Random)?;
        let mut out = Vec::with_capacity(NONCE_LEN + body.len());
        out.extend_from_slice(nonce.as_ref());
        out.append(&mut body);
        Ok(out)
    }

    /// Opens what [`Key::seal`] made for the same place.
    ///
    /// # Errors
    /// Another key, another place, or a changed byte.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CryptError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(CryptError::Open)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptError::Open)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.0).map_err(|_| CryptError::Open)?;
        let mut body = body.to_vec();
        let n = key
            .open_in_place(nonce, Aad::from(aad), &mut body)
            .map_err(|_| CryptError::Open)?
            .len();
        body.truncate(n);
        Ok(body)
    }

    /// A keyed digest: for look-ups over sealed values and for link tokens.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), message);
        let mut out = [0; 32];
        out.copy_from_slice(tag.as_ref());
        out
    }
}

/// HMAC-SHA256 under a key of any length (webhook secrets).
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// HMAC-SHA1, for the one provider whose call-backs are signed with it and for the codes of
/// authenticator apps, which know no other. As a MAC it still holds; nothing else is to use it.
#[must_use]
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    hmac::sign(&key, message).as_ref().to_vec()
}

/// SHA-1, for looking passwords up in lists that are kept under it. It proves nothing.
#[must_use]
pub fn sha1_for_lists(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

/// SHA-256 over the parts, one after another.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut ctx = digest::Context::new(&digest::SHA256);
    for p in parts {
        ctx.update(p);
    }
    let mut out = [0; 32];
    out.copy_from_slice(ctx.finish().as_ref());
    out
}

/// SHA-256 of what comes piece by piece.
pub struct Hasher(digest::Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

/// Compares without telling by time where two values differ.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// A random text for tokens: 32 bytes, URL-safe.
///
/// # Errors
/// The random source failed.
pub fn random_token() -> Result<String, CryptError> {
    Key::random().map(|k| URL_SAFE_NO_PAD.encode(k.0))
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// The master keys: the first wraps, all unwrap, so that keys rotate without a pause.
#[derive(Clone, Debug)]
pub struct Keyring {
    active: String,
    keys: BTreeMap<String, Key>,
}

impl Keyring {
    /// Reads `name:base64` words separated by white space; the first is the active one.
    ///
    /// # Errors
    /// A word that is not of that form, or none at all.
    pub fn parse(text: &SecretString) -> Result<Self, CryptError> {
        let mut keys = BTreeMap::new();
        let mut active = None;
        for word in text.expose_secret().split_whitespace() {
            let (name, key) = word.split_once(':').ok_or(CryptError::BadMasterKey)?;
            let bytes = STANDARD.decode(key).map_err(|_| CryptError::BadMasterKey)?;
            let key = Key::from_bytes(&bytes).map_err(|_| CryptError::BadMasterKey)?;
            if name.is_empty() || key.0.iter().all(|b| *b == key.0[0]) {
                return Err(CryptError::BadMasterKey);
            }
            active.get_or_insert_with(|| name.to_owned());
            keys.insert(name.to_owned(), key);
        }
        Ok(Self { active: active.ok_or(CryptError::BadMasterKey)?, keys })
    }

    /// Name of the key that wraps new data keys.
    #[must_use]
    pub fn active(&self) -> &str {
        &self.active
    }

    /// Wraps a data key for the place `aad`; returns the master key's name and the wrapped key.
    ///
    /// # Errors
    /// The random source failed.
    pub fn wrap(&self, aad: &[u8], key: &Key) -> Result<(String, Vec<u8>), CryptError> {
        let master = self.keys.get(&self.active).ok_or(CryptError::BadMasterKey)?;
        Ok((self.active.clone(), master.seal(aad, &key.0)?))
    }

    /// # Errors
    /// The named master key is not configured, or the wrapped key was changed.
    pub fn unwrap(&self, name: &str, aad: &[u8], wrapped: &[u8]) -> Result<Key, CryptError> {
        let master = self.keys.get(name).ok_or_else(|| CryptError::UnknownKey(name.to_owned()))?;
        Key::from_bytes(&master.open(aad, wrapped)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_in_its_place_only() {
        let k = Key::random().unwrap();
        let sealed = k.seal(b"here", b"secret").unwrap();
        assert_eq!(k.open(b"here", &sealed).unwrap(), b"secret");
        assert_eq!(k.open(b"there", &sealed), Err(CryptError::Open));
        let mut changed = sealed.clone();
        changed[14] ^= 1;
        assert_eq!(k.open(b"here", &changed), Err(CryptError::Open));
        assert_eq!(Key::random().unwrap().open(b"here", &sealed), Err(CryptError::Open));
    }

    #[test]
    fn keys_rotate_and_old_ones_still_unwrap() {
        let word = |n: &str| format!("{n}:{}", Key::random().unwrap().to_base64());
        let (one, two) = (word("one"), word("two"));
        let old = Keyring::parse(&one.clone().into()).unwrap();
        let both = Keyring::parse(&format!("{two} {one}").into()).unwrap();
        let data = Key::random().unwrap();
        let (name, wrapped) = old.wrap(b"x", &data).unwrap();
        assert_eq!(both.unwrap(&name, b"x", &wrapped).unwrap().0, data.0);
        assert_eq!(both.wrap(b"x", &data).unwrap().0, "two");
        for wrong in ["", "x", "x:abc", ":AAAA", &format!("z:{}", STANDARD.encode([0; 32]))] {
            assert!(Keyring::parse(&wrong.to_owned().into()).is_err(), "{wrong}");
        }
    }
}
