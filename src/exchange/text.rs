//! Bytes as text, in the encodings spreadsheets save.

use std::borrow::Cow;

/// What Windows puts where Latin-1 has control characters, from 0x80.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Reads UTF-8, UTF-16 with its mark ("Unicode text"), and otherwise Windows-1252, in which every
/// byte means something.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_or_else(
        |_| {
            let windows = |b: &u8| match b {
                0x80..=0x9f => WINDOWS.get(usize::from(*b) - 0x80).copied().unwrap_or('\u{fffd}'),
                _ => char::from(*b),
            };
            Cow::Owned(bytes.iter().map(windows).collect())
        },
        Cow::Borrowed,
    )
}
