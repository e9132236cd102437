//! Logs: a line a fact, JSON for machines or plain for people.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Json,
    Pretty,
}

/// Starts logging to standard error at `level` (a filter such as `info` or `cdr=debug`). A second
/// call changes nothing, so tests may call it freely.
pub fn start(shape: Shape, level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let base = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match shape {
        Shape::Json => base.json().flatten_event(true).try_init(),
        Shape::Pretty => base.with_target(false).try_init(),
    };
}
