//! One serving process per `SQLite` file.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Held while serving; the operating system lets go of it however the process ends.
pub struct ServeLock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum InUse {
    #[error("another process already serves {0}; SQLite takes one (use PostgreSQL for several)")]
    Taken(String),
    #[error("cannot lock {path}: {why}")]
    Io { path: String, why: std::io::Error },
}

impl ServeLock {
    /// # Errors
    /// Another process holds it, or the folder cannot be written.
    pub fn take(database: &Path) -> Result<Self, InUse> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let io = |why| InUse::Io { path: path.display().to_string(), why };
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(InUse::Taken(database.display().to_string())),
            Err(TryLockError::Error(e)) => Err(io(e)),
        }
    }
}
