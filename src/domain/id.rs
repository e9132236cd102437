//! One type per identifier, so that an alert can never be looked up with a case's id.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// What one agency is owed: to be reached about one event until a person there acknowledges.
    AlertId,
    /// A case, also the id of its journal stream.
    CaseId,
    /// One message to one contact point; stable over every retry, so receivers can drop repeats.
    DeliveryId,
    /// A meeting of the Child Death Overview Panel.
    PanelId,
}

/// The reference people quote, `CDR-2026-483920`: a year and digits that say nothing about how
/// many cases there are or which came first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reference(String);

impl Reference {
    /// `number` is printed with at least six digits.
    #[must_use]
    pub fn new(year: i32, number: u64) -> Self {
        Self(format!("CDR-{year:04}-{number:06}"))
    }

    /// Reads what a person typed: any case, spaces around it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let mut parts = text.splitn(3, '-');
        let digits = |s: Option<&str>, least: usize, most: usize| {
            s.is_some_and(|s| {
                (least..=most).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit())
            })
        };
        let right = parts.next() == Some("CDR")
            && digits(parts.next(), 4, 4)
            && digits(parts.next(), 6, 12);
        right.then_some(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn a_reference_reads_back_and_nonsense_does_not() {
        let r = Reference::new(2026, 123);
        assert_eq!(r.as_str(), "CDR-2026-000123");
        assert_eq!(Reference::parse(" cdr-2026-000123 "), Some(r));
        for wrong in ["", "CDR-26-000123", "CDR-2026-12", "XYZ-2026-000123", "CDR-2026-00012a"] {
            assert_eq!(Reference::parse(wrong), None, "{wrong}");
        }
    }
}
