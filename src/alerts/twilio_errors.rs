//! What Twilio's refusals mean for us, by status and error number.

use super::provider::Handed;
use chrono::Duration;

/// Judges an answer that is not a success; `number` is the `code` of its body.
pub(super) fn judge(status: u16, number: Option<u64>, after: Option<Duration>) -> Handed {
    let code = Some(status);
    match (status, number) {
        (401 | 403, _) | (_, Some(20003 | 20005)) => {
            tracing::error!(
                status,
                number,
                "Twilio does not take our account: twilio.account_sid and auth_token are wrong, or it is suspended"
            );
            Handed::unwell(code, "Twilio does not take our account", None)
        }
        (429, _) | (_, Some(20429)) => Handed::unwell(code, "Twilio asks to slow down", after),
        (400, Some(21610)) => Handed::unreachable(code, "the number has texted STOP to ours"),
        (400, Some(21614 | 21635)) => {
            Handed::unreachable(code, "the number takes no text messages")
        }
        // Not a number (21211, 21421), not reachable (21214, 21217), a short code (21265), our own
        // (21266).
        (400, Some(21211 | 21214 | 21217 | 21265 | 21266 | 21421)) => {
            Handed::unreachable(code, "Twilio cannot reach this number")
        }
        (400, Some(21602 | 21617)) => Handed::refused(code, "Twilio does not take this text"),
        (500..=599, _) => Handed::failed(status, "Twilio failed", after),
        // Sender, country, trial account, and whatever number comes next year: nothing the
        // recipient could help, so the next provider has a try.
        (400, Some(_)) => {
            tracing::error!(status, number, "Twilio refuses what its settings do not allow");
            Handed::refused(code, "Twilio's settings do not allow it").at_providers_fault()
        }
        _ => Handed::unwell(code, "an answer Twilio does not give", after),
    }
}
