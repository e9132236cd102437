//! How people prove who they are.

use super::sections::hidden;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Whether a password alone is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactor {
    /// Whoever has none sets one up before anything else.
    Required,
    /// For demos and tests.
    Optional,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub second_factor: SecondFactor,
    /// Sorted SHA-1 digests of breached passwords, `HEX` or `HEX:COUNT` a line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub breached_file: Option<PathBuf>,
    /// How long the link in an invitation can be used.
    pub invitation_hours: i64,
}

/// Who judges the second factor of a sign-in made elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// They ask for it (CIS2 always does; Entra ID by conditional access).
    #[default]
    Theirs,
    /// They may not: ours is asked for as after a password.
    Ours,
}

/// An `OpenID` Connect provider: NHS CIS2, Entra ID or another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// In addresses: small letters, digits, hyphens.
    pub id: String,
    /// On the button.
    pub label: String,
    /// Exactly as the provider's own discovery document says.
    pub issuer: String,
    pub client_id: String,
    #[serde(serialize_with = "hidden", default)]
    pub client_secret: SecretString,
    /// Or a file that holds it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_secret_file: Option<PathBuf>,
    /// Besides `openid`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What names the person for good: `sub`, or `oid` for Entra ID.
    #[serde(default = "sub")]
    pub subject_claim: String,
    /// Entra ID: the tenants (`tid`) that may sign in. Empty: there is no such claim.
    #[serde(default)]
    pub allowed_tenants: Vec<String>,
    /// The assurance that is asked for, the best first.
    #[serde(default)]
    pub acr_values: Vec<String>,
    /// The claim that says which assurance there was, and what it may say. Empty: not looked at.
    #[serde(default = "acr")]
    pub assurance_claim: String,
    #[serde(default)]
    pub assurance_allowed: Vec<String>,
    /// Claims are also read from userinfo, as CIS2 wants it.
    #[serde(default)]
    pub userinfo: bool,
    #[serde(default)]
    pub second_factor: Judged,
}

fn sub() -> String {
    "sub".to_owned()
}

fn acr() -> String {
    "acr".to_owned()
}

impl SignIn {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if !(1..=168).contains(&self.invitation_hours) {
            wrong.push("sign_in.invitation_hours must be from 1 to 168".into());
        }
        if let Some(f) = &self.breached_file
            && !f.is_file()
        {
            wrong.push(format!("sign_in.breached_file: there is no file {}", f.display()));
        }
    }
}

impl Oidc {
    /// The secret, from wherever it stands.
    ///
    /// # Errors
    /// The named file cannot be read.
    pub fn secret(&self) -> std::io::Result<SecretString> {
        match &self.client_secret_file {
            Some(f) => Ok(std::fs::read_to_string(f)?.trim().to_owned().into()),
            None => Ok(self.client_secret.clone()),
        }
    }

    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        let id = &self.id;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || !id.chars().all(plain) {
            wrong.push(format!("oidc id {id:?}: use small letters, digits and hyphens"));
        }
        let local = ["http://127.0.0.1", "http://localhost"];
        if !self.issuer.starts_with("https://") && !local.iter().any(|l| self.issuer.starts_with(l))
        {
            wrong.push(format!("oidc {id}: issuer must start with https://"));
        }
        if self.issuer.contains("/common") || self.issuer.contains("/organizations") {
            wrong.push(format!(
                "oidc {id}: name one tenant in the issuer; one [[oidc]] section for each tenant"
            ));
        }
        if self.issuer.contains("microsoftonline") && self.allowed_tenants.is_empty() {
            wrong.push(format!("oidc {id}: set allowed_tenants to your tenant's id"));
        }
        match self.secret() {
            Ok(s) if s.expose_secret().is_empty() => {
                wrong.push(format!("oidc {id}: set client_secret or client_secret_file"));
            }
            Err(e) => wrong.push(format!("oidc {id}: client_secret_file: {e}")),
            Ok(_) => {}
        }
    }
}
