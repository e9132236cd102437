//! The key of a GOV.UK Notify service and the tokens made with it.

use crate::platform::crypt::hmac_sha256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;

/// Characters of a UUID as text.
const UUID_LEN: usize = 36;

/// Who we are at Notify, and the secret that proves it.
pub(super) struct NotifyKey {
    service: String,
    /// The text of a UUID: Notify signs with its characters, not with its 16 bytes.
    secret: SecretString,
}

impl NotifyKey {
    /// Reads `name-<service id>-<secret>`. Cut from the end, because the name may hold dashes.
    pub(super) fn parse(key: &SecretString) -> Option<Self> {
        let text = key.expose_secret().trim();
        let (rest, secret) = text.split_at_checked(text.len().checked_sub(UUID_LEN)?)?;
        let rest = rest.strip_suffix('-')?;
        let (_, service) = rest.split_at_checked(rest.len().checked_sub(UUID_LEN)?)?;
        let is_uuid = |t: &str| Uuid::parse_str(t).is_ok();
        (is_uuid(secret) && is_uuid(service))
            .then(|| Self { service: service.to_owned(), secret: secret.into() })
    }

    /// A bearer token (JWT, HS256). Notify takes it for 30 seconds either way of `now`, so every
    /// attempt needs its own.
    pub(super) fn token(&self, now: DateTime<Utc>) -> String {
        let part = |v: serde_json::Value| URL_SAFE_NO_PAD.encode(v.to_string());
        let header = part(json!({ "typ": "JWT", "alg": "HS256" }));
        let claims = part(json!({ "iss": self.service, "iat": now.timestamp() }));
        let signed = format!("{header}.{claims}");
        let mac = hmac_sha256(self.secret.expose_secret().as_bytes(), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "5b1d2f8e-0c11-4c53-9f0a-0d6f6a2b7c11";
    const SECRET: &str = "0f7c9d1e-3a52-4d7b-8b64-2f1f5f9f4e22";

    #[test]
    fn a_key_is_cut_from_its_end() {
        for name in ["live", "my-key-of-2026", "", SERVICE] {
            let key = NotifyKey::parse(&format!("{name}-{SERVICE}-{SECRET}").into());
            let key = key.unwrap_or_else(|| panic!("{name}"));
            assert_eq!((key.service.as_str(), key.secret.expose_secret()), (SERVICE, SECRET));
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let all = [
            String::new(),
            SECRET.to_owned(),
            format!("-{SECRET}"),
            format!("live-{SERVICE}_{SECRET}"),
            format!("live-{SERVICE}-{}", SECRET.replace('0', "é")),
            format!("live-{SERVICE}-{}x", &SECRET[1..]),
            format!("live-{}-{SECRET}", "x".repeat(36)),
        ];
        for wrong in all {
            assert!(NotifyKey::parse(&wrong.clone().into()).is_none(), "{wrong}");
        }
    }
}
