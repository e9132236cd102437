//! Passkeys. One counts as both factors: the device is one, and unlocking it (which is insisted on)
//! the other. They are found by the browser, so signing in tells nobody which accounts exist.

use super::step;
use crate::store::{PasskeyRow, Store, StoreError};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, DiscoverableKey, Passkey, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url, Webauthn, WebauthnBuilder,
    WebauthnError,
};

const SIGN_IN: &str = "passkey";
const REGISTER: &str = "new_passkey";

/// Registers passkeys and signs in with them, for the one address that this service has.
#[derive(Clone, Debug)]
pub struct Passkeys(Webauthn);

/// A passkey that was used.
#[derive(Clone, Debug)]
pub struct Used {
    pub row: PasskeyRow,
    /// With its counter moved on.
    pub data: String,
}

impl Passkeys {
    /// None if browsers do not allow passkeys at this address: an IP address that is not this
    /// machine's own. For that, `localhost` stands in.
    #[must_use]
    pub fn new(public_url: &str) -> Option<Self> {
        let mut url = Url::parse(public_url).ok()?;
        if url.host_str() == Some("127.0.0.1") {
            url.set_host(Some("localhost")).ok()?;
        }
        let domain = url.domain()?.to_owned();
        let built = WebauthnBuilder::new(&domain, &url)
            .and_then(|b| b.rp_name("Child Death Review").build());
        built.inspect_err(|e| tracing::error!(error = %e, "passkeys cannot be used")).ok().map(Self)
    }

    /// Begins a sign-in: what the browser needs, and the word for the cookie.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn ask(
        &self,
        store: &Store,
        now: DateTime<Utc>,
    ) -> Result<(Value, String), StoreError> {
        let (question, state) = self.0.start_discoverable_authentication().map_err(broken)?;
        let word = step::begin(store, SIGN_IN, &state, now).await?;
        let mut question = serde_json::to_value(question).map_err(|_| unreadable())?;
        // Asked for by a button, so the browser shows its own dialogue.
        question.as_object_mut().map(|q| q.remove("mediation"));
        Ok((question, word))
    }

    /// Takes the browser's answer; none if it proves nothing. The question works once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn answer(
        &self,
        store: &Store,
        word: &str,
        answer: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Used>, StoreError> {
        let state: Option<DiscoverableAuthentication> =
            step::take(store, SIGN_IN, word, now).await?;
        let (Some(state), Ok(answer)) =
            (state, serde_json::from_str::<PublicKeyCredential>(answer))
        else {
            return Ok(None);
        };
        let Ok((user, credential)) = self.0.identify_discoverable_authentication(&answer) else {
            return Ok(None);
        };
        let Some(row) = store.passkey(credential).await?.filter(|r| r.user_id == user) else {
            return Ok(None);
        };
        let mut key: Passkey = serde_json::from_str(&row.data).map_err(|_| unreadable())?;
        let proof = self.0.finish_discoverable_authentication_v2(
            &answer,
            state,
            DiscoverableKey::from(&key),
        );
        match proof {
            Ok(proof) if proof.user_verified() => {
                key.update_credential(&proof);
                let data = serde_json::to_string(&key).map_err(|_| unreadable())?;
                Ok(Some(Used { row, data }))
            }
            Ok(_) => Ok(None),
            Err(e) => {
                refused(&e);
                Ok(None)
            }
        }
    }

    /// Begins to add a passkey to an account.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn offer(
        &self,
        store: &Store,
        user: Uuid,
        email: &str,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<(Value, String), StoreError> {
        let known: Vec<CredentialID> =
            store.passkeys_of(user).await?.into_iter().map(|p| p.credential).collect();
        let (offer, state) =
            self.0.start_passkey_registration(user, email, name, Some(known)).map_err(broken)?;
        let word = step::begin(store, REGISTER, &(user, state), now).await?;
        let mut offer = serde_json::to_value(offer).map_err(|_| unreadable())?;
        // Kept by the device with the account's id, so that it can be found without an address.
        let choice = &mut offer["publicKey"]["authenticatorSelection"];
        choice["residentKey"] = "required".into();
        choice["requireResidentKey"] = true.into();
        Ok((offer, word))
    }

    /// Takes the new passkey; none if it is not one, or was made for another account.
    ///
    /// # Errors
    /// The database failed.
    pub async fn accept(
        &self,
        store: &Store,
        user: Uuid,
        word: &str,
        answer: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<(Vec<u8>, String)>, StoreError> {
        let state: Option<(Uuid, PasskeyRegistration)> =
            step::take(store, REGISTER, word, now).await?;
        let state = state.filter(|(whose, _)| *whose == user);
        let (Some((_, state)), Ok(answer)) =
            (state, serde_json::from_str::<RegisterPublicKeyCredential>(answer))
        else {
            return Ok(None);
        };
        match self.0.finish_passkey_registration(&answer, &state) {
            Ok(key) => {
                let data = serde_json::to_string(&key).map_err(|_| unreadable())?;
                Ok(Some((key.cred_id().clone(), data)))
            }
            Err(e) => {
                refused(&e);
                Ok(None)
            }
        }
    }
}

/// The reason in the library's own words, which name no person and no key.
fn refused(e: &WebauthnError) {
    tracing::warn!(reason = %e, "a passkey was refused");
}

#[allow(clippy::needless_pass_by_value)] // the shape `map_err` takes
fn broken(e: WebauthnError) -> StoreError {
    tracing::error!(error = %e, "a passkey question could not be made");
    StoreError::Corrupt("passkey question")
}

fn unreadable() -> StoreError {
    StoreError::Corrupt("passkey")
}

/// For pages: a passkey's name, or what stands in for one.
#[must_use]
pub fn named(typed: &str, device: &str, others: &[PasskeyRow]) -> String {
    let typed: String = typed.trim().chars().filter(|c| !c.is_control()).take(60).collect();
    let base = if typed.is_empty() { device.to_owned() } else { typed };
    let taken: BTreeSet<&str> = others.iter().map(|o| o.name.as_str()).collect();
    let mut name = base.clone();
    // One more name than there are taken ones: one of them is free.
    for n in 2..=taken.len() + 1 {
        if !taken.contains(name.as_str()) {
            break;
        }
        name = format!("{base} ({n})");
    }
    name
}
