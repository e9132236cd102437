//! The directory as a spreadsheet: one line per way to reach somebody.

use super::table::{self, Limits, Line};
use super::{Findings, Read, Refused, shown};
use serde::Serialize;
use std::collections::BTreeMap;

/// The columns, in the order they are written.
pub const COLUMNS: [&str; 10] =
    ["agency", "agency_name", "ring", "team", "person", "role", "kind", "address", "when", "order"];

/// The order of a contact that does not give one.
const FIRST: u32 = 1;

/// One way to reach somebody, as its line says.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct DirectoryLine {
    /// Where it stands in the file, from 1; [`write`] does not look at it.
    pub line: u32,
    /// The agency's id: letters, digits, `_` and `-`.
    pub agency: String,
    pub agency_name: String,
    /// The number to ring when nothing else works.
    pub ring: String,
    /// Empty if none, as are `person` and `role`.
    pub team: String,
    pub person: String,
    pub role: String,
    pub kind: Kind,
    pub address: String,
    pub when: When,
    /// 1 is tried first.
    pub order: u32,
}

/// What an address is.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Email,
    Mobile,
    Landline,
    Webhook,
    DutyNumber,
}

/// When an address is used.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum When {
    Always,
    OfficeHours,
    OutOfHours,
    Night,
    Weekend,
    BankHoliday,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Email, Self::Mobile, Self::Landline, Self::Webhook, Self::DutyNumber];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Mobile => "mobile",
            Self::Landline => "landline",
            Self::Webhook => "webhook",
            Self::DutyNumber => "duty_number",
        }
    }

    fn is_phone(self) -> bool {
        matches!(self, Self::Mobile | Self::Landline | Self::DutyNumber)
    }
}

impl When {
    pub const ALL: [Self; 6] = [
        Self::Always,
        Self::OfficeHours,
        Self::OutOfHours,
        Self::Night,
        Self::Weekend,
        Self::BankHoliday,
    ];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OfficeHours => "office_hours",
            Self::OutOfHours => "out_of_hours",
            Self::Night => "night",
            Self::Weekend => "weekend",
            Self::BankHoliday => "bank_holiday",
        }
    }
}

/// Reads a directory. The heading is required, its columns in any order and all of them; `when`
/// left empty is `always`, `order` is 1, and `agency_name` and `ring` are those of the agency's
/// first line. `phone` says how a telephone number is written, or what is wrong with it.
///
/// # Errors
/// A file too large to be read.
pub fn read(
    bytes: &[u8],
    phone: impl Fn(&str) -> Result<String, String>,
) -> Result<Read<DirectoryLine>, Refused> {
    read_with(bytes, phone, |_| false)
}

/// As [`read`], and takes a system's address all the same if it is `known`: one that stands in the
/// directory already is not refused for its form.
///
/// # Errors
/// A file too large to be read.
pub fn read_with(
    bytes: &[u8],
    phone: impl Fn(&str) -> Result<String, String>,
    known: impl Fn(&str) -> bool,
) -> Result<Read<DirectoryLine>, Refused> {
    let mut findings = Findings::default();
    let lines = table::read(bytes, Limits::default(), 1, &mut findings)?;
    let mut items: Vec<DirectoryLine> = Vec::new();
    let Some(places) = heading(lines.first(), &mut findings) else {
        return Ok(findings.with(items));
    };
    let mut agencies = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for line in lines.iter().skip(1) {
        let mut row =
            Row { line, places, phone: &phone, known: &known, findings: &mut findings, good: true };
        let Some(read) = row.read(&mut agencies) else { continue };
        let key = (read.agency.clone(), read.address.to_lowercase(), read.when);
        if let Some(first) = seen.get(&key) {
            findings.problem(
                line.number,
                "address",
                format!(
                    "{} has this address for the same hours on line {first} already.",
                    read.agency
                ),
            );
            continue;
        }
        seen.insert(key, line.number);
        items.push(read);
    }
    Ok(findings.with(items))
}

/// Writes a directory that [`read`] reads back, and that no spreadsheet takes for formulas.
#[must_use]
pub fn write(lines: &[DirectoryLine]) -> String {
    let mut out = COLUMNS.join(",");
    out.push_str("\r\n");
    for l in lines {
        let order = l.order.to_string();
        let cells: [&str; 10] = [
            &l.agency,
            &l.agency_name,
            &l.ring,
            &l.team,
            &l.person,
            &l.role,
            l.kind.word(),
            &l.address,
            l.when.word(),
            &order,
        ];
        let quoted = cells.map(|c| match table::guard(c) {
            plain if plain.contains([',', ';', '\t', '"', '\n', '\r']) => {
                format!("\"{}\"", plain.replace('"', "\"\""))
            }
            plain => plain.into_owned(),
        });
        out.push_str(&quoted.join(","));
        out.push_str("\r\n");
    }
    out
}

/// Where each column of [`COLUMNS`] stands.
type Places = [usize; COLUMNS.len()];

fn heading(line: Option<&Line>, findings: &mut Findings) -> Option<Places> {
    let Some(line) = line else {
        findings.problem(
            1,
            "",
            format!("The file is empty; its first line names the columns {}.", COLUMNS.join(", ")),
        );
        return None;
    };
    let names: Vec<String> = line.cells.iter().map(|c| c.to_lowercase()).collect();
    let mut good = true;
    let mut wrong = |column: &str, message: String| {
        good = false;
        findings.problem(line.number, column, message);
    };
    for (n, name) in names.iter().enumerate() {
        if !COLUMNS.contains(&name.as_str()) {
            wrong(
                &shown(name),
                format!(
                    "There is no column “{}”; the columns are {}.",
                    shown(name),
                    COLUMNS.join(", ")
                ),
            );
        } else if names.iter().take(n).any(|other| other == name) {
            wrong(name, format!("The column {name} is there twice."));
        }
    }
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        match names.iter().position(|n| n == column) {
            Some(n) => *place = n,
            None => wrong(column, format!("The column {column} is missing.")),
        }
    }
    good.then_some(places)
}

/// What an agency's first line says of it.
struct Agency {
    line: u32,
    name: String,
    ring: String,
}

struct Row<'a, P, K> {
    line: &'a Line,
    places: Places,
    phone: &'a P,
    known: &'a K,
    findings: &'a mut Findings,
    good: bool,
}

impl<P: Fn(&str) -> Result<String, String>, K: Fn(&str) -> bool> Row<'_, P, K> {
    fn read(&mut self, agencies: &mut BTreeMap<String, Agency>) -> Option<DirectoryLine> {
        if self.line.cells.len() > COLUMNS.len() {
            self.wrong("", format!("The line has more than {} cells.", COLUMNS.len()));
        }
        let kind = self.word("kind", &Kind::ALL, Kind::word, None);
        let when = self.word("when", &When::ALL, When::word, Some(When::Always));
        let order = self.order();
        let agency = self.required("agency");
        if !agency.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            self.wrong("agency", "An agency's id has only letters, digits, _ and -.".to_owned());
        }
        let (agency_name, ring) = self.of_agency(&agency, agencies);
        let [team, person, role] = ["team", "person", "role"].map(|c| self.text(c));
        let address = self.address(kind?);
        let line = DirectoryLine {
            line: self.line.number,
            agency,
            agency_name,
            ring,
            team,
            person,
            role,
            kind: kind?,
            address,
            when: when?,
            order: order?,
        };
        self.good.then_some(line)
    }

    fn wrong(&mut self, column: &str, message: String) {
        self.good = false;
        self.findings.problem(self.line.number, column, message);
    }

    fn raw(&self, column: &str) -> String {
        let at = COLUMNS.iter().position(|c| *c == column).and_then(|n| self.places.get(n));
        at.and_then(|n| self.line.cells.get(*n)).cloned().unwrap_or_default()
    }

    /// A cell that is no formula and on one line. What is marked as text is taken as text.
    fn text(&mut self, column: &str) -> String {
        let raw = self.raw(column);
        let (text, marked) = table::unguard(&raw);
        if table::is_formula(text) && !marked {
            self.wrong(column, "The cell begins like a formula; enter it as text.".to_owned());
        } else if text.chars().any(char::is_control) {
            self.wrong(
                column,
                "The cell has a line break or another control character in it.".to_owned(),
            );
        }
        text.to_owned()
    }

    fn required(&mut self, column: &str) -> String {
        let text = self.text(column);
        if text.is_empty() {
            self.wrong(column, format!("The line has no {column}."));
        }
        text
    }

    /// A telephone number may begin with a plus, which is how a formula begins too.
    fn number(&mut self, column: &str) -> String {
        let raw = self.raw(column);
        let international = raw
            .strip_prefix('+')
            .is_some_and(|n| n.chars().all(|c| c.is_ascii_digit() || " ()".contains(c)));
        let formula = !international && table::is_formula(&raw);
        let text = if international { raw } else { self.required(column) };
        if text.is_empty() || formula {
            return text;
        }
        match (self.phone)(&text) {
            Ok(number) => number,
            Err(why) => {
                self.wrong(column, why);
                text
            }
        }
    }

    fn of_agency(&mut self, id: &str, agencies: &mut BTreeMap<String, Agency>) -> (String, String) {
        let Some(known) = agencies.get(id) else {
            let (name, ring) = (self.required("agency_name"), self.number("ring"));
            // A line that is wrong does not say what the agency is called.
            if self.good {
                let (name, ring) = (name.clone(), ring.clone());
                agencies.insert(id.to_owned(), Agency { line: self.line.number, name, ring });
            }
            return (name, ring);
        };
        let name = self.text("agency_name");
        let ring = if self.raw("ring").is_empty() { String::new() } else { self.number("ring") };
        for (column, here, first) in
            [("agency_name", &name, &known.name), ("ring", &ring, &known.ring)]
        {
            if !here.is_empty() && here != first {
                self.wrong(
                    column,
                    format!("Line {} says “{}” for the same agency.", known.line, shown(first)),
                );
            }
        }
        (known.name.clone(), known.ring.clone())
    }

    fn word<T: Copy>(
        &mut self,
        column: &str,
        all: &[T],
        word: fn(T) -> &'static str,
        empty: Option<T>,
    ) -> Option<T> {
        let text = self.raw(column).to_lowercase();
        let found =
            if text.is_empty() { empty } else { all.iter().copied().find(|t| word(*t) == text) };
        if found.is_none() {
            let words: Vec<_> = all.iter().map(|t| word(*t)).collect();
            self.wrong(column, format!("“{}” is not one of {}.", shown(&text), words.join(", ")));
        }
        found
    }

    fn order(&mut self) -> Option<u32> {
        let text = self.raw("order");
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        let order = match text.as_str() {
            "" => Some(FIRST),
            t => t.parse().ok().filter(|n| plain && (1..=9999).contains(n)),
        };
        if order.is_none() {
            self.wrong("order", format!("“{}” is not a number from 1 to 9999.", shown(&text)));
        }
        order
    }

    fn address(&mut self, kind: Kind) -> String {
        if kind.is_phone() {
            return self.number("address");
        }
        let text = self.required("address");
        if !text.is_empty() && kind == Kind::Email && !is_email(&text) {
            self.wrong("address", format!("“{}” is not an e-mail address.", shown(&text)));
        }
        if !text.is_empty() && kind == Kind::Webhook && !is_https(&text) && !(self.known)(&text) {
            self.wrong("address", format!("“{}” is not an https:// address.", shown(&text)));
        }
        text
    }
}

/// One `@` with something before it and a host with a dot behind: enough to catch a slip.
fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    let odd = |c: char| c.is_whitespace() || c.is_control() || ",;<>\"()@".contains(c);
    !name.is_empty()
        && !text.replacen('@', "", 1).contains(odd)
        && host.contains('.')
        && host.split('.').all(|label| !label.is_empty())
}

fn is_https(text: &str) -> bool {
    text.strip_prefix("https://").is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !text.contains(|c: char| c.is_whitespace())
    })
}
