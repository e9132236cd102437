//! Records as bytes: JSON objects, or flat CSV with child files for what repeats.

use super::map::{Given, Record};
use super::register::{Kind, Question, code_lists, register};
use super::schema::FORM;
use crate::domain::facts::Professional;
use crate::export::cell::harmless;
use serde_json::{Map, Value, json};

/// Writes records as JSON.
pub struct JsonWriter;

impl JsonWriter {
    /// One record as one line of JSON.
    #[must_use]
    pub fn record(r: &Record<'_>) -> Value {
        let answers: Vec<Value> = r.answers.iter().map(|(q, g)| answer(q, g)).collect();
        json!({
            "form": FORM,
            "case_id": r.reference,
            "sequence": r.sequence,
            "answers": answers,
            "professionals": r.professionals,
            "family": r.family,
            "validation": r.flaws,
        })
    }
}

fn answer(q: &Question, g: &Given) -> Value {
    let mut o = Map::new();
    o.insert("question_id".into(), q.id.clone().into());
    o.insert("section".into(), q.section.clone().into());
    o.insert("form_wording".into(), q.wording.clone().into());
    o.insert("answer_state".into(), g.state().into());
    if let Given::Answered { value, label } = g {
        let typed = match q.kind {
            Kind::Integer => {
                value.parse::<i64>().map_or_else(|_| value.clone().into(), Value::from)
            }
            Kind::Codes => value.split(';').map(Value::from).collect(),
            _ => value.clone().into(),
        };
        o.insert("value".into(), typed);
        if let Some(l) = label {
            o.insert("label".into(), (*l).into());
        }
    }
    if let Some(list) = &q.list {
        o.insert("code_list".into(), list.clone().into());
        let version = code_lists().get(list).map_or("", |l| l.version.as_str());
        o.insert("code_list_version".into(), version.into());
    }
    Value::Object(o)
}

/// Writes records as CSV rows into buffers that the caller empties.
pub struct CsvWriter {
    main: csv::Writer<Vec<u8>>,
    professionals: csv::Writer<Vec<u8>>,
    family: csv::Writer<Vec<u8>>,
    validation: csv::Writer<Vec<u8>>,
}

/// Bytes of the four files since they were last taken.
#[derive(Default)]
pub struct CsvChunk {
    pub notification: Vec<u8>,
    pub professionals: Vec<u8>,
    pub family: Vec<u8>,
    pub validation: Vec<u8>,
}

/// Columns of the validation report.
#[must_use]
pub fn validation_header() -> [&'static str; 4] {
    ["case_id", "rule", "question", "message"]
}

impl CsvWriter {
    /// With header rows.
    ///
    /// # Errors
    /// Never: the target is memory.
    pub fn new() -> csv::Result<Self> {
        let writer =
            || csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        let mut w = Self {
            main: writer(),
            professionals: writer(),
            family: writer(),
            validation: writer(),
        };
        let mut header = vec!["form".to_owned(), "case_id".to_owned(), "sequence".to_owned()];
        for q in &register().questions {
            let column = format!("{}__{}", q.id, q.name);
            header.push(column.clone());
            if q.list.is_some() {
                header.push(format!("{column}__label"));
            }
            header.push(format!("{column}__state"));
        }
        w.main.write_record(&header)?;
        w.professionals.write_record([
            "case_id",
            "line",
            "agency",
            "name",
            "role",
            "telephone",
            "email",
        ])?;
        w.family.write_record([
            "case_id",
            "line",
            "relationship",
            "name",
            "age_or_date_of_birth",
        ])?;
        w.validation.write_record(validation_header())?;
        Ok(w)
    }

    /// Adds one record to every file it concerns.
    ///
    /// # Errors
    /// Never: the target is memory.
    pub fn record(&mut self, r: &Record<'_>) -> csv::Result<()> {
        self.main.write_field(FORM)?;
        self.main.write_field(r.reference)?;
        self.main.write_field(r.sequence.to_string())?;
        for (q, g) in &r.answers {
            let (value, label) = match g {
                Given::Answered { value, label } => (value.as_str(), label.unwrap_or("")),
                _ => ("", ""),
            };
            self.main.write_field(harmless(value).as_bytes())?;
            if q.list.is_some() {
                self.main.write_field(label)?;
            }
            self.main.write_field(g.state())?;
        }
        self.main.write_record(None::<&[u8]>)?;
        let or_empty = |v: &Option<String>| harmless(v.as_deref().unwrap_or("")).into_owned();
        for (p, n) in r.professionals.iter().zip(1..) {
            let Professional { agency, name, role, telephone, email } = p;
            let line = [agency, name, role, telephone, email].map(or_empty);
            self.professionals.write_field(r.reference)?;
            self.professionals.write_field(n.to_string())?;
            self.professionals.write_record(&line)?;
        }
        for (m, n) in r.family.iter().zip(1..) {
            let line = [&m.relationship, &m.name, &m.age_or_date_of_birth].map(or_empty);
            self.family.write_field(r.reference)?;
            self.family.write_field(n.to_string())?;
            self.family.write_record(&line)?;
        }
        for f in &r.flaws {
            self.validation.write_record([r.reference, f.rule, &f.question, f.message])?;
        }
        Ok(())
    }

    /// Takes what was written so far.
    ///
    /// # Errors
    /// Never: the target is memory.
    pub fn take(&mut self) -> csv::Result<CsvChunk> {
        let take = |w: &mut csv::Writer<Vec<u8>>| -> csv::Result<Vec<u8>> {
            w.flush()?;
            let empty =
                csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
            let full = std::mem::replace(w, empty);
            full.into_inner().map_err(|e| csv::Error::from(e.into_error()))
        };
        Ok(CsvChunk {
            notification: take(&mut self.main)?,
            professionals: take(&mut self.professionals)?,
            family: take(&mut self.family)?,
            validation: take(&mut self.validation)?,
        })
    }
}
