//! Settings: `config/default.toml` (compiled in), then the file named by `--config`, then the
//! environment (`CDR__SECTION__KEY`; secrets also as `CDR__SECTION__KEY_FILE`). Unknown keys are
//! refused: a misspelt setting must not be a silent default.

pub mod area;
mod duplicates;
mod outward;
mod privacy;
mod providers;
mod sections;
mod sign_in;

pub use duplicates::{Duplicates, OnArrival};
pub use outward::{Copies, Messages, Watch};
pub use privacy::{Documents, Limits, Privacy};
pub use providers::{Channels, Gateway, GovukNotify, Provider, Twilio};
pub use sections::{
    Areas, Crypt, Database, Dispatch, Journal, Log, Mail, MailTls, Server, Webhooks,
};
pub use sign_in::{Judged, Oidc, SecondFactor, SignIn};

use area::Directory;
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Every key with its default and one line why.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Secrets that may also stand in a file named by `…_FILE`.
const SECRET_KEYS: [&str; 10] = [
    "CRYPT__MASTER_KEY",
    "DATABASE__URL",
    "MAIL__PASSWORD",
    "GOVUK_NOTIFY__API_KEY",
    "GOVUK_NOTIFY__CALLBACK_TOKEN",
    "GATEWAY__SECRETS",
    "TWILIO__AUTH_TOKEN",
    "COPY__URL",
    "COPY__BEARER",
    "WATCH__HEARTBEAT_URL",
];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub database: Database,
    pub crypt: Crypt,
    pub areas: Areas,
    pub mail: Mail,
    pub webhooks: Webhooks,
    pub channels: Channels,
    pub govuk_notify: GovukNotify,
    pub gateway: Gateway,
    pub twilio: Twilio,
    pub dispatch: Dispatch,
    pub messages: Messages,
    pub copy: Copies,
    pub watch: Watch,
    pub journal: Journal,
    pub limits: Limits,
    pub privacy: Privacy,
    pub duplicates: Duplicates,
    pub documents: Documents,
    pub log: Log,
    pub sign_in: SignIn,
    #[serde(default)]
    pub oidc: Vec<Oidc>,
}

/// What is wrong with the settings, in words that say what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}")]
    Read(Box<figment::Error>),
    #[error("cannot read {path}: {why}")]
    File { path: String, why: String },
    #[error("{}", .0.join("\n"))]
    Unsafe(Vec<String>),
}

/// Reads the settings.
///
/// # Errors
/// A file that cannot be read, an unknown key or a value of the wrong type.
pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let mut figment = Figment::from(Toml::string(DEFAULTS));
    if let Some(path) = file {
        if !path.is_file() {
            return Err(ConfigError::File {
                path: path.display().to_string(),
                why: "there is no such file".to_owned(),
            });
        }
        figment = figment.merge(Toml::file_exact(path));
    }
    figment = figment.merge(Env::prefixed("CDR__").split("__").filter(|key| {
        // `…_FILE` names a file with the value and is read below.
        let key = key.as_str().to_ascii_uppercase().replace('.', "__");
        !SECRET_KEYS.iter().any(|s| key == format!("{s}_FILE"))
    }));
    for key in SECRET_KEYS {
        if let Ok(path) = std::env::var(format!("CDR__{key}_FILE")) {
            let text = std::fs::read_to_string(&path)
                .map_err(|e| ConfigError::File { path, why: e.to_string() })?;
            let dotted = key.to_lowercase().replace("__", ".");
            figment = figment.merge((dotted, text.trim()));
        }
    }
    figment.extract().map_err(|e| ConfigError::Read(Box::new(e)))
}

impl Config {
    /// Seconds that one send may take at most: all providers of a channel, one after the other, so
    /// that one which says nothing leaves the next its time.
    #[must_use]
    pub fn slowest_send(&self) -> u64 {
        let c = &self.channels;
        let one = |p: &Provider| match p {
            Provider::Smtp => self.mail.timeout_seconds,
            // It is asked whether it has the message already.
            Provider::GovukNotify => c.timeout_seconds.saturating_mul(2),
            Provider::Gateway | Provider::Twilio => c.timeout_seconds,
        };
        let all = |order: &[Provider]| order.iter().map(one).fold(0, u64::saturating_add);
        self.webhooks.timeout_seconds.max(all(&c.email)).max(all(&c.sms)).max(all(&c.voice))
    }

    /// Checks everything that can be checked without starting, and reads the areas' directories.
    ///
    /// # Errors
    /// Every reason at once why starting would be unsafe.
    pub fn check(&self) -> Result<Directory, ConfigError> {
        let mut wrong = Vec::new();
        self.server.check(&mut wrong);
        self.database.check(&mut wrong);
        self.crypt.check(&mut wrong);
        self.check_providers(&mut wrong);
        self.check_sign_in(&mut wrong);
        let slowest = self.slowest_send();
        self.dispatch.check(slowest, &mut wrong);
        self.messages.check(&mut wrong);
        self.watch.check(&mut wrong);
        self.privacy.check(&mut wrong);
        self.documents.check(&mut wrong);
        self.copy.check(self.areas.files.len(), &mut wrong);
        let directory = match self.areas.directory() {
            Ok(d) => {
                d.check(self, &mut wrong);
                Some(d)
            }
            Err(e) => {
                wrong.push(e.to_string());
                None
            }
        };
        match directory {
            Some(d) if wrong.is_empty() => Ok(d),
            _ => Err(ConfigError::Unsafe(wrong)),
        }
    }

    fn check_sign_in(&self, wrong: &mut Vec<String>) {
        self.sign_in.check(wrong);
        for (n, o) in self.oidc.iter().enumerate() {
            o.check(wrong);
            if self.oidc[..n].iter().any(|other| other.id == o.id) {
                wrong.push(format!("oidc: two sections have the id {:?}", o.id));
            }
        }
    }

    fn check_providers(&self, wrong: &mut Vec<String>) {
        let set = |p| match p {
            Provider::Smtp => !self.mail.host.is_empty(),
            Provider::GovukNotify => self.govuk_notify.is_set(),
            Provider::Gateway => self.gateway.is_set(),
            Provider::Twilio => self.twilio.is_set(),
        };
        self.channels.check(set, wrong);
        self.govuk_notify.check(&self.channels, wrong);
        self.gateway.check(wrong);
        self.twilio.check(&self.channels, wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_parse_and_are_refused_for_want_of_a_key_and_an_area() {
        let config = load(None).unwrap();
        let said = config.check().unwrap_err().to_string();
        assert!(said.contains("crypt.master_key"), "{said}");
        assert!(said.contains("areas.files"), "{said}");
    }

    #[test]
    fn the_slowest_send_is_all_providers_of_a_channel_and_the_default_lease_has_room_for_it() {
        let mut c = load(None).unwrap();
        assert_eq!(c.slowest_send(), 15);
        c.channels.email = vec![Provider::Smtp, Provider::GovukNotify];
        c.channels.sms = vec![Provider::GovukNotify, Provider::Gateway, Provider::Twilio];
        c.channels.voice = vec![Provider::Gateway, Provider::Twilio];
        assert_eq!(c.slowest_send(), 15 + 2 * 5);
        let complaints = |c: &Config| {
            let mut wrong = Vec::new();
            c.dispatch.check(c.slowest_send(), &mut wrong);
            wrong
        };
        assert_eq!(complaints(&c), Vec::<String>::new(), "every provider at once by the defaults");
        c.dispatch.lease_seconds = 49;
        assert!(complaints(&c)[0].contains("50 or more"), "{:?}", complaints(&c));
        c.channels.email = vec![Provider::Smtp];
        assert_eq!((c.slowest_send(), complaints(&c)), (20, Vec::new()));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "[server]\nlistn = \"127.0.0.1:1\"\n").unwrap();
        assert!(load(Some(&path)).unwrap_err().to_string().contains("listn"));
    }
}
