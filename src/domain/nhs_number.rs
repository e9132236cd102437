//! NHS numbers: ten digits whose last is a modulus 11 check digit.

use std::fmt;

/// A number whose check digit is right. Holding one proves the check; it says nothing about whose
/// it is. Silent in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct NhsNumber([u8; 10]);

/// Why a text is not an NHS number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NhsNumberError {
    #[error("an NHS number has 10 digits")]
    NotTenDigits,
    #[error("this NHS number does not pass its check; one digit may be wrong or two swapped")]
    CheckDigit,
}

impl NhsNumber {
    /// Reads a number as people write it: spaces and hyphens between digits do not matter.
    ///
    /// # Errors
    /// Not ten digits, or a check digit that does not fit (weights 10 to 2, remainder from 11,
    /// 11 read as 0, 10 never valid).
    pub fn parse(text: &str) -> Result<Self, NhsNumberError> {
        let mut digits = [0_u8; 10];
        let mut n = 0;
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let d = c.to_digit(10).and_then(|d| u8::try_from(d).ok());
            match (d, digits.get_mut(n)) {
                (Some(d), Some(slot)) => *slot = d,
                _ => return Err(NhsNumberError::NotTenDigits),
            }
            n += 1;
        }
        if n != 10 {
            return Err(NhsNumberError::NotTenDigits);
        }
        if check_digit(&digits[..9]) == Some(digits[9]) {
            Ok(Self(digits))
        } else {
            Err(NhsNumberError::CheckDigit)
        }
    }

    /// The ten digits without spaces.
    #[must_use]
    pub fn digits(&self) -> String {
        self.0.iter().map(|d| char::from(b'0' + d)).collect()
    }
}

/// The check digit for nine digits, or none if no number with these nine exists.
#[must_use]
pub fn check_digit(nine: &[u8]) -> Option<u8> {
    let sum: u32 = nine.iter().zip((2..=10).rev()).map(|(d, w)| u32::from(*d) * w).sum();
    match 11 - sum % 11 {
        10 => None,
        11 => Some(0),
        d => u8::try_from(d).ok(),
    }
}

impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber(…)")
    }
}
