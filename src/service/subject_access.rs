//! A copy of what a case holds about a living person, for a reviewer.

use super::Service;
use super::error::{ServiceError, invalid};
use crate::auth::policy::{Action, Caller};
use crate::domain::event::Event;
use crate::domain::id::{CaseId, Reference};
use crate::domain::subject_access::{self, Copy, Item, Masked};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeSet;

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
        if is_child && !subject_access::is_recorded(name, &state) {
            return Err(invalid(
                "name",
                "not_living",
                "this is for a living person; the child's record is not copied out here",
            ));
        }
        let (told, named) = self.told_of(opened.id).await?;
        let mut copy = subject_access::copy(name, &state, &told, &named);
        // What a second account holds is held about them too.
        for account in &state.accounts.held {
            let look = self.audit_row(caller, "subject_access", account.case, "second_account");
            self.store.audit_all(vec![look]).await?;
            let Some(loaded) = self.store.load(account.case).await? else { continue };
            let (told, named) = self.told_of(account.case).await?;
            let more = subject_access::copy(name, &loaded.state, &told, &named);
            let place = |p: String| format!("{}: {p}", account.reference);
            copy.items.extend(
                more.items.into_iter().map(|i| Item { place: place(i.place), text: i.text }),
            );
            copy.documents.extend(more.documents);
            copy.masked
                .extend(more.masked.into_iter().map(|m| Masked { place: place(m.place), ..m }));
        }
        Ok(SubjectCopy { reference: reference.to_string(), name: name.to_owned(), copy })
    }

    /// What happened to a case, as pieces that are searched for a name, and who is named in it.
    async fn told_of(
        &self,
        id: CaseId,
    ) -> Result<(Vec<(String, String)>, BTreeSet<String>), ServiceError> {
        let items = self.timeline_of(id).await?.into_iter();
        let place = |at: DateTime<Utc>| format!("What happened, {}", at.format("%-d %B %Y"));
        let told = items.map(|t| (place(t.at), t.text)).collect();
        let events: Vec<Event> =
            self.store.history(id).await?.into_iter().map(|(r, _)| r.event).collect();
        Ok((told, subject_access::names_in(&events)))
    }
}
