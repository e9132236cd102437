//! Bytes that are almost JSON. Half a surrogate pair or a stray byte in a name typed on some old
//! system must not lose a notification: each becomes U+FFFD, and the field is warned about.

use std::borrow::Cow;

/// The body as text that any JSON parser takes: invalid UTF-8 and unpaired `\uD800`-style escapes
/// replaced by U+FFFD.
#[must_use]
pub fn repaired(body: &[u8]) -> Cow<'_, str> {
    let text = match String::from_utf8_lossy(body) {
        Cow::Borrowed(t) => Cow::Borrowed(t.trim_start_matches('\u{feff}')),
        Cow::Owned(t) => Cow::Owned(t),
    };
    if text.contains("\\ud") || text.contains("\\uD") || text.contains("\\Ud") {
        Cow::Owned(pair_surrogates(&text))
    } else {
        text
    }
}

fn pair_surrogates(text: &str) -> String {
    let b = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let mut i = 0;
    while i < b.len() {
        if b[i] != b'\\' {
            i += 1;
            continue;
        }
        match escape_at(b, i) {
            Some(0xD800..=0xDBFF) if matches!(escape_at(b, i + 6), Some(0xDC00..=0xDFFF)) => {
                i += 12;
            }
            Some(0xD800..=0xDFFF) => {
                out.push_str(&text[from..i]);
                out.push_str("\\ufffd");
                i += 6;
                from = i;
            }
            // Any other escape: skip the backslash and what it escapes, so that `\\u` is not read
            // as an escape. The byte after a backslash is ASCII in valid JSON.
            _ => i += if b.get(i + 1).is_some_and(u8::is_ascii) { 2 } else { 1 },
        }
    }
    out.push_str(&text[from..]);
    out
}

/// The code unit of a `\uXXXX` escape that starts at `i`.
fn escape_at(b: &[u8], i: usize) -> Option<u32> {
    let e = b.get(i..i + 6)?;
    let hex = std::str::from_utf8(e.strip_prefix(b"\\u")?).ok()?;
    hex.bytes().all(|c| c.is_ascii_hexdigit()).then(|| u32::from_str_radix(hex, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::repaired;

    #[test]
    fn only_unpaired_surrogates_are_replaced() {
        for (given, want) in [
            (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#),
            (r#"{"a":"x\ud83dy"}"#, r#"{"a":"x\ufffdy"}"#),
            (r#"{"a":"\ude00\ud83d"}"#, r#"{"a":"\ufffd\ufffd"}"#),
            (r#"{"a":"\\ud83d"}"#, r#"{"a":"\\ud83d"}"#),
            (r#"{"a":"\ud8"#, r#"{"a":"\ud8"#),
        ] {
            assert_eq!(repaired(given.as_bytes()), want);
        }
        assert_eq!(repaired(b"{\"a\":\"\xff\"}"), "{\"a\":\"\u{fffd}\"}");
    }
}
