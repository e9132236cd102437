//! Documents come to a case and are withdrawn again.

use super::{CaseState, Refusal};
use crate::domain::document::Document;
use crate::domain::event::{Event, Person};
use uuid::Uuid;

/// A document that has arrived whole.
///
/// # Errors
/// The case's documents together would be larger than `most` bytes.
pub fn add_document(s: &CaseState, d: &Document, most: u64) -> Result<Vec<Event>, Refusal> {
    let held: u64 = s.documents.iter().filter(|d| d.withdrawn.is_none()).map(|d| d.size).sum();
    if held.saturating_add(d.size) > most {
        return Err(Refusal::TooManyDocuments(most / 1024 / 1024));
    }
    Ok(vec![Event::DocumentAdded {
        id: d.id,
        name: d.name.clone(),
        kind: d.kind,
        size: d.size,
        digest: d.digest.clone(),
        by: d.by.clone(),
    }])
}

/// A document's content goes; that it was there stays.
///
/// # Errors
/// There is none such, or it was withdrawn before.
pub fn withdraw_document(
    s: &CaseState,
    id: Uuid,
    reason: String,
    by: Person,
) -> Result<Vec<Event>, Refusal> {
    if !s.documents.iter().any(|d| d.id == id && d.withdrawn.is_none()) {
        return Err(Refusal::NoSuchDocument);
    }
    Ok(vec![Event::DocumentWithdrawn { id, reason, by }])
}
