//! The rest of the statutory form, after the notification: a list of parts, each as optional as the
//! next, sent together.

use super::super::failed;
use super::sent::{sent, sent_for};
use super::session;
use super::words::{Said, said};
use crate::domain::draft::{Fields, Section};
use crate::domain::facts::{Detention, NoNhsNumber};
use crate::service::{Held, ServiceError, Told};
use crate::web::Web;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

pub(super) async fn list(State(web): State<Web>, headers: HeaderMap) -> Response {
    let (held, told) = match sent(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    listed(&web, &held, &told, StatusCode::OK, &[])
}

fn listed(web: &Web, held: &Held, told: &Told, status: StatusCode, problems: &[Said]) -> Response {
    let parts: Vec<Value> = Section::ALL
        .iter()
        .map(|s| {
            let filled = s.fields().iter().any(|f| !held.draft.get(f).is_empty());
            let saved = held.draft.saved.contains_key(&format!("more/{}", s.word()));
            let state = match (filled, saved) {
                (true, _) => "Filled in, not sent yet",
                (false, true) if held.draft.further_at.is_some() => "Sent",
                _ => "Not started",
            };
            json!({ "word": s.word(), "title": s.title(), "state": state })
        })
        .collect();
    let mut c = base(web, held, told);
    super::flow::merge(
        &mut c,
        json!({ "parts": parts, "summary": problems, "unsent": !held.draft.fields.is_empty() }),
    );
    web.templates.page(status, "notify/more.html", c)
}

fn base(web: &Web, held: &Held, told: &Told) -> Value {
    let directory = web.service.directory();
    let area = directory.area(&told.area);
    json!({
        "reference": told.reference,
        "further_until": told.further_until,
        "call_back": area.map(|a| a.call_back.clone()),
        "version": held.row.version,
        "draft": held.mark(),
        "further_at": held.draft.further_at,
        "replaced": held.draft.replaced,
    })
}

pub(super) async fn show(
    State(web): State<Web>,
    Path(section): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(section) = Section::parse(&section) else { return nowhere(&web) };
    let (held, told) = match sent(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let typed = held.draft.fields.clone();
    render(&web, &held, &told, section, &typed, StatusCode::OK, &[])
}

fn nowhere(web: &Web) -> Response {
    let advice = "Check the address, or start again from the first page.";
    web.templates.error(StatusCode::NOT_FOUND, "Page not found", advice)
}

fn render(
    web: &Web,
    held: &Held,
    told: &Told,
    section: Section,
    typed: &Fields,
    status: StatusCode,
    problems: &[Said],
) -> Response {
    let errors: std::collections::BTreeMap<_, _> = problems.iter().cloned().collect();
    let mut c = base(web, held, told);
    super::flow::merge(
        &mut c,
        json!({
            "section": { "word": section.word(), "title": section.title() },
            "typed": typed,
            "errors": errors,
            "summary": problems,
            "no_number": NoNhsNumber::WORDS,
            "detentions": Detention::WORDS,
        }),
    );
    web.templates.page(status, "notify/section.html", c)
}

pub(super) async fn save(
    State(web): State<Web>,
    Path(section): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let form = match session::posted(&web, &headers, body).await {
        Ok(f) => f,
        Err(r) => return r,
    };
    let Some(section) = Section::parse(&section) else { return nowhere(&web) };
    let asked = format!("/notify/more/{}", section.word());
    let (held, told) = match sent_for(&web, &headers, &form, &asked).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let from = form.get("_version").parse().unwrap_or(0);
    let anyway = !form.get("_anyway").is_empty();
    match web.service.save_section(&held.code, section, form.typed(), from, anyway).await {
        Ok(_) => session::on_to(&web, &headers, "/notify/more"),
        Err(ServiceError::Invalid(p)) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            render(&web, &held, &told, section, form.typed(), status, &said(&p))
        }
        Err(e) => session::unsaved(&web, &format!("/notify/more/{}", section.word()), &form, e),
    }
}

pub(super) async fn send(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let form = match session::posted(&web, &headers, body).await {
        Ok(f) => f,
        Err(r) => return r,
    };
    let (held, told) = match sent_for(&web, &headers, &form, "/notify/more/send").await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match web.service.send_further(&held.code).await {
        Ok(_) => see_other("/notify/done?added=yes"),
        Err(ServiceError::Invalid(p)) => {
            listed(&web, &held, &told, StatusCode::UNPROCESSABLE_ENTITY, &said(&p))
        }
        Err(ServiceError::Refused(why)) => {
            let said = [("_form".to_owned(), super::words::first_upper(&why.to_string()))];
            listed(&web, &held, &told, StatusCode::CONFLICT, &said)
        }
        Err(e) => failed(&web, e),
    }
}
