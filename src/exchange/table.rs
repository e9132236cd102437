//! Lines and cells of a table saved or copied from a spreadsheet, within limits.

use super::{Findings, Refused, text};
use std::borrow::Cow;

/// How much of a table is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: usize,
    pub lines: usize,
    /// Characters of one cell.
    pub cell: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 << 20, lines: 60_000, cell: 500 }
    }
}

/// The most cells of one line.
const MAX_CELLS: usize = 64;

/// A line that is not blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it begins, from 1.
    pub number: u32,
    /// Without the white space around them, and without empty ones at the end.
    pub cells: Vec<String>,
}

/// Splits a table into lines and cells. Cells may be quoted, with quotation marks doubled; a line
/// whose quotes or lengths are wrong is a problem and reading goes on after it. `guess_from` is
/// how many lines decide on the separator.
///
/// # Errors
/// A table beyond the limits.
pub(super) fn read(
    bytes: &[u8],
    limits: Limits,
    guess_from: usize,
    findings: &mut Findings,
) -> Result<Vec<Line>, Refused> {
    if bytes.len() > limits.bytes {
        return Err(Refused::TooLarge { limit_kib: limits.bytes / 1024 });
    }
    let text = text::decode(bytes);
    let separator = guess(&text, guess_from);
    let mut cursor = Cursor { text: &text, at: 0, line: 1 };
    let mut lines = Vec::new();
    while cursor.at < text.len() {
        let start = (cursor.at, cursor.line);
        match cursor.cells(separator, limits.cell) {
            Ok(mut cells) => {
                // Spreadsheets fill lines up with empty cells.
                let filled = cells.iter().rposition(|c| !c.is_empty()).map_or(0, |n| n + 1);
                cells.truncate(filled);
                if filled > 0 {
                    lines.push(Line { number: start.1, cells });
                }
            }
            Err(why) => {
                findings.problem(start.1, "", why);
                (cursor.at, cursor.line) = start;
                cursor.skip_line();
            }
        }
        if usize::try_from(cursor.line).is_ok_and(|n| n > limits.lines + 1) {
            return Err(Refused::TooManyLines { limit: limits.lines });
        }
    }
    Ok(lines)
}

/// The separator: the one on most of the first lines; a tab before others, since people do not
/// type tabs into cells.
#[must_use]
pub fn guess(text: &str, lines: usize) -> char {
    let mut best = (0, false, 0, ',');
    let some: Vec<_> =
        text.split(['\n', '\r']).filter(|l| !l.trim().is_empty()).take(lines).collect();
    for c in [',', ';', '\t'] {
        let counts = some.iter().map(|line| {
            // Every other piece between quotation marks is inside them.
            line.split('"').step_by(2).map(|piece| piece.matches(c).count()).sum::<usize>()
        });
        let (on, total) =
            counts.fold((0, 0), |(on, total), n| (on + usize::from(n > 0), total + n));
        if on > 0 {
            best = best.max((on, c == '\t', total, c));
        }
    }
    best.3
}

/// Whether a spreadsheet would take a cell for a formula.
#[must_use]
pub fn is_formula(cell: &str) -> bool {
    let first = cell.trim_start_matches([' ', '\u{a0}', '\u{feff}']).chars().next();
    first.is_some_and(|c| "=+-@\t\r\n|%＝＋－＠".contains(c))
}

/// A cell that no spreadsheet takes for a formula: with an apostrophe before it if need be.
#[must_use]
pub fn guard(cell: &str) -> Cow<'_, str> {
    if needs_guard(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell that was guarded, and whether it was. Undoes [`guard`] for any text.
#[must_use]
pub fn unguard(cell: &str) -> (&str, bool) {
    match cell.strip_prefix('\'') {
        Some(rest) if needs_guard(rest) => (rest, true),
        _ => (cell, false),
    }
}

/// Also what only looks guarded is, so that it comes back as it was.
fn needs_guard(cell: &str) -> bool {
    is_formula(cell.trim_start_matches('\''))
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Steps over one line end, if one is here.
    fn line_end(&mut self) -> bool {
        let len = match self.rest().as_bytes() {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => return false,
        };
        self.at += len;
        self.line = self.line.saturating_add(1);
        true
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find(['\r', '\n']).unwrap_or(self.rest().len());
        self.line_end();
    }

    fn cells(&mut self, separator: char, limit: usize) -> Result<Vec<String>, String> {
        let mut cells = Vec::new();
        loop {
            let cell = self.cell(separator, limit)?;
            if cells.len() == MAX_CELLS {
                return Err(format!("The line has more than {MAX_CELLS} cells."));
            }
            cells.push(cell);
            if self.rest().starts_with(separator) {
                self.at += separator.len_utf8();
            } else {
                self.line_end();
                return Ok(cells);
            }
        }
    }

    fn cell(&mut self, separator: char, limit: usize) -> Result<String, String> {
        // A tab may be the separator, so only spaces are skipped before a quotation mark.
        let opened = self.rest().trim_start_matches(' ').starts_with('"');
        let mut cell = if opened { self.quoted(limit)? } else { String::new() };
        let end = self.rest().find([separator, '\r', '\n']).unwrap_or(self.rest().len());
        cell.push_str(self.rest().get(..end).unwrap_or_default());
        self.at += end;
        if cell.chars().count() > limit {
            return Err(format!("A cell is longer than {limit} characters."));
        }
        Ok(cell.trim().to_owned())
    }

    /// Reads from an opening quotation mark to behind the closing one.
    fn quoted(&mut self, limit: usize) -> Result<String, String> {
        self.at += self.rest().find('"').map_or(0, |n| n + 1);
        let mut cell = String::new();
        let mut left = limit;
        while let Some(c) = self.rest().chars().next() {
            if c == '"' {
                self.at += 1;
                if !self.rest().starts_with('"') {
                    return Ok(cell);
                }
            }
            if left == 0 {
                break;
            }
            left -= 1;
            if self.line_end() {
                cell.push('\n');
            } else {
                cell.push(c);
                self.at += c.len_utf8();
            }
        }
        Err(format!("A quotation mark is opened and not closed within {limit} characters."))
    }
}
