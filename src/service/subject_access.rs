//! A copy of what a case holds about a living person, for a reviewer.

use super::Service;
use super::error::{ServiceError, invalid};
use crate::auth::policy::{Action, Caller};
use crate::domain::id::Reference;
use crate::domain::subject_access::{self, Copy};
use serde::Serialize;

/// The copy with what it is about.
#[derive(Clone, Debug, Serialize)]
pub struct SubjectCopy {
    pub reference: String,
    pub name: String,
    pub copy: Copy,
}

impl Service {
    /// What a case holds about somebody named in it. The look is recorded first.
    ///
    /// # Errors
    /// Not allowed, not found, no name, or the name of the child who died.
    pub async fn subject_access(
        &self,
        caller: &Caller,
        reference: &Reference,
        name: &str,
    ) -> Result<SubjectCopy, ServiceError> {
        let opened = self.open(caller, reference, Action::SubjectAccess).await?;
        let name = name.trim();
        if name.split_whitespace().count() < 2 {
            return Err(invalid("name", "required", "give the person's first and last name"));
        }
        self.note(caller, "subject_access", Some(&opened)).await?;
        let state = self.store.load(opened.id).await?.ok_or(ServiceError::NotFound)?.state;
        let child = &state.facts.child;
        let own = [&child.given_names, &child.family_name];
        let folded = name.to_lowercase();
        let is_child = own.iter().all(|n| {
            n.as_ref().is_some_and(|n| {
                n.to_lowercase()
                    .split_whitespace()
                    .any(|w| folded.split_whitespace().any(|x| x == w))
            })
        });
        if is_child {
            return Err(invalid(
                "name",
                "not_living",
                "this is for a living person; the child's record is not copied out here",
            ));
        }
        let history: Vec<(String, String)> = self
            .timeline_of(opened.id)
            .await?
            .into_iter()
            .map(|t| (format!("What happened, {}", t.at.format("%-d %B %Y")), t.text))
            .collect();
        let copy = subject_access::copy(name, &state, &history);
        Ok(SubjectCopy { reference: reference.to_string(), name: name.to_owned(), copy })
    }
}
