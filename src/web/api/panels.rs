//! Panels and their lists.

use super::cases::{fields, reference};
use super::{answered, json};
use crate::auth::policy::Action;
use crate::domain::case::Refusal;
use crate::domain::id::PanelId;
use crate::export::cell::harmless;
use crate::service::{PanelList, ServiceError, panel_json};
use crate::web::Web;
use crate::web::problem::Problem;
use crate::web::request::{self, bearer};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

fn panel_id(text: &str) -> Result<PanelId, Problem> {
    Uuid::try_parse(text).map(PanelId).map_err(|_| Problem::not_found())
}

pub(super) async fn list(State(web): State<Web>, headers: HeaderMap) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let panels = web.service.panels(&caller).await?;
    let items: Vec<Value> = panels.iter().map(panel_json).collect();
    Ok(json(StatusCode::OK, &json!({ "items": items, "next": null })))
}

pub(super) async fn create(
    State(web): State<Web>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let bytes = request::bytes(&web, body).await?;
    let idempotency = request::idempotency(&headers, &bytes)?;
    let (area, name, held_on) = fields(request::json(&bytes)?, |o| {
        (o.text("area"), o.text("name").unwrap_or_default(), o.date("held_on"))
    })?;
    let answer = web
        .service
        .create_panel_once(&caller, area.as_deref(), &name, held_on, idempotency)
        .await?;
    Ok(answered(answer))
}

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let list = web.service.panel(&caller, panel_id(&text)?).await?;
    let mut body = panel_json(&list.panel);
    body["cases"] = list
        .lines
        .iter()
        .map(|l| json!({ "reference": Some(&l.reference).filter(|r| !r.is_empty()), "anonymous_reference": l.anonymous_reference }))
        .collect();
    Ok(json(StatusCode::OK, &body))
}

/// `{ "references": [...], "despite": "" }`, or one `reference`. Each case is added by itself; when
/// none could be, the answer is 409 with what stands in the way.
pub(super) async fn add(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let panel = panel_id(&text)?;
    web.service.check_panel(&caller, panel, Action::ChangePanels).await?;
    let value = request::json(&request::bytes(&web, body).await?)?;
    let (mut references, one, despite) =
        fields(value, |o| (o.texts("references"), o.text("reference"), o.text("despite")))?;
    references.extend(one);
    if references.is_empty() {
        return Err(Problem::field("references", "required", "name at least one case"));
    }
    let (mut added, mut refused) = (Vec::new(), Vec::new());
    let mut last = None;
    for text in references {
        let result = match reference(&text) {
            Ok(r) => web.service.list_for_panel(&caller, panel, &r, despite.clone()).await,
            Err(_) => Err(ServiceError::NotFound),
        };
        match result {
            Ok(()) => added.push(text),
            Err(e @ (ServiceError::NotFound | ServiceError::Refused(_))) => {
                let blockers = match &e {
                    ServiceError::Refused(Refusal::NotReady(b)) => json!(b),
                    _ => json!([]),
                };
                refused.push(
                    json!({ "reference": text, "reason": e.to_string(), "blockers": blockers }),
                );
                last = Some(e);
            }
            Err(e) => return Err(e.into()),
        }
    }
    match last {
        Some(e) if added.is_empty() && refused.len() == 1 => Err(e.into()),
        Some(_) if added.is_empty() => {
            let mut p = Problem::new(
                StatusCode::CONFLICT,
                "not_ready",
                "none of the cases could be listed",
            );
            p.errors = Value::Array(refused);
            Err(p)
        }
        _ => Ok(json(StatusCode::OK, &json!({ "added": added, "refused": refused }))),
    }
}

pub(super) async fn print(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let format =
        request::query(query.as_deref()).remove("format").unwrap_or_else(|| "json".to_owned());
    let list = web.service.panel(&caller, panel_id(&text)?).await?;
    match format.as_str() {
        "json" => {
            let body =
                json!({ "panel": panel_json(&list.panel), "items": list.lines, "next": null });
            Ok(json(StatusCode::OK, &body))
        }
        "csv" => Ok(csv_file(&list)),
        "xlsx" | "pdf" => {
            Err(Problem::field("format", "not_yet", "this release writes json and csv"))
        }
        _ => Err(Problem::field("format", "not_in_list", "must be one of: json, csv")),
    }
}

/// The list as a CSV download.
pub(in crate::web) fn csv_file(list: &PanelList) -> Response {
    let mut w = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let header = ["anonymous_reference", "age_band", "category", "days_since_death", "blockers"];
    // Writing to memory does not fail.
    let _ = w.write_record(header);
    for l in &list.lines {
        let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
        let blockers: Vec<&str> = l.blockers.iter().map(|b| b.message.as_str()).collect();
        let _ = w.write_record([
            l.anonymous_reference.as_str(),
            &l.age_band,
            &number(l.category),
            &number(l.days_since_death),
            &harmless(&blockers.join("; ")),
        ]);
    }
    let kind = "text/csv; charset=utf-8";
    let name = "attachment; filename=\"panel-list.csv\"";
    let bytes = w.into_inner().unwrap_or_default();
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], bytes).into_response()
}
