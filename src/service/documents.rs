//! Documents of a case: taken in part by part, kept whole or not at all, given out with an audit
//! line, withdrawn.

use super::Service;
use super::change::signed_in;
use super::error::{ServiceError, invalid};
use crate::auth::policy::{Action, Caller};
use crate::domain::case::{self, CaseState, Refusal};
use crate::domain::document::{Document, DocumentKind, HEAD, shown_name};
use crate::domain::id::{CaseId, Reference};
use crate::platform::crypt::{Hasher, hex};
use crate::store::{Arriving, Content};
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Bytes sealed at once.
const PART: usize = 256 * 1024;

/// How large documents may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct DocumentLimits {
    pub file: u64,
    pub case: u64,
}

/// A document that a second account brought.
#[derive(Clone, Debug)]
pub struct Kept {
    pub case: CaseId,
    pub reference: String,
    pub document: Document,
}

/// A document on its way in.
pub struct Upload {
    arriving: Arriving,
    case: CaseId,
    name: String,
    kind: DocumentKind,
    size: u64,
    digest: Hasher,
    waiting: Vec<u8>,
    looked_at: bool,
}

impl Service {
    /// Begins to take a document in.
    ///
    /// # Errors
    /// Not found, not allowed, no name, or a kind that is not taken.
    pub async fn begin_upload(
        &self,
        caller: &Caller,
        reference: &Reference,
        given: &str,
    ) -> Result<Upload, ServiceError> {
        let case = self.find(caller, reference, Action::ChangeCase).await?;
        let name = shown_name(given);
        if name.is_empty() {
            return Err(invalid("file", "required", "Choose a file"));
        }
        let kind = DocumentKind::of_name(&name).ok_or_else(|| wrong_kind(""))?;
        let arriving = self.store.begin_document(case, self.now()).await?;
        Ok(Upload {
            arriving,
            case,
            name,
            kind,
            size: 0,
            digest: Hasher::default(),
            waiting: Vec::new(),
            looked_at: false,
        })
    }

    /// Takes more of it.
    ///
    /// # Errors
    /// Too large, not what its name says, or not storable.
    pub async fn upload_more(&self, u: &mut Upload, bytes: &[u8]) -> Result<(), ServiceError> {
        u.size += bytes.len() as u64;
        if u.size > self.documents.file {
            let most = self.documents.file / 1024 / 1024;
            return Err(invalid(
                "file",
                "too_large",
                format!("The file is larger than {most} MiB"),
            ));
        }
        if !u.kind.goes_on(bytes) {
            return Err(wrong_kind(&u.name));
        }
        u.digest.update(bytes);
        u.waiting.extend_from_slice(bytes);
        while u.waiting.len() >= PART {
            let rest = u.waiting.split_off(PART);
            let part = std::mem::replace(&mut u.waiting, rest);
            self.part(u, &part).await?;
        }
        Ok(())
    }

    async fn part(&self, u: &mut Upload, part: &[u8]) -> Result<(), ServiceError> {
        if !u.looked_at {
            u.looked_at = true;
            if !u.kind.begins(&part[..part.len().min(HEAD)]) {
                return Err(wrong_kind(&u.name));
            }
        }
        Ok(self.store.add_part(&mut u.arriving, part).await?)
    }

    /// It has arrived whole: from now on it is there.
    ///
    /// # Errors
    /// It is empty, not what its name says, the case's documents are too many, or not storable.
    pub async fn finish_upload(&self, caller: &Caller, u: &mut Upload) -> Result<(), ServiceError> {
        if u.size == 0 {
            return Err(invalid("file", "empty", "The file is empty"));
        }
        let last = std::mem::take(&mut u.waiting);
        if !last.is_empty() {
            self.part(u, &last).await?;
        }
        let document = Document {
            id: u.arriving.id,
            name: u.name.clone(),
            kind: u.kind,
            size: u.size,
            digest: hex(&std::mem::take(&mut u.digest).finish()),
            at: self.now(),
            by: signed_in(caller),
            withdrawn: None,
        };
        let most = self.documents.case;
        let none = BTreeSet::new();
        let add =
            |s: &case::CaseState, _: &mut case::Context<'_>| case::add_document(s, &document, most);
        self.decide(caller, u.case, None, &none, add, |_| Value::Null).await?;
        Ok(())
    }

    /// It did not arrive whole, or was not wanted: nothing of it is kept.
    pub async fn drop_upload(&self, u: Upload) {
        if let Err(e) = self.store.drop_document(u.arriving.id).await {
            tracing::warn!(error = %e, "a broken upload is left to the sweep");
        }
    }

    /// A document's content, to be given out; the look is recorded first.
    ///
    /// # Errors
    /// Not found, withdrawn, or the database is away.
    pub async fn open_document(
        &self,
        caller: &Caller,
        reference: &Reference,
        id: Uuid,
    ) -> Result<(Document, Content), ServiceError> {
        let opened = self.open(caller, reference, Action::ReadCase).await?;
        let state = self.store.load(opened.id).await?.ok_or(ServiceError::NotFound)?.state;
        let there = |d: &Document| d.id == id && d.withdrawn.is_none();
        let own = state.documents.iter().find(|d| there(d)).cloned();
        let (keeper, d) = if let Some(d) = own {
            (opened.id, d)
        } else {
            let mut with_accounts = self.account_documents(&state).await?.into_iter();
            let found = with_accounts.find(|k| there(&k.document));
            found.map(|k| (k.case, k.document)).ok_or(ServiceError::NotFound)?
        };
        self.note(caller, "read_document", Some(&opened)).await?;
        if keeper != opened.id {
            let look = self.audit_row(caller, "read_document", keeper, "second_account");
            self.store.audit_all(vec![look]).await?;
        }
        let content = self.store.document(keeper, id).await?.ok_or(ServiceError::NotFound)?;
        Ok((d, content))
    }

    /// Documents that came with second accounts of a case: they stay in the accounts' own streams.
    ///
    /// # Errors
    /// The database is away.
    pub async fn account_documents(&self, s: &CaseState) -> Result<Vec<Kept>, ServiceError> {
        let mut out = Vec::new();
        for a in &s.accounts.held {
            let Some(loaded) = self.store.load(a.case).await? else { continue };
            out.extend(loaded.state.documents.into_iter().map(|document| Kept {
                case: a.case,
                reference: a.reference.to_string(),
                document,
            }));
        }
        Ok(out)
    }

    /// Withdraws a document: its content is gone at once, the line stays.
    ///
    /// # Errors
    /// Not found, not allowed, no reason, or not storable.
    pub async fn withdraw_document(
        &self,
        caller: &Caller,
        reference: &Reference,
        id: Uuid,
        reason: &str,
    ) -> Result<(), ServiceError> {
        let case_id = self.find(caller, reference, Action::ChangeCase).await?;
        if reason.trim().is_empty() {
            return Err(invalid("reason", "required", "Say why it is withdrawn"));
        }
        super::answer::short("reason", reason, 2000)?;
        let by = signed_in(caller);
        let withdraw = |s: &case::CaseState, _: &mut case::Context<'_>| {
            case::withdraw_document(s, id, reason.to_owned(), by.clone())
        };
        let none = BTreeSet::new();
        match self.decide(caller, case_id, None, &none, withdraw, |_| Value::Null).await {
            Err(ServiceError::Refused(Refusal::NoSuchDocument)) => Err(ServiceError::NotFound),
            Err(e) => Err(e),
            Ok(_) => Ok(()),
        }
    }
}

fn wrong_kind(name: &str) -> ServiceError {
    let why = if name.is_empty() {
        "This kind of file is not taken: choose a PDF, a picture (PNG, JPEG), a Word or OpenDocument text, or plain text"
    } else {
        "The content of the file is not what its name says"
    };
    invalid("file", "wrong_kind", why)
}
