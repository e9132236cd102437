//! What Twilio calls us back with. First [`signature_fits`] over the address and the form as they
//! came, then [`parse`].

use super::phone;
use super::provider::Receipt;
use crate::platform::crypt::{hmac_sha1, same};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

/// Whether `X-Twilio-Signature` fits: HMAC-SHA1 over the whole address as Twilio was given it
/// (with its query) and every field of the form, sorted, name and value joined. There is no time
/// in it, so a call-back may be played again: what is done with it must bear that.
#[must_use]
pub fn signature_fits(
    auth_token: &str,
    url: &str,
    params: &[(String, String)],
    header: &str,
) -> bool {
    // An empty key would be one that everybody holds.
    if auth_token.is_empty() {
        return false;
    }
    let mut sorted: Vec<&(String, String)> = params.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let fields: String = sorted.iter().flat_map(|(n, v)| [n.as_str(), v.as_str()]).collect();
    let mut fits = false;
    // Twilio signs some addresses with their port and some without, whatever was given.
    for address in spellings(url) {
        let mac = hmac_sha1(auth_token.as_bytes(), format!("{address}{fields}").as_bytes());
        fits |= same(STANDARD.encode(mac).as_bytes(), header.as_bytes());
    }
    fits
}

/// An address as it is, without a port, and with the scheme's own. Cut as text: parsing would
/// rewrite what was signed.
fn spellings(url: &str) -> Vec<String> {
    let mut all = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else { return all };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let port = authority.rsplit_once(':').filter(|(_, p)| p.bytes().all(|b| b.is_ascii_digit()));
    if let Some((host, _)) = port {
        all.push(format!("{scheme}://{host}{tail}"));
    } else {
        let known = Url::parse(url).ok().and_then(|u| u.port_or_known_default());
        all.extend(known.map(|p| format!("{scheme}://{authority}:{p}{tail}")));
    }
    all
}

/// A call-back, read. `sid` is the provider's id of the message or call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    Status {
        sid: String,
        receipt: Receipt,
    },
    /// A key pressed during a call: a digit, `*` or `#`.
    Key {
        sid: String,
        key: char,
    },
    /// A text message back; `from` is in international form.
    Reply {
        from: String,
        text: String,
    },
}

/// Reads the form of a call-back; none if it is none that we know.
#[must_use]
pub fn parse(params: &[(String, String)]) -> Option<Callback> {
    let field = |name: &str| {
        params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    };
    let sid = field("CallSid").or_else(|| field("MessageSid")).or_else(|| field("SmsSid"))?;
    let sid = sid.chars().take(34).collect::<String>();
    if let Some(digits) = field("Digits") {
        let key = digits.chars().next().filter(|c| matches!(c, '0'..='9' | '*' | '#'))?;
        return Some(Callback::Key { sid, key });
    }
    if field("SmsStatus") == Some("received") || field("MessageStatus") == Some("received") {
        let from = phone::normalise(field("From")?).ok()?;
        let text = field("Body").unwrap_or("").chars().take(1600).collect();
        return Some(Callback::Reply { from, text });
    }
    let receipt = match (field("MessageStatus").or_else(|| field("SmsStatus")), field("CallStatus"))
    {
        (Some(word), _) => message_receipt(word, field("ErrorCode").and_then(|c| c.parse().ok())),
        (None, Some(word)) => {
            call_receipt(word, field("SipResponseCode").and_then(|c| c.parse().ok()))
        }
        (None, None) => return None,
    };
    Some(Callback::Status { sid, receipt })
}

/// Twilio's word for how a text message stands; `error` says why it was not delivered.
#[must_use]
pub fn message_receipt(word: &str, error: Option<u32>) -> Receipt {
    match (word, error) {
        ("accepted" | "scheduled" | "queued" | "sending" | "sent", _) => Receipt::Sending,
        ("delivered" | "read", _) => Receipt::Delivered,
        // Blocked or opted out, unknown, a landline, no such number.
        ("undelivered" | "failed", Some(30004 | 30005 | 30006 | 21211 | 21610 | 21614)) => {
            Receipt::PermanentFailure
        }
        // Everything else the network reports may pass: switched off, no coverage, filtered.
        ("undelivered", _) => Receipt::TemporaryFailure,
        ("failed" | "canceled", _) => Receipt::TechnicalFailure,
        (other, _) => Receipt::other(other),
    }
}

/// Twilio's word for how a call stands; `sip` is the network's answer. `completed` means that
/// somebody or something, perhaps a mailbox, picked up.
#[must_use]
pub fn call_receipt(word: &str, sip: Option<u32>) -> Receipt {
    match (word, sip) {
        ("queued" | "initiated" | "ringing" | "in-progress", _) => Receipt::Sending,
        ("completed", _) => Receipt::Delivered,
        ("busy" | "no-answer", _) => Receipt::TemporaryFailure,
        // RFC 3261: not found, gone, address incomplete, does not exist anywhere.
        ("failed", Some(404 | 410 | 484 | 604)) => Receipt::PermanentFailure,
        // A failed call alone does not prove that the number is wrong.
        ("failed" | "canceled", _) => Receipt::TechnicalFailure,
        (other, _) => Receipt::other(other),
    }
}
