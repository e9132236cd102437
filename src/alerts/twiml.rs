//! What Twilio says in a call, as `TwiML`. It is XML, and everything in it is escaped: a name from
//! configuration must not become a verb.

/// Longest `TwiML` that Twilio takes inside a request, in characters.
pub(super) const LIMIT: usize = 4000;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>";

/// Says a text three times over (whoever lifts the receiver misses the start) and waits for one
/// key, which goes to `action`.
#[must_use]
pub fn ask(text: &str, action: &str) -> String {
    format!(
        "{HEAD}<Gather numDigits=\"1\" timeout=\"10\" method=\"POST\" action=\"{}\"><Say language=\"en-GB\" loop=\"3\">{}</Say></Gather></Response>",
        escape(action),
        escape(text)
    )
}

/// Ends a call with a text.
#[must_use]
pub fn thank_you(text: &str) -> String {
    format!("{HEAD}<Say language=\"en-GB\">{}</Say><Hangup/></Response>", escape(text))
}

/// Says a text and waits for a key again; the key goes to the address that answered with this.
#[must_use]
pub fn say_again(text: &str) -> String {
    format!(
        "{HEAD}<Gather numDigits=\"1\" timeout=\"10\" method=\"POST\"><Say language=\"en-GB\" loop=\"2\">{}</Say></Gather></Response>",
        escape(text)
    )
}

/// For text and attributes alike. Characters that XML 1.0 cannot hold become spaces.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
