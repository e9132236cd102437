//! Fresh identifiers for rows: UUID version 7, whose beginning is the time.
//!
//! Rows made together then lie together on disk. With wholly random identifiers every row touched a
//! page of its own in every index, and accepting a notification cost four times as much (see
//! docs/decisions/0004). They name things and prove nothing: what proves something (session ids,
//! tokens, links) is wholly random.

use uuid::Uuid;

/// A fresh identifier.
#[must_use]
pub fn id() -> Uuid {
    Uuid::now_v7()
}
