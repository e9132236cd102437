//! Whether the templates at GOV.UK Notify fit us. Asked at start, so that a template somebody
//! changed there is found by an operator and not by a missing alert.

use super::govuk::Govuk;
use super::provider::Handed;
use super::wire::Answer;
use crate::domain::delivery::Outcome;
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Map, Value, json};

/// What templates may ask for.
pub const PLACEHOLDERS: [&str; 9] =
    ["text", "subject", "kind", "reference", "area", "agency", "call_back", "link", "code"];

/// Why a template cannot be used, or could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("govuk_notify.{0}: GOV.UK Notify has no such template")]
    Missing(&'static str),
    #[error("govuk_notify.{0}: the template is not for this kind of message")]
    Kind(&'static str),
    #[error("govuk_notify.{0}: the template asks for (({1})), which we do not have")]
    Placeholder(&'static str, String),
    #[error("govuk_notify.{0}: GOV.UK Notify cannot fill the template in with what we have")]
    Preview(&'static str),
    /// Not known to be wrong: worth a warning, not a reason not to start.
    #[error("govuk_notify.{0}: the template could not be checked: {1}")]
    Unknown(&'static str, &'static str),
}

impl Govuk {
    /// Checks every configured template: that it exists, is of the right kind, and asks only for
    /// what we fill in; all complaints at once.
    pub async fn check_templates(&self, now: DateTime<Utc>) -> Vec<TemplateError> {
        let mut wrong = Vec::new();
        for (setting, id, kind) in [
            ("sms_template", &self.sms_template, "sms"),
            ("email_template", &self.email_template, "email"),
        ] {
            if !id.is_empty()
                && let Err(e) = self.check_template(setting, id, kind, now).await
            {
                wrong.push(e);
            }
        }
        wrong
    }

    async fn check_template(
        &self,
        setting: &'static str,
        id: &str,
        kind: &str,
        now: DateTime<Utc>,
    ) -> Result<(), TemplateError> {
        let unknown = |h: &Handed| TemplateError::Unknown(setting, why(h));
        let path = format!("v2/template/{id}");
        let a = self.call(Method::GET, &path, None, now).await.map_err(|h| unknown(&h))?;
        let is = |a: &Answer, status| a.status == status;
        // Only Notify's own answer counts: a proxy may say 404 as well.
        if (is(&a, 404) || is(&a, 400)) && a.text("/errors/0/error").is_some() {
            return Err(TemplateError::Missing(setting));
        }
        let (true, Some(body)) = (is(&a, 200), a.text("/body")) else {
            return Err(unknown(&super::govuk_errors::judge(&a, now)));
        };
        if a.text("/type") != Some(kind) {
            return Err(TemplateError::Kind(setting));
        }
        let subject = a.text("/subject").unwrap_or("");
        for asked in placeholders(body).into_iter().chain(placeholders(subject)) {
            if !PLACEHOLDERS.iter().any(|p| folded(p) == folded(&asked)) {
                return Err(TemplateError::Placeholder(setting, asked));
            }
        }
        // Notify's own reading of the template is the one that counts.
        let samples: Map<String, Value> =
            PLACEHOLDERS.iter().map(|p| ((*p).to_owned(), json!("x"))).collect();
        let body = json!({ "personalisation": samples });
        let a = self
            .call(Method::POST, &format!("{path}/preview"), Some(body), now)
            .await
            .map_err(|h| unknown(&h))?;
        match a.status {
            200 => Ok(()),
            400 => Err(TemplateError::Preview(setting)),
            _ => Err(unknown(&super::govuk_errors::judge(&a, now))),
        }
    }
}

fn why(h: &Handed) -> &'static str {
    match h.outcome {
        Outcome::Accepted { .. } => "it was accepted",
        Outcome::Retry { why, .. } | Outcome::Refused { why, .. } => why,
    }
}

/// The names between double brackets; of `((urgent??text))` the name before the question marks.
fn placeholders(text: &str) -> Vec<String> {
    let inside = text.split("((").skip(1).filter_map(|t| t.split_once("))"));
    let names = inside.map(|(name, _)| name.split("??").next().unwrap_or(name).trim());
    names.map(str::to_owned).collect()
}

/// Notify does not tell `Call back`, `call_back` and `CALL-BACK` apart.
fn folded(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_as_notify_finds_them() {
        assert_eq!(
            placeholders("((text)) and (( Call back )), ((urgent??now)) (not) ((open"),
            ["text", "Call back", "urgent"]
        );
        assert_eq!(folded("Call back"), folded("call_back"));
        assert_ne!(folded("link"), folded("code"));
    }
}
