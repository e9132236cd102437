//! Signing in by an account elsewhere: `OpenID` Connect, authorisation code with PKCE. Accounts are
//! tied by issuer and subject and never by address: an address can be given to somebody else.

use super::step;
use crate::config::{Judged, Oidc};
use crate::store::{Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenVerifier,
    CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AuthType, AuthenticationContextClass, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    HttpRequest, HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

const STEP: &str = "outside";
/// CIS2 allows an hour at most for what discovery said.
const REMEMBERED: Duration = Duration::from_mins(30);
/// Answers larger than this are no provider's.
const MOST: usize = 512 * 1024;

/// Why an account elsewhere did not open one here: words for the person in front of it.
#[derive(Debug, thiserror::Error)]
pub enum Turned {
    #[error("{0} cannot be reached right now. Try again in a moment, or sign in another way")]
    Away(String),
    #[error("This sign-in was begun in another browser, or too long ago. Begin again")]
    Stale,
    #[error("{0} did not sign you in. Begin again, or sign in another way")]
    Refused(String),
    #[error(
        "What {0} said could not be verified, so it was not used. Begin again; if it lasts, tell the panel office"
    )]
    Unproven(String),
    #[error("Your organisation is not one that may sign in here. Tell the panel office")]
    Tenant,
    #[error(
        "Sign in at {0} with a stronger method (a smartcard, a security key or an app), then begin again"
    )]
    Assurance(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A provider as configured.
pub struct Provider {
    settings: Oidc,
    secret: SecretString,
    back: String,
    http: reqwest::Client,
    known: Mutex<Option<(Instant, Arc<CoreProviderMetadata>)>>,
}

/// What a sign-in needs when its browser comes back.
#[derive(Serialize, Deserialize)]
struct Begun {
    provider: String,
    state: String,
    nonce: String,
    verifier: String,
    /// Whose account is to be linked; none for a sign-in.
    link: Option<Uuid>,
}

/// What the browser brought back.
#[derive(Clone, Debug, Default)]
pub struct Back {
    pub code: Option<String>,
    pub state: Option<String>,
    pub error: Option<String>,
    pub iss: Option<String>,
}

/// Somebody whom a provider vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    pub issuer: String,
    pub subject: String,
    /// Whose account is to be linked; none for a sign-in.
    pub link: Option<Uuid>,
}

#[derive(Debug, thiserror::Error)]
enum Call {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("an answer that is too large")]
    Large,
    #[error("a header that cannot be sent")]
    Header,
}

async fn call(http: reqwest::Client, r: HttpRequest) -> Result<HttpResponse, Call> {
    let (parts, body) = r.into_parts();
    let mut request = http.request(parts.method, parts.uri.to_string()).body(body);
    for (name, value) in &parts.headers {
        request = request.header(name, value);
    }
    let mut answer = request.send().await?;
    let mut out = openidconnect::http::Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        out = out.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > MOST {
            return Err(Call::Large);
        }
    }
    out.body(body).map_err(|_| Call::Header)
}

impl Provider {
    /// # Errors
    /// A secret that cannot be read, or the machine's TLS is broken.
    pub fn new(settings: &Oidc, public_url: &str) -> std::io::Result<Self> {
        // Never a redirect: what answers is the address that was configured, or nobody.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(std::io::Error::other)?;
        Ok(Self {
            secret: settings.secret()?,
            back: format!("{}/sign-in/back/{}", public_url.trim_end_matches('/'), settings.id),
            settings: settings.clone(),
            http,
            known: Mutex::new(None),
        })
    }

    #[must_use]
    pub fn id(&self) -> &str {
        &self.settings.id
    }

    #[must_use]
    pub fn label(&self) -> &str {
        &self.settings.label
    }

    /// Whether a second factor of ours is asked for besides.
    #[must_use]
    pub fn asks_ours(&self) -> bool {
        self.settings.second_factor == Judged::Ours
    }

    fn named<T>(&self, turned: fn(String) -> T) -> T {
        turned(self.settings.label.clone())
    }

    /// Our own client in the shape that the library takes.
    fn caller(&self) -> impl Fn(HttpRequest) -> BoxFuture<'static, Result<HttpResponse, Call>> {
        let http = self.http.clone();
        move |r| Box::pin(call(http.clone(), r))
    }

    /// The provider's own description, with its keys.
    async fn metadata(&self) -> Result<Arc<CoreProviderMetadata>, Turned> {
        let held = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, m)) = held
            && at.elapsed() < REMEMBERED
        {
            return Ok(m);
        }
        let issuer =
            IssuerUrl::new(self.settings.issuer.clone()).map_err(|_| self.named(Turned::Away))?;
        let found = CoreProviderMetadata::discover_async(issuer, &self.caller()).await;
        let found = found.map_err(|e| {
            tracing::warn!(provider = self.id(), error = %e, "a provider's description cannot be used");
            self.named(Turned::Away)
        })?;
        let found = Arc::new(found);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    /// Keys change: what is known is asked for anew next time.
    fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn back(&self) -> Result<RedirectUrl, Turned> {
        RedirectUrl::new(self.back.clone()).map_err(|_| self.named(Turned::Away))
    }

    /// Begins: where the browser goes, and the word for its cookie.
    ///
    /// # Errors
    /// The provider or the database is away.
    pub async fn begin(
        &self,
        store: &Store,
        link: Option<Uuid>,
        now: DateTime<Utc>,
    ) -> Result<(String, String), Turned> {
        let metadata = self.metadata().await?;
        let id = ClientId::new(self.settings.client_id.clone());
        let client = CoreClient::from_provider_metadata((*metadata).clone(), id, None)
            .set_redirect_uri(self.back()?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut ask = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge);
        for scope in &self.settings.scopes {
            ask = ask.add_scope(Scope::new(scope.clone()));
        }
        for acr in &self.settings.acr_values {
            ask = ask.add_auth_context_value(AuthenticationContextClass::new(acr.clone()));
        }
        let (to, state, nonce) = ask.url();
        let begun = Begun {
            provider: self.settings.id.clone(),
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            link,
        };
        let word = step::begin(store, STEP, &begun, now).await?;
        Ok((to.into(), word))
    }

    /// Takes what the browser brought back, and asks the provider who it is. Works once.
    ///
    /// # Errors
    /// Nothing that proves anybody.
    pub async fn finish(
        &self,
        store: &Store,
        word: &str,
        back: &Back,
        now: DateTime<Utc>,
    ) -> Result<Vouched, Turned> {
        let begun: Option<Begun> = step::take(store, STEP, word, now).await?;
        let state = back.state.as_deref().unwrap_or_default();
        let same = |b: &Begun| crate::platform::crypt::same(b.state.as_bytes(), state.as_bytes());
        let begun = begun.filter(|b| b.provider == self.settings.id && same(b));
        let begun = begun.ok_or(Turned::Stale)?;
        // RFC 9207: an answer that says it is another's is another's.
        if back.iss.as_ref().is_some_and(|iss| *iss != self.settings.issuer) {
            return Err(self.named(Turned::Unproven));
        }
        let Some(code) = back.code.clone().filter(|_| back.error.is_none()) else {
            return Err(self.named(Turned::Refused));
        };
        let (id, access) = self.tokens(code, begun.verifier).await?;
        let nonce = Nonce::new(begun.nonce);
        let claims = self.verified(&id, &nonce, now).await?;
        let claims =
            if self.settings.userinfo { self.with_userinfo(claims, access).await? } else { claims };
        self.judge(&claims, begun.link)
    }

    async fn tokens(
        &self,
        code: String,
        verifier: String,
    ) -> Result<(CoreIdToken, openidconnect::AccessToken), Turned> {
        let metadata = self.metadata().await?;
        let id = ClientId::new(self.settings.client_id.clone());
        let secret = ClientSecret::new(self.secret.expose_secret().to_owned());
        let methods = metadata.token_endpoint_auth_methods_supported();
        let basic = methods.is_none_or(|m| m.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let kind = if basic { AuthType::BasicAuth } else { AuthType::RequestBody };
        let client = CoreClient::from_provider_metadata((*metadata).clone(), id, Some(secret))
            .set_redirect_uri(self.back()?)
            .set_auth_type(kind);
        let asked = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| self.named(Turned::Away))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier));
        let answer = asked.request_async(&self.caller()).await.map_err(|e| {
            // The kind of error only: its text may repeat what was sent.
            let away = matches!(e, openidconnect::RequestTokenError::Request(_));
            tracing::warn!(provider = self.id(), away, "a provider gave no token");
            if away { self.named(Turned::Away) } else { self.named(Turned::Refused) }
        })?;
        let id = answer.id_token().cloned().ok_or_else(|| self.named(Turned::Unproven))?;
        Ok((id, answer.access_token().clone()))
    }

    /// The claims of an ID token whose signature, issuer, audience, time and nonce are right.
    async fn verified(
        &self,
        id: &CoreIdToken,
        nonce: &Nonce,
        now: DateTime<Utc>,
    ) -> Result<Value, Turned> {
        let metadata = self.metadata().await?;
        let verifier = CoreIdTokenVerifier::new_public_client(
            ClientId::new(self.settings.client_id.clone()),
            metadata.issuer().clone(),
            metadata.jwks().clone(),
        )
        // Signed by a key of theirs that we cannot make signatures with.
        .set_allowed_algs([
            CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
            CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
            CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
            CoreJwsSigningAlgorithm::RsaSsaPssSha256,
            CoreJwsSigningAlgorithm::RsaSsaPssSha384,
            CoreJwsSigningAlgorithm::RsaSsaPssSha512,
            CoreJwsSigningAlgorithm::EcdsaP256Sha256,
            CoreJwsSigningAlgorithm::EcdsaP384Sha384,
        ])
        .set_time_fn(move || now);
        if let Err(e) = id.claims(&verifier, nonce) {
            self.forget();
            tracing::warn!(provider = self.id(), error = %e, "an ID token was refused");
            return Err(self.named(Turned::Unproven));
        }
        // The very text that was verified, for the claims that the library has no name for.
        let text = id.to_string();
        let claims = text.split('.').nth(1).and_then(|p| URL_SAFE_NO_PAD.decode(p).ok());
        claims
            .and_then(|c| serde_json::from_slice(&c).ok())
            .ok_or_else(|| self.named(Turned::Unproven))
    }

    /// Adds what userinfo says; its subject must be the token's.
    async fn with_userinfo(
        &self,
        mut claims: Value,
        access: openidconnect::AccessToken,
    ) -> Result<Value, Turned> {
        let metadata = self.metadata().await?;
        let subject = claims["sub"].as_str().unwrap_or_default().to_owned();
        let id = ClientId::new(self.settings.client_id.clone());
        let client = CoreClient::from_provider_metadata((*metadata).clone(), id, None);
        let subject = openidconnect::SubjectIdentifier::new(subject);
        let asked = client
            .user_info(access.clone(), Some(subject.clone()))
            .map_err(|_| self.named(Turned::Away))?;
        let told: Result<CoreUserInfoClaims, _> = asked.request_async(&self.caller()).await;
        if let Err(e) = told {
            tracing::warn!(provider = self.id(), error = %e, "userinfo was refused");
            return Err(self.named(Turned::Unproven));
        }
        // Once more for the claims without a name in the library; the subject was checked, and is
        // checked again.
        let Some(url) = metadata.userinfo_endpoint() else { return Ok(claims) };
        let answer = self.http.get(url.as_str()).bearer_auth(access.secret()).send().await;
        let more: Value = match answer {
            Ok(a) => a.json().await.map_err(|_| self.named(Turned::Unproven))?,
            Err(_) => return Err(self.named(Turned::Away)),
        };
        if more["sub"].as_str() != Some(subject.as_str()) {
            return Err(self.named(Turned::Unproven));
        }
        if let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more) {
            for (name, value) in more {
                // What was signed stands.
                claims.entry(name).or_insert(value);
            }
        }
        Ok(claims)
    }

    /// Whether these claims open anything here.
    fn judge(&self, claims: &Value, link: Option<Uuid>) -> Result<Vouched, Turned> {
        let text = |name: &str| claims[name].as_str().unwrap_or_default();
        let s = &self.settings;
        if !s.allowed_tenants.is_empty() && !s.allowed_tenants.iter().any(|t| t == text("tid")) {
            tracing::warn!(provider = self.id(), "a sign-in from another tenant was refused");
            return Err(Turned::Tenant);
        }
        let assurance = text(&s.assurance_claim);
        if !s.assurance_allowed.is_empty() && !s.assurance_allowed.iter().any(|a| a == assurance) {
            return Err(self.named(Turned::Assurance));
        }
        let subject = text(&s.subject_claim);
        if subject.is_empty() {
            tracing::warn!(provider = self.id(), claim = s.subject_claim, "the subject is missing");
            return Err(self.named(Turned::Unproven));
        }
        // A subject that another claim names is unique within its tenant only.
        let subject = if s.allowed_tenants.is_empty() {
            subject.to_owned()
        } else {
            format!("{}/{subject}", text("tid"))
        };
        Ok(Vouched { issuer: s.issuer.clone(), subject, link })
    }
}
