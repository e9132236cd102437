//! The two engines behind one SQL text.
//!
//! Each statement is written once in the common subset; `on!` runs the same expression on either
//! engine's own types, so rows keep native types on both sides.

use secrecy::SecretString;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, PgConnection, Postgres, Sqlite, SqliteConnection};
use std::str::FromStr;
use std::time::Duration;

/// Read connections of either engine.
#[derive(Clone, Debug)]
pub enum Pool {
    Sqlite(SqlitePool),
    Pg(PgPool),
}

/// The one connection of a writer.
#[allow(clippy::large_enum_variant)] // a handful exist
pub enum Conn {
    Sqlite(SqliteConnection),
    Pg(PgConnection),
}

/// A connection borrowed for reading row by row.
pub enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Pg(PoolConnection<Postgres>),
}

/// Runs one expression on whichever engine it is; `$c` is an executor of that engine.
macro_rules! on {
    (pool $db:expr, |$c:ident| $body:expr) => {
        match $db {
            $crate::store::engine::Pool::Sqlite($c) => $body,
            $crate::store::engine::Pool::Pg($c) => $body,
        }
    };
    (conn $db:expr, |$c:ident| $body:expr) => {
        match $db {
            $crate::store::engine::Conn::Sqlite(c) => {
                let $c = &mut *c;
                $body
            }
            $crate::store::engine::Conn::Pg(c) => {
                let $c = &mut *c;
                $body
            }
        }
    };
    (reader $db:expr, |$c:ident| $body:expr) => {
        match $db {
            $crate::store::engine::Reader::Sqlite(c) => {
                let $c = &mut **c;
                $body
            }
            $crate::store::engine::Reader::Pg(c) => {
                let $c = &mut **c;
                $body
            }
        }
    };
}
pub(crate) use on;

/// Where the data is.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists
pub enum Target {
    Sqlite(SqliteConnectOptions),
    /// With the password, which the backup tools need and the options do not give back.
    Pg(Box<PgConnectOptions>, Option<SecretString>),
}

/// The lowest `SQLite` without the WAL-reset bug.
const SQLITE_AT_LEAST: (u32, u32, u32) = (3, 51, 3);

impl Target {
    /// Reads a database URL.
    ///
    /// # Errors
    /// Neither `sqlite://` nor `postgres://`, or not a URL of that kind.
    pub fn parse(url: &str) -> Result<Self, sqlx::Error> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            let options = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(10))
                .statement_cache_capacity(256)
                .disable_statement_logging();
            return Ok(Self::Sqlite(options));
        }
        let options = PgConnectOptions::from_str(url)?
            .application_name("cdr")
            .statement_cache_capacity(256)
            .disable_statement_logging();
        let password = reqwest::Url::parse(url).ok().and_then(|u| u.password().map(str::to_owned));
        Ok(Self::Pg(Box::new(options), password.map(SecretString::from)))
    }

    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// The file of a `SQLite` database.
    #[must_use]
    pub fn sqlite_path(&self) -> Option<&std::path::Path> {
        match self {
            Self::Sqlite(o) => Some(o.get_filename()),
            Self::Pg(..) => None,
        }
    }

    /// A writer's connection.
    ///
    /// # Errors
    /// The database cannot be reached, or `SQLite` is too old to be trusted with it.
    pub async fn connect(&self) -> Result<Conn, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(o) => {
                // The writer checkpoints by itself, after its replies (see `Worker::checkpoint`).
                // Undo notes of statements of many rows stay in memory, not in temporary files.
                let o = o
                    .clone()
                    .pragma("wal_autocheckpoint", "0")
                    .pragma("cache_size", "-32768")
                    .pragma("temp_store", "MEMORY");
                let mut c = SqliteConnection::connect_with(&o).await?;
                let version: String =
                    sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut c).await?;
                refuse_old(&version)?;
                Conn::Sqlite(c)
            }
            Self::Pg(o, _) => {
                let mut c = PgConnection::connect_with(o.as_ref()).await?;
                // A node that freezes in a transaction must not freeze the others.
                for sql in [
                    "SET synchronous_commit = on",
                    "SET lock_timeout = '5s'",
                    "SET statement_timeout = '30s'",
                    "SET idle_in_transaction_session_timeout = '10s'",
                ] {
                    sqlx::query(sql).execute(&mut c).await?;
                }
                Conn::Pg(c)
            }
        })
    }

    /// Connections for reading.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn pool(&self, size: u32) -> Result<Pool, sqlx::Error> {
        let wait = Duration::from_secs(10);
        Ok(match self {
            Self::Sqlite(o) => {
                let o = o.clone().read_only(false).pragma("query_only", "ON");
                Pool::Sqlite(
                    SqlitePoolOptions::new()
                        .max_connections(size.max(1))
                        .acquire_timeout(wait)
                        .connect_with(o)
                        .await?,
                )
            }
            Self::Pg(o, _) => Pool::Pg(
                PgPoolOptions::new()
                    .max_connections(size.max(2))
                    .acquire_timeout(wait)
                    .connect_with(o.as_ref().clone())
                    .await?,
            ),
        })
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// A migration failed, or the database was made by a newer release.
    pub async fn migrate(&self) -> Result<(), sqlx::migrate::MigrateError> {
        match self.connect().await.map_err(sqlx::migrate::MigrateError::Execute)? {
            Conn::Sqlite(mut c) => sqlx::migrate!("migrations/sqlite").run(&mut c).await,
            Conn::Pg(mut c) => sqlx::migrate!("migrations/postgres").run(&mut c).await,
        }
    }
}

/// Refuses a `SQLite` that may lose committed pages when a checkpoint and a reset of the log meet.
///
/// # Errors
/// The version is below 3.51.3 or cannot be read.
pub fn refuse_old(version: &str) -> Result<(), sqlx::Error> {
    let mut n = version.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    let found = (n.next().unwrap_or(0), n.next().unwrap_or(0), n.next().unwrap_or(0));
    if found < SQLITE_AT_LEAST {
        return Err(sqlx::Error::Configuration(
            format!("SQLite {version} has a bug that can lose data; 3.51.3 or later is needed")
                .into(),
        ));
    }
    Ok(())
}

impl Conn {
    /// Runs a statement without parameters.
    ///
    /// # Errors
    /// Whatever the engine says.
    pub async fn run(&mut self, sql: &'static str) -> Result<u64, sqlx::Error> {
        on!(conn self, |c| sqlx::query(sql).execute(c).await.map(|r| r.rows_affected()))
    }

    /// Opens a write transaction. `SQLite` takes its write lock at once: an upgrade later would fail
    /// without waiting.
    ///
    /// # Errors
    /// The lock could not be had in time.
    pub async fn begin(&mut self) -> Result<(), sqlx::Error> {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Pg(_) => "BEGIN",
        };
        self.run(sql).await.map(drop)
    }

    /// # Errors
    /// Nothing was made durable, or (connection lost) it is not known.
    pub async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.run("COMMIT").await.map(drop)
    }

    /// Undoes the open transaction. A failure is left to the next statement to report.
    pub async fn rollback(&mut self) {
        let _ = self.run("ROLLBACK").await;
    }

    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}

impl Pool {
    /// One connection, for reading many rows in one go.
    ///
    /// # Errors
    /// None came free in time.
    pub async fn reader(&self) -> Result<Reader, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(p) => Reader::Sqlite(p.acquire().await?),
            Self::Pg(p) => Reader::Pg(p.acquire().await?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::refuse_old;

    #[test]
    fn an_old_sqlite_is_refused() {
        for old in ["3.46.0", "3.51.2", "", "2.9.9"] {
            assert!(refuse_old(old).is_err(), "{old}");
        }
        for good in ["3.51.3", "3.52.0", "4.0.0"] {
            assert!(refuse_old(good).is_ok(), "{good}");
        }
    }
}
