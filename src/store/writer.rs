//! The writer: whatever waits while one commit runs shares the next. No timer, so a lone change
//! never waits; under load hundreds share one flush to disk.

use super::apply::{Fault, apply};
use super::changes::ChangeSet;
use super::engine::{Conn, Target};
use super::judge;
use crate::platform::failpoint::{Point, reach};
use crate::platform::metrics::Metrics;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};

/// At most this many changes share a commit.
const MOST: usize = 256;

/// How often a batch is tried again after meeting another writer.
const CROSSINGS: usize = 3;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Read again and decide again.
    #[error("somebody else changed this meanwhile")]
    Conflict,
    #[error("the disk of the database is full")]
    Full,
    /// Possibly made, possibly not: repeat with the same idempotency key.
    #[error("the database cannot be reached")]
    Unavailable,
    #[error("the database refused: {0}")]
    Refused(String),
}

/// Why one try came to nothing.
enum Failed {
    /// Undone whole, because another writer held what this one needed and the other way round.
    Crossed,
    Not(CommitError),
}

/// A piece of work inside one write transaction of its own.
pub type Task =
    Box<dyn for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<(), sqlx::Error>> + Send>;

pub(super) enum Write {
    Commit(Box<ChangeSet>, oneshot::Sender<Result<(), CommitError>>),
    Task(Task, oneshot::Sender<Result<(), CommitError>>),
}

/// Hands changes to the writers.
#[derive(Clone)]
pub(super) struct Writer {
    tx: mpsc::Sender<Write>,
}

impl Writer {
    /// Starts `count` writers (`SQLite`: always one) that take from one queue.
    pub(super) async fn start(
        target: &Target,
        count: u32,
        metrics: Arc<Metrics>,
    ) -> Result<Self, sqlx::Error> {
        let (tx, rx) = mpsc::channel(4096);
        let rx = Arc::new(Mutex::new(rx));
        let count = if target.is_sqlite() { 1 } else { count.max(1) };
        for _ in 0..count {
            let conn = target.connect().await?;
            let worker = Worker {
                target: target.clone(),
                conn: Some(conn),
                metrics: metrics.clone(),
                rows_since_checkpoint: 0,
            };
            let run = tokio::spawn(worker.run(rx.clone()));
            tokio::spawn(async move {
                // Half a service must not look like a whole one: without its writer it stops.
                if run.await.is_err_and(|e| e.is_panic()) {
                    tracing::error!("a writer died; stopping");
                    std::process::exit(70);
                }
            });
        }
        Ok(Self { tx })
    }

    pub(super) async fn commit(&self, set: ChangeSet) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.send(Write::Commit(Box::new(set), reply), answer).await
    }

    pub(super) async fn task(&self, task: Task) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.send(Write::Task(task, reply), answer).await
    }

    async fn send(
        &self,
        write: Write,
        answer: oneshot::Receiver<Result<(), CommitError>>,
    ) -> Result<(), CommitError> {
        self.tx.send(write).await.map_err(|_| CommitError::Unavailable)?;
        answer.await.unwrap_or(Err(CommitError::Unavailable))
    }
}

/// How long a connection or a transaction may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(40);

/// A server that died without a word answers nothing, for ever.
async fn in_time(work: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    let lost = || Fault::Sql(sqlx::Error::PoolTimedOut);
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(lost()))
}

struct Worker {
    target: Target,
    conn: Option<Conn>,
    metrics: Arc<Metrics>,
    rows_since_checkpoint: usize,
}

impl Worker {
    async fn run(mut self, rx: Arc<Mutex<mpsc::Receiver<Write>>>) {
        loop {
            let mut waiting = Vec::new();
            let mut task = None;
            {
                let mut rx = rx.lock().await;
                let Some(mut next) = rx.recv().await else { return };
                loop {
                    match next {
                        Write::Commit(set, reply) => waiting.push((*set, reply)),
                        Write::Task(t, reply) => {
                            task = Some((t, reply));
                            break;
                        }
                    }
                    if waiting.len() >= MOST {
                        break;
                    }
                    match rx.try_recv() {
                        Ok(more) => next = more,
                        Err(_) => break,
                    }
                }
            }
            if !waiting.is_empty() {
                self.commit_all(waiting).await;
            }
            if let Some((task, reply)) = task {
                let _ = reply.send(self.run_task(task).await);
            }
            self.checkpoint().await;
        }
    }

    /// All together if possible; one by one if any of them stands in the way, so that one bad
    /// change never fails another.
    async fn commit_all(
        &mut self,
        waiting: Vec<(ChangeSet, oneshot::Sender<Result<(), CommitError>>)>,
    ) {
        #[allow(clippy::cast_precision_loss)] // at most 256
        self.metrics.commit_size.observe(waiting.len() as f64);
        let (sets, replies): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        self.rows_since_checkpoint += sets.iter().map(ChangeSet::rows).sum::<usize>();
        match self.settled(&sets).await {
            Ok(()) => {
                for r in replies {
                    let _ = r.send(Ok(()));
                }
            }
            Err(CommitError::Conflict | CommitError::Refused(_)) if sets.len() > 1 => {
                for (set, reply) in sets.into_iter().zip(replies) {
                    let _ = reply.send(self.settled(std::slice::from_ref(&set)).await);
                }
            }
            Err(e) => {
                for r in replies {
                    let _ = r.send(Err(again(&e)));
                }
            }
        }
    }

    /// Tries again what the database undid only because two writers were in each other's way: the
    /// changes themselves are sound, and a caller should hear of a conflict only when there is one.
    async fn settled(&mut self, sets: &[ChangeSet]) -> Result<(), CommitError> {
        for _ in 0..CROSSINGS {
            match self.try_commit(sets).await {
                Err(Failed::Crossed) => {}
                Err(Failed::Not(e)) => return Err(e),
                Ok(()) => return Ok(()),
            }
        }
        match self.try_commit(sets).await {
            Err(Failed::Crossed) => Err(CommitError::Conflict),
            Err(Failed::Not(e)) => Err(e),
            Ok(()) => Ok(()),
        }
    }

    async fn try_commit(&mut self, sets: &[ChangeSet]) -> Result<(), Failed> {
        reach(Point::BeforeBegin);
        let conn = self.connected().await.map_err(Failed::Not)?;
        let done = in_time(async {
            conn.begin().await?;
            apply(conn, sets).await?;
            reach(Point::BeforeCommit);
            conn.commit().await?;
            Ok::<(), Fault>(())
        })
        .await;
        reach(Point::AfterCommit);
        match done {
            Ok(()) => Ok(()),
            Err(fault) => {
                let crossed = matches!(&fault, Fault::Sql(e) if judge::crossed(e));
                let error = self.failed(fault).await;
                Err(if crossed { Failed::Crossed } else { Failed::Not(error) })
            }
        }
    }

    async fn run_task(&mut self, task: Task) -> Result<(), CommitError> {
        // Claims and the like touch up to some hundred rows.
        self.rows_since_checkpoint += 100;
        let conn = self.connected().await?;
        let done = in_time(async {
            conn.begin().await?;
            task(conn).await?;
            conn.commit().await?;
            Ok::<(), Fault>(())
        })
        .await;
        match done {
            Ok(()) => Ok(()),
            Err(fault) => Err(self.failed(fault).await),
        }
    }

    async fn connected(&mut self) -> Result<&mut Conn, CommitError> {
        if self.conn.is_none() {
            match tokio::time::timeout(PATIENCE, self.target.connect()).await {
                Ok(Ok(c)) => self.conn = Some(c),
                Ok(Err(e)) => {
                    tracing::warn!(error = %e, "cannot reconnect to the database");
                    return Err(CommitError::Unavailable);
                }
                Err(_) => {
                    tracing::warn!("the database does not answer");
                    return Err(CommitError::Unavailable);
                }
            }
        }
        self.conn.as_mut().ok_or(CommitError::Unavailable)
    }

    /// Undoes what was begun and says why in the caller's terms.
    async fn failed(&mut self, fault: Fault) -> CommitError {
        let error = match &fault {
            Fault::Conflict => CommitError::Conflict,
            Fault::Sql(e) => judge::of_write(e),
        };
        if matches!(error, CommitError::Unavailable) {
            // What became of the transaction is not known; a fresh connection knows.
            self.conn = None;
        } else if let Some(conn) = &mut self.conn {
            conn.rollback().await;
        }
        if let Fault::Sql(e) = &fault {
            tracing::warn!(error = %e, "a change was not committed");
        }
        error
    }

    /// Moves the write-ahead log into the database in small steps from the writer itself, never
    /// from a second connection, and never as one long pause.
    async fn checkpoint(&mut self) {
        const EVERY: usize = 8_000;
        if self.rows_since_checkpoint < EVERY {
            return;
        }
        self.rows_since_checkpoint = 0;
        if let Some(Conn::Sqlite(c)) = &mut self.conn {
            let done = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(c).await;
            if let Err(e) = done {
                tracing::warn!(error = %e, "checkpoint");
            }
        }
    }
}

fn again(e: &CommitError) -> CommitError {
    match e {
        CommitError::Conflict => CommitError::Conflict,
        CommitError::Full => CommitError::Full,
        CommitError::Unavailable => CommitError::Unavailable,
        CommitError::Refused(m) => CommitError::Refused(m.clone()),
    }
}
