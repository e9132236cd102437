//! An export to NCMD formats, streamed: memory does not grow with the number of cases.

use super::Service;
use super::error::ServiceError;
use crate::auth::policy::{Action, Caller, Object, Who};
use crate::domain::civil_time;
use crate::domain::facts::EventKind;
use crate::domain::id::CaseId;
use crate::domain::jar::{self, Decision};
use crate::domain::scope;
use crate::export::ncmd::{self, CsvWriter, FORM, JsonWriter, Source};
use crate::platform::crypt::{Hasher, hex};
use crate::platform::fresh;
use crate::store::ExportRow;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use uuid::Uuid;

/// What to export.
#[derive(Clone, Debug)]
pub struct Export {
    pub area: Option<String>,
    /// Days of death, both included; of notification where the day of death is not known.
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Json,
}

impl Format {
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// A piece of one of the files.
pub struct Piece {
    pub file: &'static str,
    pub bytes: Vec<u8>,
}

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error("the receiver of the export went away")]
    Gone,
}

/// One run: for whom, what, and when.
#[derive(Clone, Copy)]
struct Job<'a> {
    caller: &'a Caller,
    area: &'a str,
    e: &'a Export,
    now: DateTime<Utc>,
}

/// What was written to one file.
#[derive(Default)]
struct Tally {
    hasher: Hasher,
    bytes: u64,
}

struct Run {
    out: mpsc::Sender<Piece>,
    files: BTreeMap<&'static str, Tally>,
}

impl Run {
    async fn put(&mut self, file: &'static str, bytes: Vec<u8>) -> Result<(), ExportError> {
        let tally = self.files.entry(file).or_default();
        tally.hasher.update(&bytes);
        tally.bytes += bytes.len() as u64;
        if bytes.is_empty() {
            return Ok(());
        }
        self.out.send(Piece { file, bytes }).await.map_err(|_| ExportError::Gone)
    }
}

impl Service {
    /// Checks that the caller may export, and for which area.
    ///
    /// # Errors
    /// Not allowed, or no such area.
    pub fn export_area(&self, caller: &Caller, area: Option<&str>) -> Result<String, ServiceError> {
        Self::allow(caller, Action::Export, Object::default())?;
        let directory = self.directory();
        let own = if caller.area == "*" { directory.first() } else { &caller.area };
        let area = area.unwrap_or(own);
        let known = directory.area(area).filter(|a| caller.covers(&a.id));
        known.map(|a| a.id.clone()).ok_or(ServiceError::NotFound)
    }

    /// Streams an export into `out` and returns its manifest. JSON is one file, CSV four.
    ///
    /// # Errors
    /// Not allowed, the database is away, or the receiver stopped listening.
    pub async fn export_ncmd(
        &self,
        caller: &Caller,
        e: Export,
        out: mpsc::Sender<Piece>,
    ) -> Result<Value, ExportError> {
        let area = self.export_area(caller, e.area.as_deref())?;
        let id = fresh::id();
        let now = self.now();
        let supersedes = self
            .store
            .last_export(&area, e.from, e.to, e.format.word())
            .await
            .map_err(ServiceError::from)?;
        self.note(caller, "export", None).await?;
        let mut run = Run { out, files: BTreeMap::new() };
        let job = Job { caller, area: &area, e: &e, now };
        let counts = match e.format {
            Format::Csv => self.export_csv(&job, &mut run).await?,
            Format::Json => self.export_json(&job, &mut run, id).await?,
        };
        let files: Vec<Value> = std::mem::take(&mut run.files)
            .into_iter()
            .map(|(name, t)| json!({ "name": name, "sha256": hex(&t.hasher.finish()), "bytes": t.bytes }))
            .collect();
        let main = files
            .iter()
            .find(|f| f["name"].as_str().is_some_and(|n| n.starts_with("notification")));
        let sha256 = main.and_then(|f| f["sha256"].as_str()).unwrap_or_default().to_owned();
        let row = ExportRow {
            id,
            at: now,
            actor: caller.actor(),
            area: area.clone(),
            from_day: e.from,
            to_day: e.to,
            format: e.format.word().to_owned(),
            cases: counts.cases,
            sha256,
        };
        self.store.record_export(row).await.map_err(ServiceError::from)?;
        Ok(json!({
            "export_id": id,
            "supersedes": supersedes,
            "created_at": now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            "created_by": caller.actor(),
            "purpose": "NCMD notification",
            "area": area,
            "from": e.from,
            "to": e.to,
            "format": e.format.word(),
            "editions": { "notification": FORM },
            "schema": format!("/schemas/{FORM}"),
            "counts": {
                "cases": counts.cases,
                "left_out": counts.left_out,
                "with_flaws": counts.with_flaws,
            },
            "validation": counts.rules,
            "files": files,
        }))
    }

    async fn export_csv(&self, job: &Job<'_>, run: &mut Run) -> Result<Counts, ExportError> {
        let mut csv = CsvWriter::new().map_err(|_| ExportError::Gone)?;
        let mut counts = Counts::default();
        let mut after = Uuid::nil();
        loop {
            let more = self
                .export_page(job, &mut after, &mut counts, |r| {
                    let _ = csv.record(r);
                })
                .await?;
            let chunk = csv.take().map_err(|_| ExportError::Gone)?;
            run.put("notification.csv", chunk.notification).await?;
            run.put("professionals.csv", chunk.professionals).await?;
            run.put("family.csv", chunk.family).await?;
            run.put("validation.csv", chunk.validation).await?;
            if !more {
                return Ok(counts);
            }
        }
    }

    async fn export_json(
        &self,
        job: &Job<'_>,
        run: &mut Run,
        id: Uuid,
    ) -> Result<Counts, ExportError> {
        const FILE: &str = "notification.json";
        let head = format!("{{\"export_id\":\"{id}\",\"form\":\"{FORM}\",\"records\":[");
        run.put(FILE, head.into_bytes()).await?;
        let mut counts = Counts::default();
        let mut after = Uuid::nil();
        let mut first = true;
        loop {
            let mut buffer = Vec::with_capacity(1 << 20);
            let more = self
                .export_page(job, &mut after, &mut counts, |r| {
                    buffer.extend_from_slice(if first { b"\n" } else { b",\n" });
                    first = false;
                    // Writing JSON into memory cannot fail.
                    let _ = serde_json::to_writer(&mut buffer, &JsonWriter::record(r));
                })
                .await?;
            run.put(FILE, buffer).await?;
            if !more {
                break;
            }
        }
        run.put(FILE, b"\n]}\n".to_vec()).await?;
        Ok(counts)
    }

    /// One page of cases, each as a record; whether there may be more.
    async fn export_page(
        &self,
        job: &Job<'_>,
        after: &mut Uuid,
        counts: &mut Counts,
        mut each: impl FnMut(&ncmd::Record<'_>),
    ) -> Result<bool, ExportError> {
        const SIZE: usize = 250;
        let Job { caller, area, e, now } = *job;
        let rows = self
            .store
            .export_page(area, e.from, e.to, *after, SIZE)
            .await
            .map_err(ServiceError::from)?;
        let directory = self.directory();
        let extra = directory.area(area).map_or(&[][..], |a| &a.extra_triggers);
        let today = civil_time::date_of(now);
        let mut looks = Vec::new();
        let mut records = Vec::new();
        for row in &rows {
            *after = row.id;
            if row.restricted && !matches!(caller.who, Who::Operator) {
                counts.leave_out("restricted");
                continue;
            }
            let Some(facts) = self.store.facts_of(row).map_err(ServiceError::from)? else {
                counts.leave_out("erased");
                continue;
            };
            let scope = scope::judge(&facts);
            if let Some(x) = scope.exclusion {
                let code = serde_json::to_value(x).ok();
                counts.leave_out(code.as_ref().and_then(Value::as_str).unwrap_or("out_of_scope"));
                continue;
            }
            if facts.event == Some(EventKind::Collapse) {
                counts.leave_out("not_a_death_yet");
                continue;
            }
            looks.push(self.audit_row(caller, "export_case", CaseId(row.id), "NCMD"));
            records.push((row, facts));
        }
        // Nothing leaves before it is written down that it does.
        self.store.audit_all(looks).await.map_err(ServiceError::from)?;
        for (row, facts) in &records {
            let assessment = jar::assess(facts, extra);
            let record = ncmd::record(&Source {
                reference: &row.reference,
                sequence: row.version,
                received_at: row.received_at,
                facts,
                assessment: &assessment,
                standing: Decision::parse(&row.jar).unwrap_or(assessment.decision),
                today,
            });
            counts.add(&record);
            each(&record);
        }
        Ok(rows.len() == SIZE)
    }
}

#[derive(Default)]
struct Counts {
    cases: i64,
    with_flaws: i64,
    left_out: BTreeMap<String, i64>,
    rules: BTreeMap<String, i64>,
}

impl Counts {
    fn leave_out(&mut self, why: &str) {
        *self.left_out.entry(why.to_owned()).or_default() += 1;
    }

    fn add(&mut self, r: &ncmd::Record<'_>) {
        self.cases += 1;
        self.with_flaws += i64::from(!r.flaws.is_empty());
        for f in &r.flaws {
            *self.rules.entry(format!("{} {}", f.rule, f.question)).or_default() += 1;
        }
    }
}
