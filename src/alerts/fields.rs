//! Reading the JSON of call-backs by name, with complaints that never repeat what was sent.

use serde_json::{Map, Value};

/// Why a call-back cannot be read. Names the field, never its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("the body is not a JSON object")]
    NotAnObject,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} must be {1}")]
    Wrong(&'static str, &'static str),
}

/// # Errors
/// The body is not a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, EventError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(o)) => Ok(o),
        _ => Err(EventError::NotAnObject),
    }
}

/// # Errors
/// The field is missing or not a text.
pub(super) fn need<'a>(
    o: &'a Map<String, Value>,
    name: &'static str,
) -> Result<&'a str, EventError> {
    text(o, name)?.ok_or(EventError::Missing(name))
}

/// # Errors
/// The field is there and not a text.
pub(super) fn text<'a>(
    o: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, EventError> {
    match o.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => Ok(Some(s)),
        Some(_) => Err(EventError::Wrong(name, "a text")),
    }
}
