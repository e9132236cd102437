//! Rotas as iCalendar (RFC 5545): shifts out, covers in.

mod event;
mod lines;
mod moment;
mod read;
mod repeat;
mod write;

pub use read::read;
pub use write::write;

/// The largest calendar read, in bytes.
pub const MAX_BYTES: usize = 2 << 20;
pub const MAX_EVENTS: usize = 5000;
/// The most occurrences of repeating events read from one calendar.
pub const MAX_OCCURRENCES: usize = 2000;
/// How far ahead events are read, in days.
pub const MAX_DAYS_AHEAD: i64 = 400;
