//! `GET /exports/ncmd`: the notification form, streamed as it is read.

use crate::domain::civil_time;
use crate::domain::facts::words;
use crate::service::{Export, Format, Piece};
use crate::web::Web;
use crate::web::problem::Problem;
use crate::web::request::{self, bearer};
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc;

words!(
    /// Which file of a CSV export is sent.
    Part {
        Notification = "notification", Professionals = "professionals", Family = "family",
        Validation = "validation", Manifest = "manifest",
    }
);

impl Part {
    fn file(self) -> &'static str {
        match self {
            Self::Notification => "notification.csv",
            Self::Professionals => "professionals.csv",
            Self::Family => "family.csv",
            Self::Validation => "validation.csv",
            Self::Manifest => "manifest.json",
        }
    }
}

/// `from`, `to` (days), `format` (csv or json), `area`, and for CSV `part`: the notification file
/// unless another is named. The JSON answer carries its manifest at the end.
pub(super) async fn ncmd(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let mut q = request::query(query.as_deref());
    let mut day = |field: &str| {
        let given = q.remove(field).and_then(|t| civil_time::parse_day(&t));
        given.ok_or_else(|| Problem::field(field, "not_a_date", "must be a day, like 2026-04-01"))
    };
    let (from, to) = (day("from")?, day("to")?);
    if to < from {
        return Err(Problem::field("to", "before_from", "must not be before `from`"));
    }
    let format = Format::parse(q.get("format").map_or("json", String::as_str))
        .ok_or_else(|| Problem::field("format", "not_in_list", "must be one of: csv, json"))?;
    let part =
        Part::parse(q.get("part").map_or("notification", String::as_str)).ok_or_else(|| {
            Problem::field(
                "part",
                "not_in_list",
                format!("must be one of: {}", Part::WORDS.join(", ")),
            )
        })?;
    let area = web.service.export_area(&caller, q.get("area").map(String::as_str))?;
    let export = Export { area: Some(area), from, to, format };

    let (tx, mut rx) = mpsc::channel::<Piece>(4);
    let (out, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(4);
    let wanted = if format == Format::Json { "notification.json" } else { part.file() };
    tokio::spawn(async move {
        let forward = async {
            while let Some(p) = rx.recv().await {
                // The end of the JSON file is held back: its manifest goes before it.
                let bytes = match p.bytes.strip_suffix(b"\n]}\n") {
                    Some(head) if p.file == "notification.json" => head.to_vec(),
                    _ => p.bytes,
                };
                if p.file == wanted && out.send(Ok(bytes.into())).await.is_err() {
                    return false;
                }
            }
            true
        };
        let (done, listening) = tokio::join!(web.service.export_ncmd(&caller, export, tx), forward);
        match done {
            Ok(manifest) if format == Format::Json => {
                let tail = format!("\n],\"manifest\":{manifest}}}\n");
                let _ = out.send(Ok(tail.into())).await;
            }
            Ok(manifest) if part == Part::Manifest => {
                let _ = out.send(Ok(manifest.to_string().into())).await;
            }
            Ok(_) => {}
            // A broken transfer must look broken: never a short file that seems whole.
            Err(e) if listening => {
                tracing::error!(error = %e, "an export stopped");
                let _ = out.send(Err(std::io::Error::other("the export stopped"))).await;
            }
            Err(_) => {}
        }
    });
    let stream = stream::unfold(body, |mut rx| async { rx.recv().await.map(|b| (b, rx)) });
    let json = format == Format::Json || part == Part::Manifest;
    let kind = if json { "application/json" } else { "text/csv; charset=utf-8" };
    let name = format!("attachment; filename=\"ncmd-{wanted}\"");
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(stream)).into_response())
}
