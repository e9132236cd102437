//! Why a wish was not carried out, for callers.

use crate::domain::case::Refusal;
use crate::domain::intake::Problem;
use crate::store::{CommitError, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Not there, or not the caller's to know of: the same answer.
    #[error("there is no such thing, or it is not yours to see")]
    NotFound,
    /// Its key was destroyed when its time was over.
    #[error("this case was destroyed when the time for which it was kept was over")]
    Destroyed,
    #[error("this is not allowed with this sign-in")]
    Forbidden,
    #[error("some fields cannot be used")]
    Invalid(Vec<Problem>),
    #[error("{0}")]
    Refused(Refusal),
    /// The same idempotency key came before with another body.
    #[error("this Idempotency-Key was used before with another body")]
    KeyReused,
    /// Somebody else kept changing it.
    #[error("somebody else is changing this; try again")]
    Busy,
    #[error("the service cannot store anything right now")]
    Unavailable(#[source] CommitError),
    #[error("something went wrong here")]
    Internal(#[source] StoreError),
}

impl From<Refusal> for ServiceError {
    fn from(r: Refusal) -> Self {
        match r {
            Refusal::Facts(problems) => Self::Invalid(problems),
            other => Self::Refused(other),
        }
    }
}

impl From<StoreError> for ServiceError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Commit(c) => c.into(),
            StoreError::Crypt(crate::platform::crypt::CryptError::Destroyed) => Self::Destroyed,
            e if e.is_outage() => Self::Unavailable(CommitError::Unavailable),
            other => Self::Internal(other),
        }
    }
}

impl From<CommitError> for ServiceError {
    fn from(e: CommitError) -> Self {
        match e {
            CommitError::Conflict => Self::Busy,
            CommitError::Refused(m) => Self::Internal(StoreError::Commit(CommitError::Refused(m))),
            out => Self::Unavailable(out),
        }
    }
}

/// One wrong field.
#[must_use]
pub fn invalid(field: &str, code: &'static str, message: impl Into<String>) -> ServiceError {
    ServiceError::Invalid(vec![Problem { field: field.to_owned(), code, message: message.into() }])
}
