//! What would happen if: the plan of an alert, without sending anything.

use super::json;
use crate::domain::alert::AlertKind;
use crate::web::Web;
use crate::web::problem::Problem;
use crate::web::request::{self, bearer};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};

/// `kind` is an event, `at` an RFC 3339 time (now, if it is not given).
pub(super) async fn dry_run(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    // Whether it may be seen comes before what was asked.
    web.service.area_directory(&caller, &area)?;
    let mut q = request::query(query.as_deref());
    let words: Vec<&str> = AlertKind::EVENTS.iter().map(|k| k.word()).collect();
    let kind = q.remove("kind").unwrap_or_default();
    let kind =
        AlertKind::parse(&kind).filter(|k| AlertKind::EVENTS.contains(k)).ok_or_else(|| {
            Problem::field("kind", "not_in_list", format!("must be one of: {}", words.join(", ")))
        })?;
    let at = match q.remove("at") {
        None => web.service.clock.now(),
        Some(text) => DateTime::parse_from_rfc3339(&text)
            .map(|t| t.with_timezone(&Utc))
            .ok()
            .filter(|t| (1970..=2200).contains(&chrono::Datelike::year(t)))
            .ok_or_else(|| {
                Problem::field("at", "not_a_time", "must be a time like 2026-11-30T03:15:00Z")
            })?,
    };
    let run = web.service.dry_run(&caller, &area, kind, at)?;
    Ok(json(StatusCode::OK, &serde_json::json!(run)))
}
