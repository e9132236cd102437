//! One struct per section of the file; each says what is unsafe about itself.

use super::area::{Directory, DirectoryError};
use crate::platform::crypt::Keyring;
use crate::platform::telemetry::Shape;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Secrets are never written out.
pub(super) fn hidden<S: Serializer>(_: &SecretString, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str("…")
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: SocketAddr,
    /// How people and partners reach this service; links in alerts start with it.
    pub public_url: String,
    /// Says that a proxy in front ends TLS; only then may plain HTTP leave loopback.
    pub behind_tls_proxy: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls_cert_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls_key_file: Option<PathBuf>,
    pub body_limit_kib: usize,
    pub header_timeout_seconds: u64,
    pub body_timeout_seconds: u64,
    pub max_connections: usize,
    pub session_idle_minutes: i64,
    pub session_hours: i64,
}

impl Server {
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls_cert_file.is_some()
    }

    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if self.tls_cert_file.is_some() != self.tls_key_file.is_some() {
            wrong.push("set both server.tls_cert_file and server.tls_key_file, or neither".into());
        }
        if !self.listen.ip().is_loopback() && !self.has_tls() && !self.behind_tls_proxy {
            wrong.push(format!(
                "server.listen = {} would serve plain HTTP beyond this machine: set server.tls_cert_file and server.tls_key_file, or server.behind_tls_proxy = true if a proxy in front ends TLS",
                self.listen
            ));
        }
        let url = self.public_url.trim_end_matches('/');
        let local = url.starts_with("http://127.0.0.1") || url.starts_with("http://localhost");
        if !(url.starts_with("https://") || local && self.listen.ip().is_loopback()) {
            wrong.push(
                "server.public_url must start with https:// (links in alerts are built from it)"
                    .into(),
            );
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite://path/to/file` or `postgres://…`. May hold a password, so it is a secret.
    #[serde(serialize_with = "hidden")]
    pub url: SecretString,
    pub read_connections: u32,
    /// Writers on `PostgreSQL`; `SQLite` always has one.
    pub write_connections: u32,
}

impl Database {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        let url = self.url.expose_secret();
        if !["sqlite://", "postgres://", "postgresql://"].iter().any(|p| url.starts_with(p)) {
            wrong.push("database.url must start with sqlite:// or postgres://".into());
        }
        if url.contains(":postgres@") || url.contains(":password@") {
            wrong.push("database.url uses a well-known password: choose another".into());
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crypt {
    /// `name:base64` words, the active one first.
    #[serde(serialize_with = "hidden")]
    pub master_key: SecretString,
}

impl Crypt {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if self.master_key.expose_secret().is_empty() {
            wrong.push(
                "crypt.master_key is not set: make one with `cdr keys new`, keep it outside the database and its backups, and pass it as CDR__CRYPT__MASTER_KEY_FILE".into(),
            );
        } else if let Err(e) = Keyring::parse(&self.master_key) {
            wrong.push(format!("crypt.master_key: {e}"));
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Areas {
    /// One file per area; see `config/area.example.toml`.
    pub files: Vec<PathBuf>,
}

impl Areas {
    pub(super) fn directory(&self) -> Result<Directory, DirectoryError> {
        Directory::read(&self.files)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// STARTTLS, refused if the server does not offer it.
    Required,
    /// TLS from the first byte (port 465).
    Wrapper,
    /// No encryption: loopback catchers and closed relays only.
    None,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Empty: no e-mail is sent.
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub from: String,
    pub username: String,
    #[serde(serialize_with = "hidden")]
    pub password: SecretString,
    /// A certificate authority besides the machine's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ca_file: Option<PathBuf>,
    pub timeout_seconds: u64,
    pub connections: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    pub timeout_seconds: u64,
    /// Private and loopback targets, and plain HTTP.
    pub allow_private_targets: bool,
    pub extra_ports: Vec<u16>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// Messages on their way at once, over all receivers.
    pub in_flight: usize,
    /// Messages on their way to one receiver.
    pub in_flight_per_target: usize,
    /// How long a worker owns a message before another may take it.
    pub lease_seconds: i64,
    /// Networks block who sends one number the same text more than 20 times an hour.
    pub identical_texts_an_hour: i64,
    /// And whoever sends it more than 100 texts an hour, whatever they say.
    pub texts_an_hour: i64,
    /// How long a message is tried. RFC 5321 asks mail for four to five days.
    pub give_up_hours: i64,
}

impl Dispatch {
    pub(super) fn check(&self, slowest: u64, wrong: &mut Vec<String>) {
        if self.in_flight == 0 || self.in_flight_per_target == 0 {
            wrong.push(
                "dispatch.in_flight and dispatch.in_flight_per_target must be 1 or more".into(),
            );
        }
        if self.give_up_hours < 72 {
            wrong.push(
                "dispatch.give_up_hours must be 72 or more: an alert is not dropped sooner".into(),
            );
        }
        let least = i64::try_from(slowest).unwrap_or(i64::MAX).saturating_mul(2).max(20);
        if self.lease_seconds > 300 {
            wrong.push(
                "dispatch.lease_seconds must be 300 or less: so long a dead node's messages wait"
                    .into(),
            );
        }
        if self.lease_seconds < least {
            wrong.push(format!(
                "dispatch.lease_seconds must be {least} or more: twice the time that a message may take, by a webhook or by all providers of its channel one after the other"
            ));
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    pub seal_seconds: u64,
    /// A file (best on another machine's disk) to which every seal is appended: what proves that
    /// the end was not cut off together with the seals in the database.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub anchor_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub shape: Shape,
    pub level: String,
}
