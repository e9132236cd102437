//! Call-backs of carriers. Each proves itself first; what it says is then taken once, and what fits
//! nothing is kept as a stray and answered as taken, because most carriers drop for good what they
//! are told is unknown.

use super::Web;
use super::problem::Problem;
use super::request;
use crate::alerts::{gateway, govuk, twilio};
use crate::platform::crypt::sha256;
use crate::service::{ServiceError, Taken};
use crate::store::SentRow;
use crate::store::changes::HookRow;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// What call-backs prove themselves with; empty: that carrier is not used.
#[derive(Clone, Default)]
pub struct HookKeys {
    pub notify_token: SecretString,
    pub gateway: Vec<Vec<u8>>,
    pub twilio_token: SecretString,
    /// Twilio signs the address that we gave it.
    pub base: String,
}

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/hooks/notify", post(notify))
        .route("/hooks/gateway", post(from_gateway))
        .route("/hooks/twilio/{message}", post(from_twilio))
}

fn refused(carrier: &'static str, why: &str) -> Response {
    // The reason, never the payload: it may be anybody's.
    tracing::warn!(carrier, why, "a call-back was refused");
    Problem::new(StatusCode::UNAUTHORIZED, "not_proven", "this call-back does not prove itself")
        .into_response()
}

fn wrong(carrier: &'static str, why: &str) -> Response {
    tracing::warn!(carrier, why, "a call-back could not be read");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "fields", why.to_owned()).into_response()
}

fn ok() -> Response {
    StatusCode::OK.into_response()
}

fn failed(e: ServiceError) -> Response {
    // 5xx: they come again.
    Problem::from(e).into_response()
}

async fn stray(web: &Web, carrier: &'static str, what: &'static str) -> Response {
    match web.service.store.keep_stray(web.service.clock.now(), carrier, what).await {
        Ok(()) => ok(),
        Err(e) => failed(e.into()),
    }
}

async fn notify(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let offered = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    if !govuk::token_fits(&web.hooks.notify_token, offered) {
        return refused("govuk_notify", "the token does not fit");
    }
    let bytes = match request::bytes(&web, body).await {
        Ok(b) => b,
        Err(p) => return p.into_response(),
    };
    match govuk::parse_callback(&bytes) {
        // What shows the right token and cannot be read is answered as taken: Notify drops for good
        // what it is told is wrong.
        Err(e) => {
            tracing::warn!(carrier = "govuk_notify", why = %e, "a call-back could not be read");
            stray(&web, "govuk_notify", "a call-back that could not be read").await
        }
        Ok(govuk::Callback::Reply { id, from, text }) => {
            let d = digest(&["govuk_notify", &id, &from, &text]);
            once(&web, d, reply(&web, "govuk_notify", &from, &text)).await
        }
        Ok(govuk::Callback::Receipt { id, reference, receipt }) => {
            let ours = reference.as_deref().and_then(|r| Uuid::try_parse(r).ok());
            let found = match ours {
                Some(id) => web.service.store.sent(id).await,
                None => web.service.store.sent_by("govuk_notify", &id).await,
            };
            match found {
                Ok(Some(sent)) => match web.service.receipt(&sent, &receipt).await {
                    Ok(()) => ok(),
                    Err(e) => failed(e),
                },
                Ok(None) => {
                    stray(&web, "govuk_notify", "a receipt for a message that is not ours").await
                }
                Err(e) => failed(e.into()),
            }
        }
    }
}

/// What tells one call-back from every other.
fn digest(parts: &[&str]) -> Vec<u8> {
    let joined = parts.join("\0");
    sha256(&[b"cdr-hook", joined.as_bytes()]).to_vec()
}

/// Carries a call-back out once. It counts as taken only afterwards: a process that dies in between
/// is called back again, and everything that a call-back does may be done twice without harm.
async fn once(web: &Web, digest: Vec<u8>, carry_out: impl Future<Output = Response>) -> Response {
    once_or(web, digest, ok(), carry_out).await
}

/// As [`once`]; whoever comes again hears `again`.
async fn once_or(
    web: &Web,
    digest: Vec<u8>,
    again: Response,
    carry_out: impl Future<Output = Response>,
) -> Response {
    match web.service.store.hook_was_seen(&digest).await {
        Ok(false) => {}
        Ok(true) => return again,
        Err(e) => return failed(e.into()),
    }
    let answer = carry_out.await;
    if answer.status().is_success() {
        let at = web.service.clock.now();
        if let Err(e) = web.service.store.first_hook(HookRow { digest, at }).await {
            return failed(e.into());
        }
    }
    answer
}

async fn reply(web: &Web, carrier: &'static str, from: &str, text: &str) -> Response {
    match web.service.reply(from, text).await {
        Ok(Taken::NotUnderstood) => stray(web, carrier, "a reply that answers nothing open").await,
        Ok(_) => ok(),
        Err(e) => failed(e),
    }
}

/// Nothing is read of what cannot prove itself anyway: anybody can send it.
const UNPROVABLE: &str = "it carries no signature, or there is no key for it";

async fn from_gateway(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
    let signed = gateway::Signed {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
    };
    if web.hooks.gateway.is_empty() || signed.signature.is_empty() {
        return refused("gateway", UNPROVABLE);
    }
    let bytes = match request::bytes(&web, body).await {
        Ok(b) => b,
        Err(p) => return p.into_response(),
    };
    let now = web.service.clock.now();
    if let Err(why) = gateway::verify(&web.hooks.gateway, signed, &bytes, now) {
        return refused("gateway", &why.to_string());
    }
    let event = match gateway::parse_event(&bytes) {
        Ok(e) => e,
        Err(e) => return wrong("gateway", &e.to_string()),
    };
    // Within the five minutes a copied call-back would pass again: each is taken once.
    let d = digest(&["gateway", text("webhook-id")]);
    once(&web, d, gateway_event(&web, event)).await
}

async fn gateway_event(web: &Web, event: gateway::GatewayEvent) -> Response {
    if let gateway::What::Reply { from, text } = &event.what {
        return reply(web, "gateway", from, text).await;
    }
    let sent = match event.message_id {
        Some(id) => web.service.store.sent(id).await,
        None => Ok(None),
    };
    match (sent, event.what) {
        (Err(e), _) => failed(e.into()),
        (Ok(None), _) => stray(web, "gateway", "a call-back for a message that is not ours").await,
        (Ok(Some(sent)), gateway::What::Receipt(r)) => match web.service.receipt(&sent, &r).await {
            Ok(()) => ok(),
            Err(e) => failed(e),
        },
        (Ok(Some(sent)), gateway::What::Key(k)) => match web.service.key(&sent, k).await {
            Ok(_) => ok(),
            Err(e) => failed(e),
        },
        (Ok(Some(_)), gateway::What::Reply { .. }) => ok(),
    }
}

async fn from_twilio(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(message): Path<String>,
    body: Body,
) -> Response {
    let signature = headers.get("x-twilio-signature").and_then(|v| v.to_str().ok()).unwrap_or("");
    let token = web.hooks.twilio_token.expose_secret();
    if token.is_empty() || signature.is_empty() {
        return refused("twilio", UNPROVABLE);
    }
    let bytes = match request::bytes(&web, body).await {
        Ok(b) => b,
        Err(p) => return p.into_response(),
    };
    let params: Vec<(String, String)> =
        form_urlencoded::parse(&bytes).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    let url = format!("{}/hooks/twilio/{message}", web.hooks.base);
    if !twilio::signature_fits(token, &url, &params, signature) {
        return refused("twilio", "the signature does not fit");
    }
    let Some(said) = twilio::parse(&params) else {
        return wrong("twilio", "the call-back names neither a call nor a message");
    };
    if let twilio::Callback::Reply { from, text, .. } = &said {
        let named = |n: &str| params.iter().find(|(k, _)| k == n).map_or("", |(_, v)| v.as_str());
        let d = digest(&["twilio", named("MessageSid"), from, text]);
        let done = once(&web, d, reply(&web, "twilio", from, text)).await;
        // An empty answer: no text goes back by itself.
        return if done.status() == StatusCode::OK { xml("<Response/>".to_owned()) } else { done };
    }
    let sent = match Uuid::try_parse(&message) {
        Ok(id) => web.service.store.sent(id).await,
        Err(_) => Ok(None),
    };
    match (sent, said) {
        (Err(e), _) => failed(e.into()),
        (Ok(None), _) => stray(&web, "twilio", "a call-back for a message that is not ours").await,
        (Ok(Some(sent)), twilio::Callback::Status { receipt, .. }) => {
            match web.service.receipt(&sent, &receipt).await {
                Ok(()) => ok(),
                Err(e) => failed(e),
            }
        }
        (Ok(Some(sent)), twilio::Callback::Key { sid, key }) if matches!(key, '1' | '2') => {
            // There is no time in Twilio's signature: played again later, it would answer for
            // somebody whose alert has come back. Other keys change nothing, and may be pressed
            // twice in a call.
            let d = digest(&["twilio", &sid, &key.to_string(), &message]);
            let again = xml(twilio::thank_you("Thank you. Your answer is recorded."));
            once_or(&web, d, again, twilio_key(&web, &sent, key)).await
        }
        (Ok(Some(sent)), twilio::Callback::Key { key, .. }) => twilio_key(&web, &sent, key).await,
        (Ok(Some(_)), twilio::Callback::Reply { .. }) => ok(),
    }
}

async fn twilio_key(web: &Web, sent: &SentRow, key: char) -> Response {
    match web.service.key(sent, key).await {
        Ok(Taken::Acknowledged) => {
            xml(twilio::thank_you("Thank you. It is recorded that your agency has this."))
        }
        Ok(Taken::Over) => {
            xml(twilio::thank_you("This has been recalled. Nothing is needed any more."))
        }
        Ok(Taken::HandedOn) => xml(twilio::thank_you("Thank you. The next person will be rung.")),
        Ok(_) => xml(twilio::say_again(
            "That key means nothing here. Press 1 if your agency can attend, 2 if you cannot.",
        )),
        Err(e) => failed(e),
    }
}

fn xml(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/xml; charset=utf-8")], text).into_response()
}
