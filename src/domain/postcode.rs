//! Postcodes, read as people type them and kept in the usual shape.

/// The usual shape of a UK postcode (`AA9 9AA` and its shorter forms), or none. A postcode that
/// does not fit is kept as given by the caller: an address from abroad is still an address.
#[must_use]
pub fn normalise(text: &str) -> Option<String> {
    let t: String =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
    if !t.is_ascii() || !(5..=7).contains(&t.len()) {
        return None;
    }
    let (outward, inward) = t.split_at(t.len() - 3);
    let i = inward.as_bytes();
    let inward_fits =
        i[0].is_ascii_digit() && i[1].is_ascii_uppercase() && i[2].is_ascii_uppercase();
    let shape: String = outward
        .bytes()
        .map(|b| match b {
            b'A'..=b'Z' => 'A',
            b'0'..=b'9' => '9',
            _ => '?',
        })
        .collect();
    let outward_fits = matches!(shape.as_str(), "A9" | "A99" | "A9A" | "AA9" | "AA99" | "AA9A");
    (inward_fits && outward_fits).then(|| format!("{outward} {inward}"))
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn shapes() {
        assert_eq!(normalise("zz1 1zz").as_deref(), Some("ZZ1 1ZZ"));
        assert_eq!(normalise("ZZ11ZZ").as_deref(), Some("ZZ1 1ZZ"));
        assert_eq!(normalise("Z1A 9ZZ").as_deref(), Some("Z1A 9ZZ"));
        for wrong in ["", "ZZ1", "1ZZ 1ZZ", "ZZ1 ZZZ", "ZZ123 1ZZ", "ÉÉ1 1ZZ"] {
            assert_eq!(normalise(wrong), None, "{wrong}");
        }
    }
}
