//! Reading requests: who calls, JSON that is almost JSON.

pub use super::body::bytes;

use super::Web;
use super::problem::Problem;
use crate::auth::policy::Caller;
use crate::domain::intake::{repair::repaired, strict};
use crate::service::{Idempotency, ServiceError};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use std::collections::HashMap;

/// The caller behind a bearer token.
pub async fn bearer(web: &Web, headers: &HeaderMap) -> Result<Caller, Problem> {
    let Some(token) = token(headers) else { return Err(Problem::unauthorised()) };
    let caller = web.tokens.caller(&web.service.store, token).await.map_err(ServiceError::from)?;
    caller.ok_or_else(Problem::unauthorised)
}

/// The token that a request brings, good or not.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A JSON body.
pub fn json(body: &[u8]) -> Result<Value, Problem> {
    let (value, twice) = strict::parse(&repaired(body)).map_err(|e| {
        // The position only: the parser's words may repeat the text.
        let why = match e.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            _ if e.to_string().starts_with("recursion limit") => "it is nested too deeply",
            _ => "it is not valid JSON",
        };
        Problem::new(
            StatusCode::BAD_REQUEST,
            "not_json",
            format!("the body cannot be read: {why} (line {}, column {})", e.line(), e.column()),
        )
    })?;
    match twice.first() {
        None => Ok(value),
        // A name that looks like a field is shown; anything else may be somebody's text.
        Some(path) => {
            let plain = path.len() < 80
                && path
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.[]".contains(c));
            let name = if plain { path.as_str() } else { "(a field)" };
            Err(Problem::field(name, "appears_twice", "appears twice; send it once"))
        }
    }
}

/// The `Idempotency-Key` of a request, if it has one.
pub fn idempotency(headers: &HeaderMap, body: &[u8]) -> Result<Option<Idempotency>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or("").trim();
    if key.is_empty() || key.len() > 255 {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "idempotency_key",
            "Idempotency-Key must be 1 to 255 plain characters",
        ));
    }
    Ok(Some(Idempotency { key: key.to_owned(), body: body.to_vec() }))
}

/// Query parameters; of several of one name, the last.
pub fn query(raw: Option<&str>) -> HashMap<String, String> {
    form_urlencoded::parse(raw.unwrap_or("").as_bytes())
        .map(|(k, v)| (k.into_owned(), v.into_owned()))
        .collect()
}
