//! Coming in: password, code, passkey, another service, invitation; and what each leads to.

use super::outside::Provider;
use super::passkey::{Passkeys, Used};
use super::rules::Rules;
use super::session::{self, Limits, Opening, Session, Stage, fold_email, note};
use super::throttle::{self, Visitor, device_digest};
use super::{password, recovery, step, totp};
use crate::platform::crypt::random_token;
use crate::store::{Factors, Note, ServiceKey, Store, StoreError, UserRow};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const SECOND: &str = "second";

/// Everything signing in needs besides the database.
pub struct Door {
    pub limits: Limits,
    /// Whoever has no second factor sets one up before anything else.
    pub required: bool,
    pub rules: Rules,
    pub passkeys: Option<Passkeys>,
    pub providers: Vec<Provider>,
    /// Addresses are what the proxy in front says.
    pub behind_proxy: bool,
    pub invitation_hours: i64,
}

/// A session that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct In {
    pub session: String,
    /// A word for a browser that is known from now on.
    pub device: Option<String>,
    /// It may only set up how it signs in.
    pub enrol: bool,
}

/// What an attempt comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// Too many attempts; what was typed was not looked at.
    Wait,
    /// Not right. Says nothing of what is wrong.
    Wrong,
    /// Half way: begin again.
    Stale,
    /// The second factor of this account is asked for elsewhere: a password alone must not set up
    /// another one here.
    Elsewhere,
    /// A second factor is asked for; the word for the cookie.
    Second(String),
    In(In),
}

#[derive(Serialize, Deserialize)]
struct Half {
    user: Uuid,
    how: String,
}

/// What was just set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    Password,
    /// An authenticator app or a passkey.
    Factor,
    /// An account elsewhere that asks for two factors itself.
    Outside,
}

/// How somebody came in who typed one.
const PASSWORD: &str = "password";

impl Door {
    /// # Errors
    /// The database failed.
    pub async fn password(
        &self,
        store: &Store,
        email: &str,
        typed: String,
        v: &Visitor,
        now: DateTime<Utc>,
    ) -> Result<Entered, StoreError> {
        let email = fold_email(email);
        let user = store.user_by_email(&email).await?.filter(|u| u.disabled_at.is_none());
        let id = user.as_ref().map(|u| u.id);
        let Some(spent) = throttle::password(store, &email, id, v, now).await? else {
            return Ok(Entered::Wait);
        };
        let hash = user.as_ref().map(|u| u.password_hash.clone());
        let fits = password::fits(typed, hash).await;
        let Some(user) = user.filter(|_| fits) else {
            store.note(failed("sign_in_failed", id, now)).await?;
            return Ok(Entered::Wrong);
        };
        throttle::give_back(store, spent).await?;
        self.after_first(store, user.id, PASSWORD, v, now).await
    }

    /// After a first factor: the second, setting one up, or in.
    ///
    /// # Errors
    /// The database failed.
    pub async fn after_first(
        &self,
        store: &Store,
        user: Uuid,
        how: &str,
        v: &Visitor,
        now: DateTime<Utc>,
    ) -> Result<Entered, StoreError> {
        let has = store.factors(user).await?;
        if has.has_second() {
            let half = Half { user, how: how.to_owned() };
            return Ok(Entered::Second(step::begin(store, SECOND, &half, now).await?));
        }
        if self.required && how == PASSWORD && has.outside > 0 {
            return Ok(Entered::Elsewhere);
        }
        let stage = if self.required { Stage::Enrol } else { Stage::Full };
        self.admit(store, user, how, stage, None, v, now).await.map(Entered::In)
    }

    /// Whether a second factor is awaited; what the account has.
    ///
    /// # Errors
    /// The database failed.
    pub async fn awaits_second(
        &self,
        store: &Store,
        word: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Factors>, StoreError> {
        let half: Option<Half> = step::look(store, SECOND, word, now).await?;
        match half {
            Some(h) => store.factors(h.user).await.map(Some),
            None => Ok(None),
        }
    }

    /// A code of an app, or a recovery code.
    ///
    /// # Errors
    /// The database failed.
    pub async fn second(
        &self,
        store: &Store,
        word: &str,
        typed: &str,
        v: &Visitor,
        now: DateTime<Utc>,
    ) -> Result<Entered, StoreError> {
        let half: Option<Half> = step::look(store, SECOND, word, now).await?;
        let Some(half) = half else { return Ok(Entered::Stale) };
        let enabled = store.user(half.user).await?.is_some_and(|u| u.disabled_at.is_none());
        if !enabled {
            return Ok(Entered::Stale);
        }
        let Some(spent) = throttle::code(store, half.user, v, now).await? else {
            return Ok(Entered::Wait);
        };
        let by_recovery = recovery::looks_like_one(typed);
        let fits = if by_recovery {
            let key = store.service_key(ServiceKey::SignIn);
            store.take_code_of(half.user, recovery::digest(key, typed), now).await?
        } else {
            takes_code(store, half.user, typed, now).await?
        };
        if !fits {
            store.note(failed("second_factor_failed", Some(half.user), now)).await?;
            return Ok(Entered::Wrong);
        }
        throttle::give_back(store, spent).await?;
        // Works once, also when two tabs answer together.
        if step::take::<Half>(store, SECOND, word, now).await?.is_none() {
            return Ok(Entered::Stale);
        }
        let what = if by_recovery { "recovery" } else { "code" };
        let how = format!("{}+{what}", half.how);
        if by_recovery {
            store.note(note(half.user, "recovery_code_used", now)).await?;
        }
        self.admit(store, half.user, &how, Stage::Full, None, v, now).await.map(Entered::In)
    }

    /// A passkey that proved itself.
    ///
    /// # Errors
    /// The database failed.
    pub async fn passkey(
        &self,
        store: &Store,
        key: Used,
        v: &Visitor,
        now: DateTime<Utc>,
    ) -> Result<Entered, StoreError> {
        let user = key.row.user_id;
        let enabled = store.user(user).await?.is_some_and(|u| u.disabled_at.is_none());
        if !enabled {
            return Ok(Entered::Wrong);
        }
        store.used_passkey(key.row.id, key.data, now).await?;
        self.admit(store, user, "passkey", Stage::Full, None, v, now).await.map(Entered::In)
    }

    /// Somebody whom a provider vouches for.
    ///
    /// # Errors
    /// The database failed.
    pub async fn vouched(
        &self,
        store: &Store,
        p: &Provider,
        user: Uuid,
        v: &Visitor,
        now: DateTime<Utc>,
    ) -> Result<Entered, StoreError> {
        let enabled = store.user(user).await?.is_some_and(|u| u.disabled_at.is_none());
        if !enabled {
            return Ok(Entered::Wrong);
        }
        if p.asks_ours() {
            return self.after_first(store, user, p.id(), v, now).await;
        }
        self.admit(store, user, p.id(), Stage::Full, None, v, now).await.map(Entered::In)
    }

    /// Opens a session that may only set up how it signs in, for an invited person.
    ///
    /// # Errors
    /// The database failed.
    pub async fn invited(
        &self,
        store: &Store,
        user: Uuid,
        v: &Visitor,
        now: DateTime<Utc>,
    ) -> Result<In, StoreError> {
        self.admit(store, user, "invitation", Stage::Enrol, None, v, now).await
    }

    /// Whether a password may be used, besides the rules about words.
    ///
    /// # Errors
    /// Why not.
    pub async fn judge(&self, typed: String, user: &UserRow) -> Result<(), super::rules::Weak> {
        let rules = self.rules.clone();
        let (name, email) = (user.name.clone(), user.email.clone());
        // A list on a slow disk must not hold up others.
        tokio::task::spawn_blocking(move || rules.judge(&typed, &[&name, &email]))
            .await
            .unwrap_or(Ok(()))
    }

    /// After something was set up: a session that could only do that may do everything from now
    /// on, under a new id, if the account can sign in with it. The invitation is used up.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn complete(
        &self,
        store: &Store,
        s: &Session,
        cookie: &str,
        added: Added,
        v: &Visitor,
        now: DateTime<Utc>,
    ) -> Result<Option<In>, StoreError> {
        if s.stage == Stage::Full {
            return Ok(None);
        }
        let enough = match added {
            Added::Outside => true,
            Added::Factor => {
                let f = store.factors(s.user).await?;
                let password =
                    store.user(s.user).await?.is_some_and(|u| !u.password_hash.is_empty());
                f.passkeys > 0 || (f.apps > 0 && (password || f.outside > 0))
            }
            Added::Password => !self.required || store.factors(s.user).await?.has_second(),
        };
        if !enough {
            return Ok(None);
        }
        store.use_invitations(s.user, now).await?;
        let line = note(s.user, "other_sessions_ended", now);
        store.end_other_sessions(s.user, Some(s.digest.clone()), line).await?;
        self.admit(store, s.user, &s.how, Stage::Full, Some(cookie), v, now).await.map(Some)
    }

    #[allow(clippy::too_many_arguments)] // one place where sessions are opened
    async fn admit(
        &self,
        store: &Store,
        user: Uuid,
        how: &str,
        stage: Stage,
        old: Option<&str>,
        v: &Visitor,
        now: DateTime<Utc>,
    ) -> Result<In, StoreError> {
        let action = match (stage, old) {
            (Stage::Enrol, _) => "sign_in_to_set_up",
            (Stage::Full, None) => "sign_in",
            (Stage::Full, Some(_)) => "set_up_done",
        };
        let o = Opening { user, stage, how, device: &v.agent, old, action };
        let session = session::open(store, o, now, self.limits).await?;
        if stage == Stage::Enrol {
            return Ok(In { session, device: None, enrol: true });
        }
        // The browser keeps the word it has: on a shared one several accounts know it.
        let device = if v.device.is_some() { None } else { Some(random_token()?) };
        if let Some(word) = v.device.as_ref().or(device.as_ref()) {
            store.remember_device(device_digest(word), user, now).await?;
        }
        Ok(In { session, device, enrol: false })
    }

    #[must_use]
    pub fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|p| p.id() == id)
    }
}

/// Whether this is the code of the account's app, and was not used before.
///
/// # Errors
/// The database failed.
pub async fn takes_code(
    store: &Store,
    user: Uuid,
    typed: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let Some(row) = store.totp(user).await?.filter(|t| t.confirmed_at.is_some()) else {
        return Ok(false);
    };
    let secret = store.service_key(ServiceKey::SignIn).open(&totp::place(user), &row.sealed)?;
    match totp::fits(&secret, typed, now) {
        Some(step) => store.take_totp_step(user, step).await,
        None => Ok(false),
    }
}

fn failed(action: &'static str, about: Option<Uuid>, at: DateTime<Utc>) -> Note {
    Note { at, actor: "public".to_owned(), action, about }
}
