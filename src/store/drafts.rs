//! Drafts of notifications: sealed, each under a key of its own, found by the digest of a code.

use super::engine::on;
use super::keys::ServiceKey;
use super::{CommitError, Store, StoreError};
use crate::domain::draft::Draft;
use crate::platform::crypt::{CryptError, Key};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Begins a text that was veiled.
const VEIL: &str = "veiled:";

/// A draft as stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DraftRow {
    pub id: Uuid,
    pub code: Vec<u8>,
    pub area: String,
    pub step: String,
    pub version: i64,
    pub started_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
    pub case_id: Option<Uuid>,
    pub sealed: Vec<u8>,
}

const COLUMNS_BY_CODE: &str = "SELECT id, code, area, step, version, started_at, changed_at, expires_at, sent_at, case_id, sealed FROM draft WHERE code = $1 AND expires_at > $2";

impl Store {
    /// The digest that a code is found by.
    #[must_use]
    pub fn draft_digest(&self, code: &str) -> Vec<u8> {
        self.service_key(ServiceKey::Drafts).mac(format!("code\0{code}").as_bytes()).to_vec()
    }

    /// Thirty-two bytes that belong to a form's key: the same key is the same draft.
    #[must_use]
    pub fn draft_bytes(&self, what: &str, form: &str) -> [u8; 32] {
        self.service_key(ServiceKey::Drafts).mac(format!("{what}\0{form}").as_bytes())
    }

    fn draft_key(&self, id: Uuid) -> Result<Key, CryptError> {
        Key::from_bytes(&self.draft_bytes("key", &id.to_string()))
    }

    /// # Errors
    /// Sealing failed.
    pub fn seal_draft(&self, id: Uuid, d: &Draft) -> Result<Vec<u8>, StoreError> {
        let plain = serde_json::to_vec(d).map_err(|_| StoreError::Corrupt("draft to store"))?;
        Ok(self.draft_key(id)?.seal(&aad(id), &plain)?)
    }

    /// # Errors
    /// It cannot be opened or read.
    pub fn open_draft(&self, row: &DraftRow) -> Result<Draft, StoreError> {
        let plain = self.draft_key(row.id)?.open(&aad(row.id), &row.sealed)?;
        serde_json::from_slice(&plain).map_err(|_| StoreError::Corrupt("draft"))
    }

    /// Adds a draft; false if it is there already.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn add_draft(&self, d: DraftRow) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO draft (id, code, area, step, version, started_at, changed_at, expires_at, sealed, sent_at, case_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let done = self
            .task(Box::new(move |conn| {
                Box::pin(async move {
                    on!(conn conn, |c| sqlx::query(SQL).bind(d.id).bind(&d.code).bind(&d.area).bind(&d.step).bind(d.version).bind(d.started_at).bind(d.changed_at).bind(d.expires_at).bind(&d.sealed).bind(d.sent_at).bind(d.case_id).execute(c).await?.rows_affected());
                    Ok(())
                })
            }))
            .await;
        match done {
            Ok(()) => Ok(true),
            Err(CommitError::Conflict) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// The draft with this code, unless it has run out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn draft(
        &self,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<DraftRow>, StoreError> {
        let digest = self.draft_digest(code);
        Ok(on!(pool self.pool(), |p| sqlx::query_as(COLUMNS_BY_CODE)
            .bind(digest)
            .bind(now)
            .fetch_optional(p)
            .await?))
    }

    /// Stores the next version of a draft; false if somebody else was quicker. `sent` says whether
    /// it must have been sent already: what is typed never meets a notification on its way.
    ///
    /// # Errors
    /// The change was not committed.
    pub async fn change_draft(&self, d: DraftRow, sent: bool) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE draft SET version = $2, step = $3, changed_at = $4, sealed = $5 WHERE id = $1 AND version = $2 - 1 AND (sent_at IS NOT NULL) = $6";
        let (tx, rx) = oneshot::channel();
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                let n = on!(conn conn, |c| sqlx::query(SQL).bind(d.id).bind(d.version).bind(&d.step).bind(d.changed_at).bind(&d.sealed).bind(sent).execute(c).await?.rows_affected());
                let _ = tx.send(n == 1);
                Ok(())
            })
        }))
        .await?;
        rx.await.map_err(|_| StoreError::Corrupt("change_draft"))
    }

    /// Drafts begun before `before` and not sent, oldest first; 500 at most.
    ///
    /// # Errors
    /// The database failed.
    pub async fn waiting_drafts(
        &self,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<DraftRow>, StoreError> {
        const SQL: &str = "SELECT id, code, area, step, version, started_at, changed_at, expires_at, sent_at, case_id, sealed FROM draft WHERE sent_at IS NULL AND started_at < $1 AND expires_at > $2 ORDER BY started_at LIMIT 500";
        Ok(
            on!(pool self.pool(), |p| sqlx::query_as(SQL).bind(before).bind(now).fetch_all(p).await?),
        )
    }

    /// A text that must wait in the outbox without being readable there.
    ///
    /// # Errors
    /// Sealing failed.
    pub fn veiled(&self, text: &str) -> Result<String, StoreError> {
        let key = self.service_key(ServiceKey::Drafts);
        Ok(format!("{VEIL}{}", STANDARD_NO_PAD.encode(key.seal(b"veil", text.as_bytes())?)))
    }

    /// A text as it was before it was veiled; any other text as it is.
    #[must_use]
    pub fn unveiled(&self, text: String) -> String {
        let plain = text.strip_prefix(VEIL).and_then(|v| {
            let sealed = STANDARD_NO_PAD.decode(v).ok()?;
            let plain = self.service_key(ServiceKey::Drafts).open(b"veil", &sealed).ok()?;
            String::from_utf8(plain).ok()
        });
        plain.unwrap_or(text)
    }
}

fn aad(id: Uuid) -> Vec<u8> {
    format!("draft/{id}").into_bytes()
}
