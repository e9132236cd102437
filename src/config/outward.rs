//! Sections about what leaves the machine: the texts of messages, and encrypted copies.

use crate::platform::age_file::Recipient;
use chrono::{NaiveDate, NaiveTime, Weekday};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use std::net::IpAddr;
use std::path::PathBuf;

/// What texts are used and how far a message goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// Texts that replace some of `config/messages.toml`; none: the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<PathBuf>,
    /// A text message is sold, delayed and lost in segments.
    pub max_sms_segments: usize,
    /// How long the link in a message can be used.
    pub link_hours: i64,
}

impl Messages {
    /// The texts of `file`, if one is named.
    ///
    /// # Errors
    /// The file cannot be read; the message names it.
    pub fn text(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.file else { return Ok(None) };
        std::fs::read_to_string(path)
            .map(Some)
            .map_err(|e| format!("messages.file: cannot read {}: {e}", path.display()))
    }

    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if let Err(why) = self.text() {
            wrong.push(why);
        }
        if !(1..=6).contains(&self.max_sms_segments) {
            wrong.push("messages.max_sms_segments must be 1 to 6".into());
        }
        if !(24..=336).contains(&self.link_hours) {
            wrong.push(
                "messages.link_hours must be 24 to 336: a link has to outlast a night and not the case"
                    .into(),
            );
        }
    }
}

/// Secrets are never written out.
fn hidden<T, S: Serializer>(_: &T, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str("…")
}

/// Encrypted copies for the hours in which the service is gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copies {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub folder: Option<PathBuf>,
    /// Taken by HTTP PUT; `{area}` and `{date}` are filled in. May carry its own authority (a
    /// pre-authorised address), so it is a secret.
    #[serde(serialize_with = "hidden", skip_serializing_if = "Option::is_none", default)]
    pub url: Option<SecretString>,
    #[serde(serialize_with = "hidden", skip_serializing_if = "Option::is_none", default)]
    pub bearer: Option<SecretString>,
    /// `age1…` public keys; their private halves are kept elsewhere.
    pub recipients: Vec<String>,
    /// Time of day in England.
    pub at: NaiveTime,
}

impl Copies {
    /// Whether any copy is made.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.folder.is_some() || self.url.is_some()
    }

    /// The keys that copies are sealed to.
    ///
    /// # Errors
    /// What is wrong with which, without repeating it: all at once.
    pub fn keys(&self) -> Result<Vec<Recipient>, Vec<String>> {
        let (mut keys, mut wrong) = (Vec::new(), Vec::new());
        for (n, text) in self.recipients.iter().enumerate() {
            match Recipient::parse(text.trim()) {
                Ok(key) => keys.push(key),
                Err(e) => wrong.push(format!("copy.recipients: number {} {e}", n + 1)),
            }
        }
        if wrong.is_empty() { Ok(keys) } else { Err(wrong) }
    }

    /// Where an area's copy of a day is put.
    #[must_use]
    pub fn address(&self, area: &str, date: NaiveDate) -> Option<SecretString> {
        // An area's id cannot add a folder or a query to the address.
        let area: String = form_urlencoded::byte_serialize(area.as_bytes()).collect();
        let url = self.url.as_ref()?.expose_secret();
        let filled = url.replace("{area}", &area.replace('+', "%20"));
        Some(filled.replace("{date}", &date.to_string()).into())
    }

    pub(super) fn check(&self, areas: usize, wrong: &mut Vec<String>) {
        if let Err(mut why) = self.keys() {
            wrong.append(&mut why);
        }
        if self.wanted() && self.recipients.is_empty() {
            wrong.push(
                "copy.recipients is empty: name at least one age1… public key (age-keygen makes one; keep its private half off this machine)".into(),
            );
        }
        if !self.wanted() && !self.recipients.is_empty() {
            wrong
                .push("copy.recipients are named but no place: set copy.folder or copy.url".into());
        }
        if let Some(folder) = self.folder.as_ref().filter(|f| !f.is_dir()) {
            wrong.push(format!("copy.folder: there is no folder {}", folder.display()));
        }
        if self.bearer.is_some() && self.url.is_none() {
            wrong.push("copy.bearer is set but copy.url is not".into());
        }
        self.check_url(areas, wrong);
    }

    /// Complaints never repeat the address: it may hold a key.
    fn check_url(&self, areas: usize, wrong: &mut Vec<String>) {
        let Some(written) = self.url.as_ref().map(SecretString::expose_secret) else { return };
        let filled = self.address("area", NaiveDate::MIN).unwrap_or_default();
        let filled = filled.expose_secret();
        if filled.contains(['{', '}']) {
            wrong.push("copy.url: only {area} and {date} are filled in".into());
        }
        if areas > 1 && !written.contains("{area}") {
            wrong.push(
                "copy.url must contain {area}: the copies of several areas would overwrite each other"
                    .into(),
            );
        }
        let Ok(url) = reqwest::Url::parse(filled) else {
            wrong.push("copy.url is not a URL".into());
            return;
        };
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let local = host == "localhost" || address.is_ok_and(|ip| ip.is_loopback());
        if url.scheme() != "https" && !(url.scheme() == "http" && local) {
            wrong.push("copy.url must start with https:// (or be on this machine)".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            wrong.push(
                "copy.url: a user name or password in the address is not allowed; use copy.bearer"
                    .into(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    fn copies(url: Option<&str>, recipients: &[&str]) -> Copies {
        Copies {
            folder: None,
            url: url.map(|u| u.to_owned().into()),
            bearer: None,
            recipients: recipients.iter().map(|r| (*r).to_owned()).collect(),
            at: NaiveTime::MIN,
        }
    }

    fn said(c: &Copies, areas: usize) -> String {
        let mut wrong = Vec::new();
        c.check(areas, &mut wrong);
        wrong.join("\n")
    }

    #[test]
    fn good_copies_and_none_at_all_pass() {
        assert_eq!(said(&copies(None, &[]), 2), "");
        for url in [
            "https://store.example/o/{area}-{date}?key=x",
            "http://127.0.0.1:9000/{area}",
            "http://[::1]/{area}",
        ] {
            assert_eq!(said(&copies(Some(url), &[KEY]), 2), "", "{url}");
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once_and_no_secret_is_repeated() {
        let mut c = copies(
            Some("http://store.example/{day}?key=hush"),
            &[KEY, "age1hush", "AGE-SECRET-KEY-1HUSH"],
        );
        c.folder = Some("/there/is/no/such".into());
        let s = said(&c, 2);
        for part in [
            "number 2",
            "number 3",
            "secret half",
            "/there/is/no/such",
            "{area} and {date}",
            "overwrite",
            "https://",
        ] {
            assert!(s.contains(part), "{part}: {s}");
        }
        assert!(!s.to_lowercase().contains("hush"), "{s}");
    }

    #[test]
    fn an_address_with_its_own_authority_is_never_written_out() {
        let c = copies(Some("https://store.example/?key=hush"), &[KEY]);
        let written = serde_json::to_string(&c).unwrap() + &format!("{c:?}");
        assert!(!written.contains("hush") && written.contains(KEY), "{written}");
    }

    #[test]
    fn half_a_setting_is_refused() {
        assert!(
            said(&copies(Some("https://store.example/x"), &[]), 1).contains("recipients is empty")
        );
        assert!(said(&copies(None, &[KEY]), 1).contains("no place"));
        assert!(said(&copies(Some("https://u:p@store.example/x"), &[KEY]), 1).contains("bearer"));
        assert!(said(&copies(Some("ftp://localhost/x"), &[KEY]), 1).contains("https"));
        assert!(said(&copies(Some("http://localhost.example/x"), &[KEY]), 1).contains("https"));
    }

    #[test]
    fn an_address_is_filled_and_an_areas_name_cannot_change_its_path() {
        let c = copies(Some("https://store.example/{area}/{date}.age"), &[]);
        let day = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
        let at = |area| c.address(area, day).unwrap().expose_secret().to_owned();
        assert_eq!(at("northshire"), "https://store.example/northshire/2026-11-23.age");
        assert_eq!(at("a/../b c?"), "https://store.example/a%2F..%2Fb%20c%3F/2026-11-23.age");
    }

    #[test]
    fn messages_that_cannot_be_read_or_are_out_of_bounds_are_refused() {
        let good = Messages { file: None, max_sms_segments: 2, link_hours: 72 };
        let mut wrong = Vec::new();
        good.check(&mut wrong);
        assert!(wrong.is_empty());
        Messages { file: Some("/no/such.toml".into()), max_sms_segments: 0, link_hours: 1 }
            .check(&mut wrong);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
    }
}

/// The watcher, and work by the calendar.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// How often everything is looked at.
    pub every_seconds: u64,
    /// Called by GET when every check passed; whoever is behind it alarms when it is not. May carry
    /// its own authority, so it is a secret.
    #[serde(serialize_with = "hidden", skip_serializing_if = "Option::is_none", default)]
    pub heartbeat_url: Option<SecretString>,
    /// Time of day in England of the daily word whether tonight is covered.
    pub tonight_at: NaiveTime,
    /// Day and time of the weekly silent test of every contact point.
    pub test_weekday: Weekday,
    pub test_at: NaiveTime,
}

impl Watch {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if !(5..=60).contains(&self.every_seconds) {
            wrong.push("watch.every_seconds must be 5 to 60".into());
        }
        if let Some(url) = &self.heartbeat_url {
            let url = secrecy::ExposeSecret::expose_secret(url);
            let local = url.starts_with("http://127.0.0.1") || url.starts_with("http://localhost");
            if !url.starts_with("https://") && !local {
                wrong.push("watch.heartbeat_url must start with https://".into());
            }
        }
    }
}
