//! What GOV.UK Notify asks of a request: the token, the schema, the numbers, the templates.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Status, class and message of a refusal.
pub type Refusal = (u16, &'static str, String);

/// The answer's body of a refusal.
pub fn shape((status, class, message): &Refusal) -> Value {
    json!({ "status_code": status, "errors": [{ "error": class, "message": message }] })
}

fn auth(status: u16, message: &str) -> Refusal {
    (status, "AuthError", message.to_owned())
}

fn bad(message: impl Into<String>) -> Refusal {
    (400, "BadRequestError", message.into())
}

fn invalid(message: impl Into<String>) -> Refusal {
    (400, "ValidationError", message.into())
}

/// Checks a bearer token; `now` is the double's clock.
pub fn token(header: Option<&str>, service: &str, secret: &str, now: i64) -> Result<(), Refusal> {
    let header =
        header.ok_or_else(|| auth(401, "Unauthorized: authentication token must be provided"))?;
    let token = header
        .strip_prefix("Bearer ")
        .ok_or_else(|| auth(401, "Unauthorized: authentication bearer scheme must be used"))?;
    let unfit = || auth(403, "Invalid token: make sure your API token matches the documentation");
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else { return Err(unfit()) };
    let open = |p: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(p).ok()?).ok()
    };
    let (head_json, claims_json) = open(head).zip(open(claims)).ok_or_else(unfit)?;
    if head_json != json!({ "typ": "JWT", "alg": "HS256" }) {
        return Err(auth(403, "Invalid token: algorithm used is not HS256"));
    }
    let names: Vec<&String> = claims_json.as_object().ok_or_else(unfit)?.keys().collect();
    let Some(issuer) = claims_json["iss"].as_str() else {
        return Err(auth(403, "Invalid token: iss field not provided"));
    };
    if names.len() != 2 {
        return Err(unfit());
    }
    if Uuid::parse_str(issuer).is_err() {
        return Err(auth(403, "Invalid token: service id is not the right data type"));
    }
    if issuer != service {
        return Err(auth(403, "Invalid token: service not found"));
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| unfit())?;
    hmac::verify(&key, format!("{head}.{claims}").as_bytes(), &signature)
        .map_err(|_| auth(403, "Invalid token: API key not found"))?;
    let iat = claims_json["iat"].as_i64().ok_or_else(unfit)?;
    if (now - iat).abs() > 30 {
        return Err(auth(403, "Error: Your system clock must be accurate to within 30 seconds"));
    }
    Ok(())
}

/// A template at Notify.
#[derive(Clone, Debug)]
pub struct Template {
    pub id: String,
    pub kind: &'static str,
    pub subject: Option<String>,
    pub body: String,
    pub deleted: bool,
}

fn fold(name: &str) -> String {
    name.to_lowercase().replace([' ', '_', '-'], "")
}

impl Template {
    /// Fills in subject and body.
    pub fn fill(&self, given: &Map<String, Value>) -> Result<(Option<String>, String), Refusal> {
        let mut missing = Vec::new();
        let mut one = |text: &str| {
            let mut out = String::new();
            let mut rest = text;
            while let Some((before, after)) = rest.split_once("((") {
                let Some((name, tail)) = after.split_once("))") else { break };
                out.push_str(before);
                let (name, then) = match name.split_once("??") {
                    Some((n, t)) => (n, Some(t)),
                    None => (name, None),
                };
                match given.iter().find(|(k, _)| fold(k) == fold(name)) {
                    None => missing.push(name.to_owned()),
                    Some((_, v)) => {
                        let v = v.as_str().map_or(v.to_string(), str::to_owned);
                        out.push_str(match then {
                            Some(t) if v == "yes" => t,
                            Some(_) => "",
                            None => &v,
                        });
                    }
                }
                rest = tail;
            }
            out + rest
        };
        let (subject, body) = (self.subject.as_deref().map(&mut one), one(&self.body));
        if missing.is_empty() {
            Ok((subject, body))
        } else {
            Err(bad(format!("Missing personalisation: {}", missing.join(", "))))
        }
    }
}

/// The schema of a sending request; `address` is `phone_number` or `email_address`.
pub fn schema(body: &Value, address: &str, extra: &[&str]) -> Result<(), Refusal> {
    let o = body.as_object().ok_or_else(|| bad("Invalid JSON supplied in POST data"))?;
    for name in [address, "template_id"] {
        if !o.contains_key(name) {
            return Err(invalid(format!("{name} is a required property")));
        }
    }
    for name in o.keys() {
        let known = [address, "template_id", "personalisation", "reference"];
        if !known.contains(&name.as_str()) && !extra.contains(&name.as_str()) {
            return Err(invalid(format!(
                "Additional properties are not allowed ({name} was unexpected)"
            )));
        }
    }
    let uuid = o["template_id"].as_str().is_some_and(|t| Uuid::parse_str(t).is_ok());
    if !uuid {
        return Err(invalid("template_id is not a valid UUID"));
    }
    if let Some(p) = o.get("personalisation") {
        let p = p.as_object().ok_or_else(|| invalid("personalisation is not of type object"))?;
        if p.values().any(|v| v.is_object() || v.is_null()) {
            return Err(invalid("personalisation holds a value that cannot be shown"));
        }
    }
    match o.get("reference") {
        None => {}
        Some(Value::String(r)) if r.len() <= 1000 => {}
        Some(Value::String(_)) => return Err(invalid("reference is too long")),
        Some(_) => return Err(invalid("reference is not of type string")),
    }
    let to =
        o[address].as_str().ok_or_else(|| invalid(format!("{address} is not of type string")))?;
    if address == "phone_number" { phone(to) } else { email(to) }
}

fn phone(text: &str) -> Result<(), Refusal> {
    let wrong = |why: &str| Err(invalid(format!("phone_number {why}")));
    if text.chars().any(|c| !(c.is_ascii_digit() || "+ ()-.".contains(c))) {
        return wrong("Must not contain letters or symbols");
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let national = ["0044", "44", "0"].iter().find_map(|p| digits.strip_prefix(p));
    match national {
        Some(n) if n.starts_with('7') && n.len() == 10 => Ok(()),
        Some(n) if n.starts_with('7') && n.len() < 10 => wrong("Not enough digits"),
        Some(n) if n.starts_with('7') => wrong("Too many digits"),
        Some(_) => wrong("Not a UK mobile number"),
        None if digits.len() < 8 => wrong("Not enough digits"),
        None => Err(bad("Cannot send to international mobile numbers")),
    }
}

fn email(text: &str) -> Result<(), Refusal> {
    let parts: Vec<&str> = text.split('@').collect();
    let fine = match parts[..] {
        [local, domain] => {
            !local.is_empty()
                && domain.split('.').count() > 1
                && domain.split('.').all(|l| !l.is_empty())
                && !text.contains(char::is_whitespace)
        }
        _ => false,
    };
    if fine { Ok(()) } else { Err(invalid("email_address Not a valid email address")) }
}

/// Template, rights and length: what Notify calls a bad request.
pub fn content(
    template: Option<&Template>,
    kind: &str,
    given: &Map<String, Value>,
) -> Result<(Option<String>, String), Refusal> {
    let t = template.ok_or_else(|| bad("Template not found"))?;
    if t.deleted {
        return Err(bad("Template has been deleted"));
    }
    if t.kind != kind {
        return Err(bad(format!("{} template is not suitable for {kind} notification", t.kind)));
    }
    let (subject, body) = t.fill(given)?;
    let length = body.chars().count();
    if kind == "sms" && length > 918 {
        return Err(bad(format!(
            "Text messages cannot be longer than 918 characters. Your message is {length} characters"
        )));
    }
    Ok((subject, body))
}

/// What the simulated networks say in the end, for a test key.
pub fn fate(to: &str) -> &'static str {
    let digits: String = to.chars().filter(char::is_ascii_digit).collect();
    match to {
        "temp-fail@simulator.notify" => "temporary-failure",
        "perm-fail@simulator.notify" => "permanent-failure",
        _ if digits.ends_with("7700900003") => "temporary-failure",
        _ if digits.ends_with("7700900002") => "permanent-failure",
        _ => "delivered",
    }
}

/// Addresses for smoke tests: answered 201, never stored, never reported on.
pub fn is_smoke(to: &str) -> bool {
    let digits: String = to.chars().filter(char::is_ascii_digit).collect();
    let smoke = ["7700900000", "7700900111", "7700900222"];
    let mails = ["simulate-delivered", "simulate-delivered-2", "simulate-delivered-3"];
    smoke.iter().any(|s| digits.ends_with(s))
        || mails.iter().any(|m| to == format!("{m}@notifications.service.gov.uk"))
}
