//! What an error of the database means to whoever asked: the code decides, never the text.

use super::writer::CommitError;
use sqlx::error::DatabaseError;

/// Serialisation, deadlock, a lock not had in time: `PostgreSQL` has undone the whole transaction.
pub(super) fn crossed(e: &sqlx::Error) -> bool {
    let code = e.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01" | "55P03"))
}

/// A write that failed.
pub(super) fn of_write(e: &sqlx::Error) -> CommitError {
    if crossed(e) {
        return CommitError::Conflict;
    }
    let Some(db) = e.as_database_error() else {
        return CommitError::Unavailable;
    };
    let code = db.code().unwrap_or_default();
    match code.as_ref() {
        // SQLite FULL (13) and no room for its shared memory (4874); PostgreSQL disk_full.
        "13" | "4874" | "53100" => CommitError::Full,
        // SQLite: write (778), flush (1034) or directory flush (1290) failed.
        "778" | "1034" | "1290" => {
            // After a failed write or flush nobody knows what the disk holds: stop, and recover
            // from the log at the next start.
            tracing::error!(error = %e, "the disk failed; stopping");
            std::process::exit(74)
        }
        c if passes(c) => CommitError::Unavailable,
        _ => CommitError::Refused(db.message().to_owned()),
    }
}

/// Whether reading failed because the database is away or short of something, not because the
/// question was wrong.
pub(super) fn is_outage(e: &sqlx::Error) -> bool {
    match e {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(db) => {
            crossed(e)
                || db.code().is_some_and(|c| matches!(c.as_ref(), "13" | "53100") || passes(&c))
        }
        _ => false,
    }
}

/// Codes of what is over after a while: the same may go well when it is tried again.
fn passes(code: &str) -> bool {
    // SQLite: busy (5), locked (6), out of memory (7), reading or mapping failed (10), cannot open
    // (14), with their extended codes.
    if let Ok(n) = code.parse::<u32>()
        && code.len() < 5
    {
        return matches!(n & 0xff, 5 | 6 | 7 | 10 | 14);
    }
    // PostgreSQL: a standby after fail-over (25006), a transaction in which we were silent for too
    // long (25P03, 25P04), connections (08), out of memory or of connections (53200, 53300),
    // shutting down or cancelled (57), its disk or system (58).
    matches!(code, "25006" | "25P03" | "25P04" | "53200" | "53300")
        || (code.len() == 5 && ["08", "57", "58"].iter().any(|p| code.starts_with(p)))
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn what_is_over_after_a_while_is_told_from_what_never_goes_well() {
        // Busy, a snapshot too old to write, locked, out of memory, the log's memory not had.
        for code in ["5", "517", "6", "7", "3082", "5386", "14"] {
            assert!(passes(code), "{code}");
        }
        for code in ["08006", "25006", "25P03", "53200", "53300", "57014", "57P01", "58030"] {
            assert!(passes(code), "{code}");
        }
        // A constraint, a wrong type, a wrong statement, no such table, a broken file, no rights.
        for code in ["19", "2067", "20", "1", "11", "42P01", "23505", "22P02", "42501", "", "x"] {
            assert!(!passes(code), "{code}");
        }
    }
}
