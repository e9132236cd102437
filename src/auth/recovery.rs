//! Recovery codes: for the day the telephone lies in a taxi. Ten, shown once, each works once.

use crate::platform::crypt::{CryptError, Key};

const COUNT: usize = 10;
/// Without letters that are read as others.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
const LENGTH: usize = 12;

/// New codes as people keep them, `abcd-efgh-jkmn`: 60 random bits each.
///
/// # Errors
/// No randomness.
pub fn make() -> Result<Vec<String>, CryptError> {
    (0..COUNT)
        .map(|_| {
            let random = Key::random()?.mac(b"recovery");
            let letters = random.iter().take(LENGTH).enumerate().flat_map(|(n, b)| {
                let dash = (n > 0 && n % 4 == 0).then_some('-');
                dash.into_iter().chain([char::from(LETTERS[usize::from(b & 31)])])
            });
            Ok(letters.collect())
        })
        .collect()
}

/// What is kept of a code: a digest under the service's key, so that a copy of the table cannot be
/// searched. Spaces, dashes and capitals do not matter.
#[must_use]
pub fn digest(key: &Key, code: &str) -> Vec<u8> {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    key.mac(format!("recovery\0{plain}").as_bytes()).to_vec()
}

/// Whether something typed looks like one of these, and not like a code of an app.
#[must_use]
pub fn looks_like_one(typed: &str) -> bool {
    typed.chars().filter(char::is_ascii_alphanumeric).count() == LENGTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_differ_and_are_read_however_they_are_typed() {
        let codes = make().unwrap();
        let key = Key::random().unwrap();
        let mut digests: Vec<_> = codes.iter().map(|c| digest(&key, c)).collect();
        digests.sort();
        digests.dedup();
        assert_eq!((codes.len(), digests.len()), (COUNT, COUNT));
        let c = &codes[0];
        assert!(c.len() == 14 && looks_like_one(c) && !looks_like_one("123 456"), "{c}");
        let typed = c.to_uppercase().replace('-', " ");
        assert_eq!(digest(&key, &typed), digest(&key, c));
        assert_ne!(digest(&Key::random().unwrap(), c), digest(&key, c));
    }
}
