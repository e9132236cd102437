//! Spreadsheet cells that stay text. A child's name may begin with `=`; on output it is guarded,
//! the stored value is never changed.

use std::borrow::Cow;

/// Text that no spreadsheet takes for a formula.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    // Spreadsheets skip leading spaces before they look for a formula; full-width signs count too.
    let first = text.trim_start_matches([' ', '\u{a0}', '\u{feff}']).chars().next();
    match first {
        Some(
            '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '|' | '%' | '＝' | '＋' | '－' | '＠',
        ) => Cow::Owned(format!("'{text}")),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn formulas_are_made_text_and_names_stay() {
        for f in ["=1+1", "+44", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"] {
            assert_eq!(harmless(f), format!("'{f}"));
        }
        for n in ["", "O'Neill", "Anne-Marie", "5 High Road", "名"] {
            assert_eq!(harmless(n), n);
        }
    }
}
