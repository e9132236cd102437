//! The notification form for the National Child Mortality Database, in our own published format:
//! no public specification of a transfer format exists, so connecting to NCMD needs an agreement
//! with its programme team. Form edition and our revision are part of every record.

mod map;
mod register;
mod schema;
mod write;

pub use map::{Given, Record, Source, record};
pub use register::{CodeLists, Question, Register, code_lists, register};
pub use schema::{FORM, schema};
pub use write::{CsvWriter, JsonWriter, validation_header};
