//! Backups of a running service. Everything personal in them is sealed, and the master key is not
//! in them. A restored copy is mute until it is told to send.

use super::engine::{Conn, Target};
use super::{Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;
use tokio::process::Command;

/// Name of the setting that keeps a copy from sending.
pub const SENDING: &str = "sending";
/// Its value in a restored copy.
pub const HELD: &str = "held";

/// Why a backup or restore did not happen.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    File(String),
    #[error("{tool} failed: {said}")]
    Tool { tool: &'static str, said: String },
}

impl From<sqlx::Error> for BackupError {
    fn from(e: sqlx::Error) -> Self {
        Self::Store(e.into())
    }
}

/// Writes a consistent copy to `out`, which must not exist, while the service runs.
///
/// # Errors
/// The file exists, the database cannot be read, or the disk is full.
pub async fn backup(target: &Target, out: &Path) -> Result<(), BackupError> {
    if out.exists() {
        return Err(BackupError::File(format!("{} exists already", out.display())));
    }
    match target {
        Target::Sqlite(_) => {
            let Conn::Sqlite(mut c) = target.connect().await? else {
                return Err(BackupError::File("not a SQLite database".to_owned()));
            };
            let part = out.with_extension("part");
            let _ = std::fs::remove_file(&part);
            sqlx::query("VACUUM INTO $1").bind(part.display().to_string()).execute(&mut c).await?;
            std::fs::File::open(&part)
                .and_then(|f| f.sync_all())
                .and_then(|()| std::fs::rename(&part, out))
                .map_err(|e| BackupError::File(e.to_string()))
        }
        Target::Pg(o, secret) => {
            run_pg_tool("pg_dump", o, secret.as_ref(), &["-Fc", "-f"], out).await
        }
    }
}

/// Puts a backup where the configured database is, which must be empty, and mutes it.
///
/// # Errors
/// There is data already, or the backup cannot be read.
pub async fn restore(target: &Target, from: &Path) -> Result<(), BackupError> {
    if !from.is_file() {
        return Err(BackupError::File(format!("{} is not a file", from.display())));
    }
    match target {
        Target::Sqlite(_) => {
            let path = target.sqlite_path().unwrap_or(from);
            for suffix in ["", "-wal", "-shm", "-journal"] {
                let mut there = path.as_os_str().to_owned();
                there.push(suffix);
                let there = std::path::PathBuf::from(there);
                // A log left behind would be replayed onto the restored file.
                if there.exists() {
                    return Err(BackupError::File(format!(
                        "{} exists already; move it away first, nothing is overwritten",
                        there.display()
                    )));
                }
            }
            // It gets its name only when it is whole and mute.
            let mut part = path.as_os_str().to_owned();
            part.push(".part");
            let part = std::path::PathBuf::from(part);
            let file = |e: std::io::Error| BackupError::File(e.to_string());
            std::fs::copy(from, &part).map_err(file)?;
            let aside = Target::parse(&format!("sqlite://{}", part.display()))?;
            mute(&aside).await?;
            if let Conn::Sqlite(mut c) = aside.connect().await? {
                sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut c).await?;
                sqlx::Connection::close(c).await?;
            }
            std::fs::File::open(&part).and_then(|f| f.sync_all()).map_err(file)?;
            std::fs::rename(&part, path).map_err(file)?;
        }
        Target::Pg(o, secret) => {
            let mut c = target.connect().await?;
            let tables = c.run("SELECT 1 FROM pg_tables WHERE tablename = 'journal'").await?;
            if tables > 0 {
                return Err(BackupError::File(
                    "the database is not empty; restore into a new one".to_owned(),
                ));
            }
            let args = ["--no-owner", "--exit-on-error", "--single-transaction", "-d"];
            let database = o.get_database().unwrap_or("postgres").to_owned();
            let mut args: Vec<&str> = args.to_vec();
            args.push(&database);
            run_pg_tool("pg_restore", o, secret.as_ref(), &args, from).await?;
            mute(target).await?;
        }
    }
    Ok(())
}

/// Brings a copy up to date, keeps it from sending, and moves its reference counters on, so that
/// no reference given out after the backup is given to another child.
async fn mute(target: &Target) -> Result<(), BackupError> {
    target.migrate().await.map_err(StoreError::from)?;
    let mut c = target.connect().await?;
    c.run("INSERT INTO setting (name, value) VALUES ('sending', 'held') ON CONFLICT (name) DO UPDATE SET value = 'held'").await?;
    c.run("UPDATE counter SET next = next + 10000 WHERE name LIKE 'reference/%'").await?;
    Ok(())
}

async fn run_pg_tool(
    tool: &'static str,
    o: &sqlx::postgres::PgConnectOptions,
    password: Option<&SecretString>,
    args: &[&str],
    file: &Path,
) -> Result<(), BackupError> {
    // Never on the command line, where every user of the machine could read it.
    let mut command = Command::new(tool);
    let host = o.get_socket().map_or_else(|| o.get_host().to_owned(), |s| s.display().to_string());
    command.env("PGHOST", host).env("PGPORT", o.get_port().to_string());
    command.env("PGUSER", o.get_username());
    if let Some(p) = password {
        command.env("PGPASSWORD", p.expose_secret());
    }
    if let Some(d) = o.get_database() {
        command.env("PGDATABASE", d);
    }
    let done = command.args(args).arg(file).output().await;
    match done {
        Ok(out) if out.status.success() => Ok(()),
        Ok(out) => Err(BackupError::Tool {
            tool,
            said: String::from_utf8_lossy(&out.stderr).trim().to_owned(),
        }),
        Err(e) => Err(BackupError::Tool { tool, said: format!("{e} (is it installed?)") }),
    }
}

impl Store {
    /// Whether this is a restored copy that must not send.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sending_is_held(&self) -> Result<bool, StoreError> {
        Ok(self.setting(SENDING).await?.as_deref() == Some(HELD))
    }
}
