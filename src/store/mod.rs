//! Everything kept: one door for writes ([`Store::commit`]), plain functions for reads.
//!
//! The same SQL runs on `SQLite` and `PostgreSQL`. What is personal is sealed before it gets here, so
//! that a stolen file tells nobody anything.

mod access;
mod apply;
mod audit;
pub mod backup;
mod budget;
mod cases;
pub mod changes;
mod clock;
mod desk;
mod destroy;
mod directory;
mod documents;
mod drafts;
mod engine;
mod factors;
mod journal;
mod judge;
mod keys;
mod likeness;
mod lines;
mod lists;
mod login;
mod obligations;
mod outbox;
mod panels;
mod people;
mod project;
mod rebuild;
mod receipts;
mod reference;
mod rows;
mod seal;
mod verify;
mod watch;
mod writer;

pub use access::{Found, GlassRow};
pub use audit::{AuditLine, AuditQuery, Somebody};
pub use budget::Budget;
pub use cases::{AlertView, AttemptView};
pub use clock::clock_of;
pub use desk::{DeskRow, ViewRow};
pub use destroy::DestructionRow;
pub use directory::PointRow;
pub use documents::{Arriving, Content};
pub use drafts::DraftRow;
pub use engine::{Pool, Target, refuse_old};
pub use factors::{Factors, OutsideRow, PasskeyRow, TotpRow};
pub use journal::{Loaded, New};
pub use keys::ServiceKey;
pub use likeness::{Kin, PairFilter, PairRow};
pub use lines::{AreaLengths, LineRow, wait_bit};
pub use lists::{CaseFilter, Listed, Mark, Page, Sort, WaitingRow};
pub use login::{Note, SessionLine, SessionRow, TokenRow, UserRow};
pub use obligations::{OpenNumber, OpenRow};
pub use outbox::{Job, OutboxFigures, Replayed};
pub use panels::{ExportCase, ExportRow, PanelLine};
pub use people::{InvitationRow, PersonLine};
pub use rebuild::Rebuilt;
pub use receipts::SentRow;
pub use verify::{Finding, Report};
pub use watch::FindingRow;
pub use writer::{CommitError, Task};

use crate::platform::crypt::{CryptError, Keyring};
use crate::platform::metrics::Metrics;
use changes::ChangeSet;
use std::sync::{Arc, RwLock};
use writer::Writer;

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database did not answer as expected: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("the schema could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error(transparent)]
    Crypt(#[from] CryptError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A stored value that this release cannot read: never guessed at.
    #[error("a stored value cannot be read: {0}")]
    Corrupt(&'static str),
}

impl StoreError {
    /// Whether it failed because the database is away or short of something: the same may go well
    /// when it is tried again.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Sql(e) if judge::is_outage(e))
    }
}

/// The open database.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    pool: Pool,
    writer: Writer,
    keyring: Keyring,
    keys: keys::ServiceKeys,
    references: reference::References,
    /// How long clocks run, by area.
    lengths: RwLock<AreaLengths>,
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// It cannot be reached or migrated, or the master key is not the one it was made with.
    pub async fn open(
        target: Target,
        keyring: Keyring,
        readers: u32,
        writers: u32,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        target.migrate().await?;
        let writer = Writer::start(&target, writers, metrics).await?;
        let pool = target.pool(readers).await?;
        let keys = keys::ServiceKeys::open(&target, &keyring).await?;
        let references = reference::References::new(keys.get(ServiceKey::References).clone());
        let lengths = RwLock::default();
        let inner = Inner { target, pool, writer, keyring, keys, references, lengths };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Commits a change set: all of it, or nothing.
    ///
    /// # Errors
    /// See [`CommitError`]; after `Unavailable` the outcome is not known.
    pub async fn commit(&self, mut set: ChangeSet) -> Result<(), CommitError> {
        for a in &mut set.answers {
            a.answer = self.veiled(&a.answer).map_err(|e| CommitError::Refused(e.to_string()))?;
        }
        self.inner.writer.commit(set).await
    }

    /// Runs one piece of work in a write transaction of its own.
    async fn task(&self, task: Task) -> Result<(), CommitError> {
        self.inner.writer.task(task).await
    }

    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.inner.target.is_sqlite()
    }

    /// # Errors
    /// The database does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let one: i64 = engine::on!(pool self.pool(), |p| sqlx::query_scalar(
            "SELECT CAST(1 AS BIGINT)"
        )
        .fetch_one(p)
        .await?);
        if one == 1 { Ok(()) } else { Err(StoreError::Corrupt("ping")) }
    }

    fn pool(&self) -> &Pool {
        &self.inner.pool
    }
}
