//! Acknowledgement links: they name one alert and prove that we made them. They open a page that
//! shows no more than the message did; only a person pressing its button acknowledges.

use crate::domain::id::AlertId;
use crate::platform::crypt::{Key, same};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

/// Makes and checks links.
#[derive(Clone, Debug)]
pub struct Links {
    key: Key,
    base: String,
    lasts: Duration,
}

impl Links {
    /// `base` is the public address of the service.
    #[must_use]
    pub fn new(key: Key, base: &str) -> Self {
        Self { key, base: base.trim_end_matches('/').to_owned(), lasts: Duration::hours(72) }
    }

    /// The same links, lasting so long.
    #[must_use]
    pub fn lasting(self, hours: i64) -> Self {
        Self { lasts: Duration::hours(hours), ..self }
    }

    /// Until when the link of an alert of `at` can be used.
    #[must_use]
    pub fn until(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        at + self.lasts
    }

    /// Four digits that tell the open alerts of one number apart in a reply. They prove nothing:
    /// the number that replies does.
    #[must_use]
    pub fn code(&self, alert: AlertId) -> String {
        let mac = self.key.mac(format!("code\0{alert}").as_bytes());
        let n = u32::from_be_bytes([mac[0], mac[1], mac[2], mac[3]]);
        format!("{:04}", n % 10_000)
    }

    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The token of an alert: its id and 16 bytes of proof.
    #[must_use]
    pub fn token(&self, alert: AlertId) -> String {
        let mut bytes = alert.0.as_bytes().to_vec();
        bytes.extend_from_slice(&self.proof(alert));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The address of an alert's acknowledgement page.
    #[must_use]
    pub fn acknowledge(&self, alert: AlertId) -> String {
        format!("{}/a/{}", self.base, self.token(alert))
    }

    /// The alert a token was made for; none if we did not make it.
    #[must_use]
    pub fn open(&self, token: &str) -> Option<AlertId> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, proof) = bytes.split_at_checked(16)?;
        let alert = AlertId(Uuid::from_slice(id).ok()?);
        same(proof, &self.proof(alert)).then_some(alert)
    }

    /// The address of the page where an invited person sets up how they sign in.
    #[must_use]
    pub fn invitation(&self, id: Uuid) -> String {
        let mut bytes = id.as_bytes().to_vec();
        bytes.extend_from_slice(&self.invitation_proof(id));
        format!("{}/invitation/{}", self.base, URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The invitation a token was made for; none if we did not make it.
    #[must_use]
    pub fn open_invitation(&self, token: &str) -> Option<Uuid> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, proof) = bytes.split_at_checked(16)?;
        let id = Uuid::from_slice(id).ok()?;
        same(proof, &self.invitation_proof(id)).then_some(id)
    }

    fn invitation_proof(&self, id: Uuid) -> [u8; 16] {
        let mac = self.key.mac(format!("invitation\0{id}").as_bytes());
        let mut proof = [0; 16];
        proof.copy_from_slice(&mac[..16]);
        proof
    }

    fn proof(&self, alert: AlertId) -> [u8; 16] {
        let mac = self.key.mac(format!("acknowledge\0{alert}").as_bytes());
        let mut proof = [0; 16];
        proof.copy_from_slice(&mac[..16]);
        proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_its_own_alert_and_no_other() {
        let links = Links::new(Key::random().unwrap(), "https://cdr.example/");
        let alert = AlertId(Uuid::new_v4());
        let token = links.token(alert);
        assert_eq!(links.open(&token), Some(alert));
        assert_eq!(links.acknowledge(alert), format!("https://cdr.example/a/{token}"));
        assert_eq!(Links::new(Key::random().unwrap(), "").open(&token), None);
        for wrong in ["", "x", &token[1..], &"A".repeat(43)] {
            assert_eq!(links.open(wrong), None);
        }
    }
}
