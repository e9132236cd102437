//! A rota pasted from a spreadsheet: `from, to, person` or `date, person`.

use super::people::{People, Person};
use super::table::{self, Limits, Line};
use super::{Findings, Read, Refused, when};
use crate::domain::civil_time::{self, Reading};
use crate::domain::rota::{Cover, CoverKind};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use std::collections::BTreeMap;

/// How many lines decide on the separator: some may be titles.
const GUESS_FROM: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Date,
    From,
    To,
    Person,
    Note,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::From => "from",
            Self::To => "to",
            Self::Person => "person",
            Self::Note => "note",
        }
    }

    fn of(heading: &str) -> Option<Self> {
        Some(match heading.to_lowercase().trim_end_matches(['.', ':']) {
            "date" | "day" => Self::Date,
            "from" | "start" | "starts" | "begins" => Self::From,
            "to" | "until" | "end" | "ends" => Self::To,
            "person" | "name" | "who" | "on call" | "on-call" | "on duty" => Self::Person,
            "note" | "notes" | "comment" | "comments" => Self::Note,
            _ => return None,
        })
    }
}

/// Reads a pasted table into covers. Separated by tabs, commas or semicolons; a heading is
/// optional and then the columns may be in any order. A day without a time means the rota's
/// `handover` on that day; a line of `date, person` is a day from one handover to the next. Lines
/// with problems, and lines that overlap an earlier one, give no cover.
///
/// # Errors
/// A table too large to be read.
pub fn read(bytes: &[u8], people: &[Person], handover: NaiveTime) -> Result<Read<Cover>, Refused> {
    let mut findings = Findings::default();
    let lines = table::read(bytes, Limits::default(), GUESS_FROM, &mut findings)?;
    let people = People::new(people);
    let mut items = Vec::new();
    let mut taken = Taken::default();
    let mut rows = lines.as_slice();
    let columns = match lines.first().and_then(|l| heading(l, &mut findings)) {
        Some(Heading::Columns(columns)) => {
            rows = lines.get(1..).unwrap_or_default();
            Some(columns)
        }
        Some(Heading::Wrong) => return Ok(findings.with(items)),
        None => None,
    };
    for line in rows {
        let columns = columns.as_deref().unwrap_or(usual(line));
        let Some(cover) = cover(line, columns, &people, handover, &mut findings) else { continue };
        match taken.take(&cover, line.number) {
            Ok(()) => items.push(cover),
            Err(other) => findings.problem(
                line.number,
                columns.first().and_then(|c| *c).map_or("", Column::name),
                format!("This overlaps line {other}: two people would be on at once."),
            ),
        }
    }
    Ok(findings.with(items))
}

enum Heading {
    Columns(Vec<Option<Column>>),
    Wrong,
}

/// A heading is a first line of which a cell is the name of a column.
fn heading(line: &Line, findings: &mut Findings) -> Option<Heading> {
    let columns: Vec<_> = line.cells.iter().map(|c| Column::of(c)).collect();
    let named: Vec<_> = columns.iter().flatten().copied().collect();
    if named.is_empty() || line.cells.first().is_some_and(|c| when::read(c).is_ok()) {
        return None;
    }
    let has = |c| named.contains(&c);
    let dated = has(Column::Date) != (has(Column::From) && has(Column::To))
        && !(has(Column::Date) && (has(Column::From) || has(Column::To)));
    let twice = (1..named.len()).any(|n| named.get(..n).is_some_and(|b| b.contains(&named[n])));
    if dated && has(Column::Person) && !twice {
        return Some(Heading::Columns(columns));
    }
    findings.problem(
        line.number,
        "",
        "The heading names neither from, to and person nor date and person, each once.",
    );
    Some(Heading::Wrong)
}

/// The columns of a line without a heading.
fn usual(line: &Line) -> &'static [Option<Column>] {
    const TWO: [Option<Column>; 2] = [Some(Column::Date), Some(Column::Person)];
    const FOUR: [Option<Column>; 4] =
        [Some(Column::From), Some(Column::To), Some(Column::Person), Some(Column::Note)];
    if line.cells.len() <= 2 { &TWO } else { &FOUR }
}

fn cover(
    line: &Line,
    columns: &[Option<Column>],
    people: &People,
    handover: NaiveTime,
    findings: &mut Findings,
) -> Option<Cover> {
    let mut row = Row { line, columns, findings, good: true };
    row.refuse_formulas();
    if line.cells.len() > columns.len() {
        row.wrong("", format!("The line has more than {} cells.", columns.len()));
    }
    let (from, to) = if columns.contains(&Some(Column::Date)) {
        let day = row.moment(Column::Date);
        if day.is_some_and(|(_, time)| time.is_some()) {
            row.wrong(
                "date",
                "A line of date and person has no time: write from, to, person.".to_owned(),
            );
        }
        let from = day.map(|(d, _)| d.and_time(handover));
        (from, day.and_then(|(d, _)| d.succ_opt()).map(|d| d.and_time(handover)))
    } else {
        let mut at = |c| row.moment(c).map(|(d, t)| d.and_time(t.unwrap_or(handover)));
        (at(Column::From), at(Column::To))
    };
    let person = row.cell(Column::Person).and_then(|text| match people.find(&text) {
        Ok(id) => Some(id.to_owned()),
        Err(why) => {
            row.wrong("person", why);
            None
        }
    });
    let note = row.optional(Column::Note);
    if let (Some(from), Some(to)) = (from, to) {
        if civil_time::earliest(to) <= civil_time::earliest(from) {
            row.wrong(
                "to",
                format!("This ends at {}, not after it starts at {}.", said(to), said(from)),
            );
        }
        for (column, at) in [("from", from), ("to", to)] {
            row.note_odd_time(column, at);
        }
    }
    let good = row.good;
    let cover = Cover { from: from?, to: to?, person: person?, kind: CoverKind::Cover, note };
    good.then_some(cover)
}

fn said(at: NaiveDateTime) -> String {
    at.format("%H:%M on %-d %B %Y").to_string()
}

struct Row<'a> {
    line: &'a Line,
    columns: &'a [Option<Column>],
    findings: &'a mut Findings,
    good: bool,
}

impl Row<'_> {
    fn wrong(&mut self, column: &str, message: String) {
        self.good = false;
        self.findings.problem(self.line.number, column, message);
    }

    fn refuse_formulas(&mut self) {
        for (n, _) in self.line.cells.iter().enumerate().filter(|(_, c)| table::is_formula(c)) {
            let column = self.columns.get(n).and_then(|c| *c).map_or("", Column::name);
            self.wrong(column, "The cell begins like a formula; paste values only.".to_owned());
        }
    }

    fn optional(&self, column: Column) -> String {
        let at = self.columns.iter().position(|c| *c == Some(column));
        let cell = at.and_then(|n| self.line.cells.get(n)).map(String::as_str).unwrap_or_default();
        table::unguard(cell).0.to_owned()
    }

    /// The cell's text; nothing if it has been complained of already or is now.
    fn cell(&mut self, column: Column) -> Option<String> {
        let text = self.optional(column);
        if text.is_empty() {
            self.wrong(column.name(), format!("The line has no {}.", column.name()));
        }
        (!text.is_empty() && !table::is_formula(&text)).then_some(text)
    }

    fn moment(&mut self, column: Column) -> Option<(NaiveDate, Option<NaiveTime>)> {
        match when::read(&self.cell(column)?) {
            Ok(read) => Some(read),
            Err(why) => {
                self.wrong(column.name(), why);
                None
            }
        }
    }

    fn note_odd_time(&mut self, column: &str, at: NaiveDateTime) {
        let message = match civil_time::read(at.date(), at.time()) {
            Reading::Exact(_) => return,
            Reading::Twice { .. } => {
                format!("{} happens twice; the earlier is meant.", said(at))
            }
            Reading::Never { first_after, .. } => format!(
                "{} does not happen, the clocks go forward; it is read as {}.",
                said(at),
                first_after.format("%H:%M")
            ),
        };
        self.findings.note(self.line.number, column, message);
    }
}

/// Stretches already given to somebody, by their start. They do not overlap.
#[derive(Default)]
struct Taken(BTreeMap<NaiveDateTime, (NaiveDateTime, u32)>);

impl Taken {
    /// Takes a stretch, or names the line that has part of it.
    fn take(&mut self, c: &Cover, line: u32) -> Result<(), u32> {
        // Of those that begin before the end, the last ends last.
        match self.0.range(..c.to).next_back() {
            Some((_, (to, other))) if *to > c.from => Err(*other),
            _ => {
                self.0.insert(c.from, (c.to, line));
                Ok(())
            }
        }
    }
}
