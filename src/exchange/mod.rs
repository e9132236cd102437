//! Rotas and directories in the formats partners already keep them in: calendars, spreadsheets.
//!
//! No IO: bytes in, items and problems out. A file with faults is read to its end, so all of them
//! can be mended at once; nothing in it can make reading long or large.

pub mod directory_csv;
pub mod ical;
pub mod paste;
mod people;
pub mod table;
mod text;
mod when;

pub use people::Person;

use serde::Serialize;

/// The most problems (and the most notes) one import lists; the rest are counted.
pub const MAX_LISTED: usize = 200;

/// What came out of a file: what could be used, and what could not.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    pub items: Vec<T>,
    /// By line.
    pub problems: Vec<LineProblem>,
    /// Problems beyond [`MAX_LISTED`].
    pub problems_left_out: u32,
    /// What was read in one of several ways, or left out on purpose. Not a reason to refuse.
    pub notes: Vec<LineProblem>,
}

/// One place in a file, and a sentence about it.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct LineProblem {
    /// From 1.
    pub line: u32,
    /// The column's (or calendar property's) name; empty if the whole line is meant.
    pub column: String,
    pub message: String,
}

/// A file that is not read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("The file is larger than {limit_kib} KiB.")]
    TooLarge { limit_kib: usize },
    #[error("The file has more than {limit} lines.")]
    TooManyLines { limit: usize },
    #[error("The calendar has more than {limit} events.")]
    TooManyEvents { limit: usize },
    #[error("This is not a calendar file: it has no line BEGIN:VCALENDAR.")]
    NotACalendar,
}

/// Problems as they are found; lists the first and counts the rest.
#[derive(Default)]
struct Findings {
    problems: Vec<LineProblem>,
    left_out: u32,
    notes: Vec<LineProblem>,
}

impl Findings {
    fn problem(&mut self, line: u32, column: &str, message: impl Into<String>) {
        if self.problems.len() < MAX_LISTED {
            self.problems.push(LineProblem::new(line, column, message));
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    fn note(&mut self, line: u32, column: &str, message: impl Into<String>) {
        if self.notes.len() < MAX_LISTED {
            self.notes.push(LineProblem::new(line, column, message));
        }
    }

    fn with<T>(mut self, items: Vec<T>) -> Read<T> {
        self.problems.sort_by_key(|p| p.line);
        self.notes.sort_by_key(|p| p.line);
        Read { items, problems: self.problems, problems_left_out: self.left_out, notes: self.notes }
    }
}

impl LineProblem {
    fn new(line: u32, column: &str, message: impl Into<String>) -> Self {
        Self { line, column: column.to_owned(), message: message.into() }
    }
}

/// What a file said, short enough to be said back.
fn shown(text: &str) -> String {
    let mut short: String =
        text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}
