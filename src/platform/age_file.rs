//! Files that only the holder of a private key can read, in the age format (version 1, X25519
//! recipients). This machine keeps public keys only, so a copy that leaves it is of no use to
//! whoever finds it. Why not the `age` crate: docs/decisions/0009-age-copies.md.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Plain bytes of one sealed chunk, fixed by the format.
const CHUNK: usize = 64 * 1024;

/// The letters of bech32, each worth its place.
const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// What can go wrong; never repeats a key, because the wrong half may have been pasted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AgeError {
    #[error("no recipient is named: nobody could read the file")]
    NoRecipient,
    #[error("is not an age public key (age1 and 58 letters and digits; age-keygen prints one)")]
    NotAKey,
    #[error(
        "is the secret half of a key: take it off this machine and name the public half (age1…)"
    )]
    SecretKey,
    #[error("the random source or the cipher failed, or a recipient's key is a weak one")]
    Cipher,
}

/// A public key that a file is sealed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

impl Recipient {
    /// Reads `age1…`.
    ///
    /// # Errors
    /// Not a public key: a letter is wrong, or it is the secret half.
    pub fn parse(text: &str) -> Result<Self, AgeError> {
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY") {
            return Err(AgeError::SecretKey);
        }
        let letters = text.strip_prefix("age1").ok_or(AgeError::NotAKey)?;
        let values: Option<Vec<u8>> = letters.bytes().map(value).collect();
        let values = values.filter(|v| v.len() == 58).ok_or(AgeError::NotAKey)?;
        // What the check sum covers: the prefix's high bits, a zero, its low bits, the letters.
        let prefix = [3, 3, 3, 0, b'a' & 31, b'g' & 31, b'e' & 31];
        if polymod(prefix.into_iter().chain(values.iter().copied())) != 1 {
            return Err(AgeError::NotAKey);
        }
        let (mut key, mut held, mut bits) = (Vec::with_capacity(32), 0_u32, 0);
        for v in &values[..52] {
            held = (held << 5 | u32::from(*v)) & 0xfff;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                key.push((held >> bits & 0xff) as u8);
            }
        }
        let left = held & ((1 << bits) - 1);
        let key = key.try_into().map_err(|_| AgeError::NotAKey)?;
        if left == 0 { Ok(Self(key)) } else { Err(AgeError::NotAKey) }
    }

    /// The stanza that gives this recipient, and nobody else, the file's key.
    fn stanza(&self, file_key: &[u8; 16]) -> Result<String, AgeError> {
        let secret =
            EphemeralPrivateKey::generate(&X25519, &rand::SystemRandom::new()).map_err(failed)?;
        let share = secret.compute_public_key().map_err(failed)?;
        let salt = [share.as_ref(), &self.0].concat();
        let peer = UnparsedPublicKey::new(&X25519, &self.0);
        let wrapped = agree_ephemeral(secret, peer, AgeError::Cipher, |shared| {
            let key = derive(shared, &salt, b"age-encryption.org/v1/X25519")?;
            let mut body = file_key.to_vec();
            // A key used once, so its nonce may be zero: the format says so.
            seal(&cipher(&key)?, [0; 12], &mut body)?;
            Ok(body)
        })?;
        let encode = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
        Ok(format!("-> X25519 {}\n{}\n", encode(share.as_ref()), encode(&wrapped)))
    }
}

/// Encrypts `plain` so that each of `recipients` can read it with the age program.
///
/// # Errors
/// No recipient, or the machine's cryptography fails.
pub fn encrypt(recipients: &[Recipient], plain: &[u8]) -> Result<Vec<u8>, AgeError> {
    if recipients.is_empty() {
        return Err(AgeError::NoRecipient);
    }
    let (mut file_key, mut nonce) = ([0; 16], [0; 16]);
    rand::fill(&mut file_key).map_err(failed)?;
    rand::fill(&mut nonce).map_err(failed)?;

    let mut header = "age-encryption.org/v1\n".to_owned();
    for recipient in recipients {
        header.push_str(&recipient.stanza(&file_key)?);
    }
    header.push_str("---");
    let mac_key = hmac::Key::new(hmac::HMAC_SHA256, &derive(&file_key, &[], b"header")?);
    let mac = STANDARD_NO_PAD.encode(hmac::sign(&mac_key, header.as_bytes()));

    let mut out = format!("{header} {mac}\n").into_bytes();
    out.reserve(nonce.len() + plain.len() + (plain.len() / CHUNK + 1) * 16);
    out.extend_from_slice(&nonce);
    let key = cipher(&derive(&file_key, &nonce, b"payload")?)?;
    // An empty file is one empty chunk; otherwise the last chunk is never empty.
    let count = plain.len().div_ceil(CHUNK).max(1);
    for n in 0..count {
        let from = n * CHUNK;
        let mut chunk = plain[from..plain.len().min(from + CHUNK)].to_vec();
        // Eleven bytes of counter and one that marks the last chunk, so that none can be cut off.
        let mut count_nonce = [0; 12];
        count_nonce[3..11].copy_from_slice(&(n as u64).to_be_bytes());
        count_nonce[11] = u8::from(n + 1 == count);
        seal(&key, count_nonce, &mut chunk)?;
        out.append(&mut chunk);
    }
    Ok(out)
}

fn failed(_: aws_lc_rs::error::Unspecified) -> AgeError {
    AgeError::Cipher
}

fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<[u8; 32], AgeError> {
    let mut key = [0; 32];
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[info], HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .map_err(failed)?;
    Ok(key)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, AgeError> {
    UnboundKey::new(&CHACHA20_POLY1305, key).map(LessSafeKey::new).map_err(failed)
}

fn seal(key: &LessSafeKey, nonce: [u8; 12], body: &mut Vec<u8>) -> Result<(), AgeError> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), body).map_err(failed)
}

fn value(letter: u8) -> Option<u8> {
    LETTERS.iter().position(|l| *l == letter).and_then(|n| u8::try_from(n).ok())
}

/// The check sum of bech32 (BIP 173).
fn polymod(values: impl Iterator<Item = u8>) -> u32 {
    const G: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    values.fold(1, |sum, v| {
        let top = sum >> 25;
        let next = (sum & 0x01ff_ffff) << 5 ^ u32::from(v);
        (0..5).filter(|i| top >> i & 1 == 1).fold(next, |s, i| s ^ G[i])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the format's own documentation.
    const KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    #[test]
    fn a_public_key_is_read_and_any_wrong_letter_is_noticed() {
        Recipient::parse(KEY).unwrap();
        for i in 4..KEY.len() {
            let mut wrong = KEY.as_bytes().to_vec();
            wrong[i] = if wrong[i] == b'q' { b'p' } else { b'q' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(Recipient::parse(&wrong), Err(AgeError::NotAKey), "{i}");
        }
        for wrong in
            ["", "age1", "age1é", &KEY[..61], &KEY.to_uppercase(), &format!("{KEY} "), "ssh-rsa A"]
        {
            assert_eq!(Recipient::parse(wrong), Err(AgeError::NotAKey), "{wrong}");
        }
    }

    #[test]
    fn a_secret_key_is_refused_and_not_repeated() {
        let said = Recipient::parse("AGE-SECRET-KEY-1QQQ").unwrap_err().to_string();
        assert!(said.contains("secret half") && !said.contains("QQQ"), "{said}");
    }

    #[test]
    fn without_a_recipient_nothing_is_written_and_no_two_files_are_alike() {
        assert_eq!(encrypt(&[], b"x"), Err(AgeError::NoRecipient));
        let to = [Recipient::parse(KEY).unwrap()];
        assert_ne!(encrypt(&to, b"x").unwrap(), encrypt(&to, b"x").unwrap());
    }

    #[test]
    fn a_weak_key_is_refused() {
        // Zero agrees on zero with everybody.
        assert_eq!(encrypt(&[Recipient([0; 32])], b"x"), Err(AgeError::Cipher));
    }
}
