//! How many text messages a text really is. Networks carry 160 characters of the GSM alphabet
//! (3GPP TS 23.038), or 70 of UCS-2 if one character is outside it; longer texts are cut into
//! parts, each of which gives up room for a header, and each may be charged and lost by itself.

use std::collections::BTreeSet;

/// The basic alphabet, one septet each.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The extension table: an escape and the character, two septets.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    Gsm7,
    Ucs2,
}

/// The size of a text on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub alphabet: Alphabet,
    /// Septets of the GSM alphabet, or 16-bit units of UCS-2.
    pub units: usize,
    /// Messages it takes; an empty text still takes one.
    pub segments: usize,
}

/// Measures a text.
#[must_use]
pub fn size(text: &str) -> Size {
    let septets: Option<Vec<usize>> = text.chars().map(septets).collect();
    if let Some(widths) = septets {
        return measure(Alphabet::Gsm7, &widths, 160, 153);
    }
    let widths: Vec<usize> = text.chars().map(char::len_utf16).collect();
    measure(Alphabet::Ucs2, &widths, 70, 67)
}

/// The characters that make a text more than twice as dear: those outside the GSM alphabet.
#[must_use]
pub fn forcing_ucs2(text: &str) -> BTreeSet<char> {
    text.chars().filter(|c| septets(*c).is_none()).collect()
}

fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        Some(1)
    } else if EXTENSION.contains(c) {
        Some(2)
    } else {
        None
    }
}

/// An escaped character or a surrogate pair is never cut in two, so a part may end a unit early.
fn measure(alphabet: Alphabet, widths: &[usize], alone: usize, each: usize) -> Size {
    let units = widths.iter().sum();
    if units <= alone {
        return Size { alphabet, units, segments: 1 };
    }
    let (mut segments, mut used) = (1, 0);
    for w in widths {
        if used + w > each {
            segments += 1;
            used = 0;
        }
        used += w;
    }
    Size { alphabet, units, segments }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Alphabet::{Gsm7, Ucs2};

    #[test]
    fn the_alphabet_has_its_127_characters_and_the_ten_escaped_ones() {
        // 128 places, one of which is the escape itself.
        assert_eq!(BASIC.chars().collect::<BTreeSet<_>>().len(), 127);
        assert_eq!(EXTENSION.chars().collect::<BTreeSet<_>>().len(), 10);
    }

    #[test]
    fn known_sizes() {
        let of = |alphabet, units, segments| Size { alphabet, units, segments };
        for (text, expected) in [
            (String::new(), of(Gsm7, 0, 1)),
            ("a".repeat(160), of(Gsm7, 160, 1)),
            ("a".repeat(161), of(Gsm7, 161, 2)),
            ("a".repeat(306), of(Gsm7, 306, 2)),
            ("a".repeat(307), of(Gsm7, 307, 3)),
            ("a".repeat(918), of(Gsm7, 918, 6)),
            ("€".repeat(80), of(Gsm7, 160, 1)),
            ("€".repeat(81), of(Gsm7, 162, 2)),
            // 153 is odd: every part loses a septet to escapes it may not cut.
            ("€".repeat(152), of(Gsm7, 304, 2)),
            ("€".repeat(153), of(Gsm7, 306, 3)),
            ("\u{2019}".to_owned() + &"a".repeat(69), of(Ucs2, 70, 1)),
            ("\u{2019}".to_owned() + &"a".repeat(70), of(Ucs2, 71, 2)),
            ("\u{2019}".repeat(134), of(Ucs2, 134, 2)),
            ("\u{2019}".repeat(135), of(Ucs2, 135, 3)),
            ("\u{1f4de}".repeat(35), of(Ucs2, 70, 1)),
            ("\u{1f4de}".repeat(66), of(Ucs2, 132, 2)),
            ("\u{1f4de}".repeat(67), of(Ucs2, 134, 3)),
            ("`".to_owned(), of(Ucs2, 1, 1)),
        ] {
            assert_eq!(size(&text), expected, "{text}");
        }
    }

    #[test]
    fn the_dear_characters_are_named() {
        assert_eq!(
            forcing_ucs2("Please ring \u{2018}now\u{2019} [£5] \u{2013}"),
            BTreeSet::from(['\u{2018}', '\u{2019}', '\u{2013}'])
        );
        assert!(forcing_ucs2("Child Death Review: CDR-2026-483920. {}^~|\\").is_empty());
    }
}
