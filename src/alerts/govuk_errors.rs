//! What GOV.UK Notify's refusals mean for us. Decided by the status and the class of the error;
//! its message is for people and may change at any time. Only which field is wrong can be read
//! nowhere else: a message that does not begin with it takes no address out of the plans.

use super::provider::Handed;
use super::webhook::retry_after;
use super::wire::Answer;
use chrono::{DateTime, Days, Duration, Utc};

/// Judges every answer that is not a success.
pub(super) fn judge(a: &Answer, now: DateTime<Utc>) -> Handed {
    let code = Some(a.status);
    let class = a.text("/errors/0/error").unwrap_or("");
    match (a.status, class) {
        // The request does not fit the schema: this number or address is not one, …
        (400, "ValidationError") if is_about_the_address(a) => {
            Handed::unreachable(code, "GOV.UK Notify refuses the address")
        }
        // … or something else of it.
        (400, "ValidationError") => Handed::refused(code, "GOV.UK Notify refuses the message"),
        // Templates, trial mode, guest lists, rights of the service: the same at every attempt,
        // and nothing the recipient could help.
        (400, "BadRequestError") => {
            tracing::error!(
                status = a.status,
                "GOV.UK Notify refuses what the service is set up to send: check its templates, its live status and its permissions"
            );
            Handed::refused(code, "GOV.UK Notify's settings do not allow it").at_providers_fault()
        }
        (401 | 403, _) => {
            let skew = clock_skew(a, now);
            tracing::error!(
                status = a.status,
                clock_skew_seconds = skew,
                "GOV.UK Notify does not take our key: revoked or wrong, or this machine's clock is more than 30 seconds off"
            );
            Handed::unwell(code, "GOV.UK Notify does not take our key", None)
        }
        // Calls in a rolling minute.
        (429, "RateLimitError") => {
            let after = retry_after(a.headers.get("retry-after"), now);
            let after = after.unwrap_or(Duration::seconds(5));
            Handed::unwell(code, "GOV.UK Notify asks to slow down", Some(after))
        }
        // The service's messages of a day, counted from midnight UTC.
        (429, "TooManyRequestsError") => {
            tracing::error!(status = a.status, "today's limit at GOV.UK Notify is used up");
            Handed::unwell(code, "today's limit at GOV.UK Notify is used up", until_midnight(now))
        }
        (429, _) => {
            let after = retry_after(a.headers.get("retry-after"), now);
            Handed::unwell(code, "GOV.UK Notify asks to slow down", after)
        }
        (500..=599, _) => {
            let after = retry_after(a.headers.get("retry-after"), now);
            Handed::failed(a.status, "GOV.UK Notify failed", after)
        }
        // Not an answer of Notify's: something in between spoke, or the address is wrong.
        _ => Handed::unwell(code, "an answer GOV.UK Notify does not give", None),
    }
}

fn is_about_the_address(a: &Answer) -> bool {
    let about =
        |said: &str| ["phone_number ", "email_address "].iter().any(|f| said.starts_with(f));
    let errors = a.json.as_ref().and_then(|j| j["errors"].as_array());
    errors.is_some_and(|all| all.iter().any(|e| e["message"].as_str().is_some_and(about)))
}

fn until_midnight(now: DateTime<Utc>) -> Option<Duration> {
    let midnight = now.date_naive().checked_add_days(Days::new(1))?.and_hms_opt(0, 0, 0)?.and_utc();
    Some(midnight - now)
}

/// Seconds by which our clock is ahead of theirs, told by the answer's date.
fn clock_skew(a: &Answer, now: DateTime<Utc>) -> Option<i64> {
    let date = a.headers.get("date")?.to_str().ok()?;
    let theirs = DateTime::parse_from_rfc2822(date).ok()?.with_timezone(&Utc);
    Some((now - theirs).num_seconds())
}
