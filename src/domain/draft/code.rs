//! The resume code: 150 random bits in five groups of six that can be read aloud. No letter looks
//! or sounds like a digit, and what is misread that way is read right.

/// Letters of a code; each stands for five bits.
pub const CODE_LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LETTERS: usize = 30;
const GROUP: usize = 6;

/// The code made of these random bytes, as shown: `7K2MXQ-…`. Thirty bytes are used.
#[must_use]
pub fn spoken_code(random: &[u8]) -> String {
    let letter = |b: &u8| char::from(CODE_LETTERS[usize::from(b & 31)]);
    let mut out = String::with_capacity(LETTERS + 4);
    for (n, b) in random.iter().take(LETTERS).enumerate() {
        if n > 0 && n % GROUP == 0 {
            out.push('-');
        }
        out.push(letter(b));
    }
    out
}

/// Reads a code however it was written down; none if it cannot be one.
#[must_use]
pub fn read_code(text: &str) -> Option<String> {
    let plain: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            'U' => 'V',
            c => c,
        })
        .collect();
    (plain.len() == LETTERS).then(|| spoken(&plain))
}

fn spoken(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len() + 4);
    for (n, c) in plain.chars().enumerate() {
        if n > 0 && n % GROUP == 0 {
            out.push('-');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_however_it_is_written() {
        let bytes: Vec<u8> = (0..32).collect();
        let code = spoken_code(&bytes);
        assert_eq!(code, "012345-6789AB-CDEFGH-JKMNPQ-RSTVWX");
        assert_eq!(read_code(&code.to_lowercase().replace('-', " ")).as_deref(), Some(&*code));
        assert_eq!(read_code("oI2345 6789AB CDEFGH JKMNPQ RSTVWX"), Some(code));
        for wrong in ["", "012345", "012345-6789AB-CDEFGH-JKMNPQ-RSTVW"] {
            assert!(read_code(wrong).is_none(), "{wrong}");
        }
    }
}
