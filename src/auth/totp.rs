//! Time-based one-time codes (RFC 6238): six digits, thirty seconds, HMAC-SHA1, as every
//! authenticator app has them.

use crate::platform::crypt::{CryptError, Key, hmac_sha1, same};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Bytes of a secret: what RFC 4226 recommends.
const SECRET: usize = 20;
const STEP_SECONDS: i64 = 30;

/// A new secret.
///
/// # Errors
/// No randomness.
pub fn secret() -> Result<Vec<u8>, CryptError> {
    Ok(Key::random()?.mac(b"totp")[..SECRET].to_vec())
}

/// Where a secret is sealed: it opens for this account only.
#[must_use]
pub fn place(user: Uuid) -> Vec<u8> {
    format!("totp/{user}").into_bytes()
}

/// The time step of a moment.
#[must_use]
pub fn step_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(STEP_SECONDS)
}

/// The code of a time step.
#[must_use]
pub fn code(secret: &[u8], step: i64) -> String {
    let mac = hmac_sha1(secret, &step.to_be_bytes());
    let at = usize::from(mac.last().copied().unwrap_or(0) & 0x0f);
    let four = mac.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok()).unwrap_or_default();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

/// The time step whose code this is: now, or one before or after. Every candidate is compared.
#[must_use]
pub fn fits(secret: &[u8], typed: &str, now: DateTime<Utc>) -> Option<i64> {
    let typed: String = typed.chars().filter(char::is_ascii_digit).collect();
    let now = step_of(now);
    let mut found = None;
    for step in [now - 1, now, now + 1] {
        if same(code(secret, step).as_bytes(), typed.as_bytes()) {
            found = Some(step);
        }
    }
    found
}

/// The secret as apps take it by hand: base32 without padding.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::new();
    for five in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + five.len()].copy_from_slice(five);
        let bits = u64::from_be_bytes(block);
        let letters = (five.len() * 8).div_ceil(5);
        for n in 0..letters {
            let at = usize::try_from((bits >> (35 - 5 * n)) & 31).unwrap_or(0);
            out.push(char::from(LETTERS[at]));
        }
    }
    out
}

/// What the square in the page says.
#[must_use]
pub fn uri(secret: &[u8], account: &str) -> String {
    let account: String =
        form_urlencoded::byte_serialize(account.as_bytes()).collect::<String>().replace('+', "%20");
    format!(
        "otpauth://totp/Child%20Death%20Review:{account}?secret={}&issuer=Child%20Death%20Review",
        base32(secret)
    )
}

/// The square as a picture; none if it would be too large for one.
#[must_use]
pub fn square(uri: &str) -> Option<String> {
    use qrcode::render::svg;
    let code = qrcode::QrCode::new(uri.as_bytes()).ok()?;
    let picture = code
        .render::<svg::Color<'_>>()
        .min_dimensions(220, 220)
        .dark_color(svg::Color("#000"))
        .light_color(svg::Color("#fff"))
        .build();
    // Only the drawing: the declaration before it has no place within a page.
    Some(picture[picture.find("<svg")?..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B; our codes are the last six of its eight digits.
    #[test]
    fn the_codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (time, want) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(secret, time / STEP_SECONDS), want);
        }
    }

    /// RFC 4648, section 10.
    #[test]
    fn base32_is_that_of_the_standard() {
        for (plain, want) in [
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), want);
        }
    }

    #[test]
    fn one_step_early_or_late_is_taken_and_no_more() {
        let (secret, now) = (secret().unwrap(), Utc::now());
        let at = step_of(now);
        for off in -1..=1 {
            assert_eq!(fits(&secret, &code(&secret, at + off), now), Some(at + off));
        }
        for off in [-2, 2] {
            assert_eq!(fits(&secret, &code(&secret, at + off), now), None);
        }
        let spaced = code(&secret, at);
        assert_eq!(fits(&secret, &format!("{} {}", &spaced[..3], &spaced[3..]), now), Some(at));
        assert_eq!(fits(&secret, "", now), None);
        assert!(square(&uri(&secret, "a b@northshire.example")).unwrap().starts_with("<svg"));
    }
}
