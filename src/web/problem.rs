//! Errors of the API as RFC 9457 problem details: what is wrong, in which field, what to do.

use crate::domain::case::Refusal;
use crate::service::ServiceError;
use crate::store::CommitError;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error answer.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: String,
    pub errors: Value,
    pub retry_after: Option<u32>,
}

impl Problem {
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Value::Null, retry_after: None }
    }

    /// One field that cannot be used.
    #[must_use]
    pub fn field(field: &str, code: &'static str, message: impl Into<String>) -> Self {
        crate::service::invalid(field, code, message).into()
    }

    #[must_use]
    pub fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "sign_in_needed",
            "send a valid token: Authorization: Bearer …",
        )
    }

    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no such thing, or it is not yours to see",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("urn:cdr:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if !self.errors.is_null() {
            body["errors"] = self.errors;
        }
        let mut r = Response::new(Body::from(body.to_string()));
        *r.status_mut() = self.status;
        let h = r.headers_mut();
        h.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            h.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(s) = self.retry_after {
            h.insert(header::RETRY_AFTER, HeaderValue::from(s));
        }
        r
    }
}

impl From<ServiceError> for Problem {
    fn from(e: ServiceError) -> Self {
        let said = e.to_string();
        match e {
            ServiceError::NotFound => Self::not_found(),
            ServiceError::Destroyed => Self::new(StatusCode::GONE, "destroyed", said),
            ServiceError::Forbidden => Self::new(StatusCode::FORBIDDEN, "not_allowed", said),
            ServiceError::Invalid(problems) => {
                let fields: Vec<&str> = problems.iter().map(|p| p.field.as_str()).collect();
                let mut p = Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "fields",
                    format!("these fields cannot be used: {}", fields.join(", ")),
                );
                p.errors = serde_json::to_value(problems).unwrap_or_default();
                p
            }
            ServiceError::KeyReused => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", said)
            }
            ServiceError::Refused(Refusal::NoSuchAlert) => Self::not_found(),
            ServiceError::Refused(Refusal::NotReady(blockers)) => {
                let mut p = Self::new(
                    StatusCode::CONFLICT,
                    "not_ready",
                    "the case is not ready for panel; send `despite` with a reason to list it all the same",
                );
                p.errors = serde_json::to_value(blockers).unwrap_or_default();
                p
            }
            ServiceError::Refused(Refusal::ChangedMeanwhile(fields)) => {
                let mut p = Self::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", said);
                let one = |f: &String| json!({ "field": f, "code": "changed_meanwhile", "message": "was changed after the version that you named; read the case again" });
                p.errors = fields.iter().map(one).collect();
                p
            }
            ServiceError::Refused(_) => Self::new(StatusCode::CONFLICT, "refused", said),
            ServiceError::Busy => {
                let mut p = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", said);
                p.retry_after = Some(1);
                p
            }
            ServiceError::Unavailable(why) => {
                let detail = match why {
                    CommitError::Full => {
                        "nothing was stored: the disk of the database is full. Ring the office and try again"
                    }
                    _ => {
                        "the service cannot store anything right now. Repeat with the same Idempotency-Key; if it lasts, ring the office"
                    }
                };
                let mut p = Self::new(StatusCode::SERVICE_UNAVAILABLE, "cannot_store", detail);
                p.retry_after = Some(5);
                p
            }
            ServiceError::Internal(why) => {
                tracing::error!(error = %why, "a request failed");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "something went wrong here; it has been logged",
                )
            }
        }
    }
}
