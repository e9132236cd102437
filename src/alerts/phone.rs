//! Telephone numbers as people write them, turned into the one form that providers take (E.164:
//! a plus sign, the country's code and the number, digits only).
//!
//! Lengths and ranges of United Kingdom numbers follow Ofcom's National Telephone Numbering Plan.
//! Whether a number is in use only a call can tell.

/// Why a text is not a number that may be called. Never repeats the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    #[error("a telephone number is needed")]
    Empty,
    #[error("a telephone number has digits, spaces, brackets and dashes only, and no extension")]
    Characters,
    #[error(
        "start a United Kingdom number with 0 or +44, and any other with + and its country code"
    )]
    NoPrefix,
    #[error("the number is too short")]
    TooShort,
    #[error("the number is too long")]
    TooLong,
    #[error("United Kingdom numbers start with 01, 02, 03, 055, 056, 07 or 08")]
    NotInUse,
    #[error("premium-rate (09) and personal (070) numbers are not called")]
    Premium,
}

/// The number in international form, `+447700900123`.
///
/// # Errors
/// What is wrong with it.
pub fn normalise(text: &str) -> Result<String, PhoneError> {
    let text = text.trim();
    let (plus, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // "+44 (0)7700 …": the bracketed nought is for callers at home and is not dialled abroad.
    let home = if plus { rest.replacen("(0)", "", 1) } else { rest.to_owned() };
    let mut digits = String::with_capacity(15);
    for c in home.chars() {
        match c {
            '0'..='9' => digits.push(c),
            ' '
            | '\u{a0}'
            | '\u{202f}'
            | '\t'
            | '-'
            | '\u{2010}'..='\u{2013}'
            | '.'
            | '/'
            | '('
            | ')' => {}
            _ => return Err(PhoneError::Characters),
        }
    }
    if digits.is_empty() {
        return Err(PhoneError::Empty);
    }
    let international = match (plus, digits.strip_prefix("00")) {
        (true, _) => Some(digits.as_str()),
        (false, Some(rest)) => Some(rest),
        (false, None) => None,
    };
    match international {
        Some(d) => match d.strip_prefix("44") {
            // Written with the nought and without brackets often enough.
            Some(uk) => british(uk.strip_prefix('0').unwrap_or(uk)),
            None => foreign(d),
        },
        // 999, 112, 116 123 and other short codes end here too: machines do not ring them.
        None => british(digits.strip_prefix('0').ok_or(PhoneError::NoPrefix)?),
    }
}

/// `national` is the number without its leading nought.
fn british(national: &str) -> Result<String, PhoneError> {
    // Ten digits; nine in some of the older 01 areas and in 0800.
    let least = match national.as_bytes() {
        [b'1', ..] | [b'8', b'0', b'0', ..] => 9,
        _ => 10,
    };
    match national.as_bytes() {
        [b'7', b'0', ..] | [b'9', ..] => return Err(PhoneError::Premium),
        [b'1' | b'2' | b'3' | b'7' | b'8', ..] | [b'5', b'5' | b'6', ..] => {}
        [] => return Err(PhoneError::TooShort),
        _ => return Err(PhoneError::NotInUse),
    }
    within(national, least, 10)?;
    Ok(format!("+44{national}"))
}

fn foreign(digits: &str) -> Result<String, PhoneError> {
    if digits.starts_with('0') {
        return Err(PhoneError::NoPrefix);
    }
    within(digits, 8, 15)?;
    Ok(format!("+{digits}"))
}

fn within(digits: &str, least: usize, most: usize) -> Result<(), PhoneError> {
    if digits.len() < least {
        return Err(PhoneError::TooShort);
    }
    if digits.len() > most { Err(PhoneError::TooLong) } else { Ok(()) }
}

/// Whether a number in international form is a United Kingdom mobile and so takes text messages.
/// Pagers (076, but for the Isle of Man's 07624) and numbers abroad, of which we cannot tell, are
/// not.
#[must_use]
pub fn is_mobile(e164: &str) -> bool {
    let Some(national) = e164.strip_prefix("+447") else { return false };
    national.len() == 9
        && (national.starts_with("624") || !national.starts_with(['0', '6']))
        && national.bytes().all(|b| b.is_ascii_digit())
}

/// A reference as a machine must say it to be written down: letter by letter, with a pause where
/// it has a dash. `CDR-2026-483920` becomes `C, D, R. 2, 0, 2, 6. 4, 8, 3, 9, 2, 0.`
#[must_use]
pub fn for_speech(reference: &str) -> String {
    let groups = reference.split(|c: char| !c.is_alphanumeric()).filter(|g| !g.is_empty());
    groups.fold(String::new(), |mut said, group| {
        if !said.is_empty() {
            said.push(' ');
        }
        for (i, c) in group.chars().enumerate() {
            if i > 0 {
                said.push_str(", ");
            }
            said.extend(c.to_uppercase());
        }
        said.push('.');
        said
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_usual_spelling_becomes_one_form() {
        for (written, same) in [
            ("07700 900123", "+447700900123"),
            ("+44 7700 900123", "+447700900123"),
            ("+44 (0)7700 900123", "+447700900123"),
            ("+44 07700 900123", "+447700900123"),
            ("0044 7700 900 123", "+447700900123"),
            (" 07700\u{a0}900\u{2011}123 ", "+447700900123"),
            ("(01632) 960 123", "+441632960123"),
            ("01632.960123", "+441632960123"),
            ("020 7946 0123", "+442079460123"),
            ("0808 157 0123", "+448081570123"),
            ("+1 202 555 0123", "+12025550123"),
            ("00353 20 910 0123", "+353209100123"),
        ] {
            assert_eq!(normalise(written).as_deref(), Ok(same), "{written}");
        }
    }

    #[test]
    fn what_cannot_be_rung_is_refused_with_its_reason() {
        for (written, why) in [
            ("", PhoneError::Empty),
            ("( )", PhoneError::Empty),
            ("+", PhoneError::Empty),
            ("07700 90012", PhoneError::TooShort),
            ("07700 9001234", PhoneError::TooLong),
            ("020 7946 012", PhoneError::TooShort),
            ("999", PhoneError::NoPrefix),
            ("7700 900123", PhoneError::NoPrefix),
            ("+0 7700 900123", PhoneError::NoPrefix),
            ("0", PhoneError::TooShort),
            ("+44", PhoneError::TooShort),
            ("01632 960123 ext 4", PhoneError::Characters),
            ("07700 900123 +", PhoneError::Characters),
            ("\u{0660}7700900123", PhoneError::Characters),
            ("04632 960123", PhoneError::NotInUse),
            ("0500 960123", PhoneError::NotInUse),
            ("0909 8790123", PhoneError::Premium),
            ("070 0900 1234", PhoneError::Premium),
            ("+1 555", PhoneError::TooShort),
            ("+1234567890123456", PhoneError::TooLong),
        ] {
            assert_eq!(normalise(written), Err(why), "{written}");
        }
    }

    #[test]
    fn only_mobiles_take_text_messages() {
        for yes in ["+447700900123", "+447624900123"] {
            assert!(is_mobile(yes), "{yes}");
        }
        for no in [
            "+441632960123",
            "+447600900123",
            "+447000900123",
            "+12025550123",
            "07700900123",
            "+44770090012",
            "+4477009001234",
            "",
        ] {
            assert!(!is_mobile(no), "{no}");
        }
    }

    #[test]
    fn references_are_spelt() {
        assert_eq!(for_speech("CDR-2026-483920"), "C, D, R. 2, 0, 2, 6. 4, 8, 3, 9, 2, 0.");
        assert_eq!(for_speech(" a--b "), "A. B.");
        assert_eq!(for_speech(""), "");
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_taken_is_in_the_one_form(text in "\\PC{0,24}|[0-9+() .-]{0,24}") {
            if let Ok(n) = normalise(&text) {
                let digits = n.strip_prefix('+').unwrap();
                prop_assert!((8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
                prop_assert_eq!(normalise(&n), Ok(n.clone()), "it is its own normal form");
            }
        }

        #[test]
        fn spaces_and_dashes_never_change_a_number(
            last in 0u32..1000,
            gaps in proptest::collection::vec(prop_oneof![Just(""), Just(" "), Just("-"), Just(".")], 11),
            prefix in prop_oneof![Just("0"), Just("+44"), Just("0044")],
        ) {
            let national = format!("7700900{last:03}");
            let mut text = prefix.to_owned();
            for (c, gap) in national.chars().zip(&gaps) {
                text.push_str(gap);
                text.push(c);
            }
            prop_assert_eq!(normalise(&text), Ok(format!("+44{national}")));
        }

        #[test]
        fn a_spelt_reference_keeps_every_sign_in_order(r in "[A-Z]{1,4}-[0-9]{1,12}") {
            let kept: String = for_speech(&r).chars().filter(|c| c.is_alphanumeric()).collect();
            prop_assert_eq!(kept, r.replace('-', ""));
        }
    }
}
