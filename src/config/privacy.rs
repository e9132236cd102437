//! Sections about how much may be asked, and how long cases are kept.

use crate::domain::retention::Rules;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Requests a minute; 0 is no limit. A hospital comes from one address.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub notify_a_minute: u32,
    pub notify_token_a_minute: u32,
    pub sign_in_a_minute: u32,
    pub pages_a_minute: u32,
    pub api_a_minute: u32,
}

/// How large documents may be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documents {
    pub file_mib: u32,
    pub case_mib: u32,
}

impl Documents {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if self.file_mib == 0 || self.case_mib < self.file_mib || self.case_mib > 65_536 {
            wrong.push(
                "documents.file_mib must be at least 1, and documents.case_mib no less and at most 65536"
                    .to_owned(),
            );
        }
    }
}

/// How long cases are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    /// Rules instead of `config/retention.toml`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retention_file: Option<PathBuf>,
    /// How many days whoever notified may see, with their code, what happened next.
    pub what_next_days: u32,
}

/// The rules that hold unless a file says otherwise.
pub const RULES: &str = include_str!("../../config/retention.toml");

impl Privacy {
    /// The rules that hold here.
    ///
    /// # Errors
    /// The file cannot be read or is no list of rules; the message names it.
    pub fn rules(&self) -> Result<Rules, String> {
        let text = match &self.retention_file {
            None => RULES.to_owned(),
            Some(path) => std::fs::read_to_string(path).map_err(|e| {
                format!("privacy.retention_file: cannot read {}: {e}", path.display())
            })?,
        };
        use figment::providers::Format;
        let rules: Rules = figment::Figment::from(figment::providers::Toml::string(&text))
            .extract()
            .map_err(|e| format!("privacy.retention_file: {e}"))?;
        rules.check().map_err(|e| format!("privacy.retention_file: {e}"))?;
        Ok(rules)
    }

    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if let Err(why) = self.rules() {
            wrong.push(why);
        }
        // Not shorter than further details are taken.
        if !(3..=3650).contains(&self.what_next_days) {
            wrong.push("privacy.what_next_days must be 3 to 3650".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_can_be_used() {
        assert!(
            Privacy { retention_file: None, what_next_days: 90 }.rules().unwrap().rule.len() >= 3
        );
    }
}
