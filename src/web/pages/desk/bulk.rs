//! Many cases at once: who and what first, then what would happen, then what has happened, line by
//! line.

use super::super::{Frame, change, failed};
use super::{hand, list};
use crate::auth::policy::{Action, Caller, Object, may};
use crate::domain::age::band_label;
use crate::domain::civil_time;
use crate::domain::deadline;
use crate::domain::id::{PanelId, Reference};
use crate::domain::intake::Problem;
use crate::domain::ready::{Blocker, Stage};
use crate::export::cell::harmless;
use crate::service::{Act, Line, MOST, ServiceError};
use crate::store::Listed;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::request;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

/// The cases that a form names, each with the version it was looked at.
pub(super) fn ticked(form: &Form) -> Vec<(Reference, i64)> {
    let picks = form.typed().iter().filter_map(|(name, value)| {
        let reference = Reference::parse(name.strip_prefix("case.")?)?;
        Some((reference, value.parse().unwrap_or_default()))
    });
    picks.take(MOST).collect()
}

/// The ticked cases, or the first of all that match.
async fn wanted(web: &Web, caller: &Caller, form: &Form) -> Result<Vec<Reference>, ServiceError> {
    if form.get("match").is_empty() {
        return Ok(ticked(form).into_iter().map(|(r, _)| r).collect());
    }
    let q = request::query(Some(&list::kept(form.get("query"))));
    let (mut query, _) = list::query_of(web, caller, &q).await?;
    query.size = i64::try_from(MOST).unwrap_or(i64::MAX);
    let rows = web.service.list_cases(caller, query).await?.rows;
    let open = rows.iter().filter(|r| !r.hidden);
    Ok(open.filter_map(|r| Reference::parse(&r.reference)).collect())
}

/// What a form says is to be done; none while that has not been asked yet.
fn act(caller: &Caller, form: &Form) -> Result<Option<Act>, Vec<Problem>> {
    match form.get("do") {
        "assign" if form.typed().contains_key("to") => {
            hand::wish(caller, form, "").map(|w| Some(Act::Assign(w)))
        }
        "panel" if form.typed().contains_key("panel") => {
            let id = Uuid::try_parse(form.get("panel")).map(PanelId);
            id.map(|id| Some(Act::Panel(id))).map_err(|_| {
                let message = "choose a panel".to_owned();
                vec![Problem { field: "panel".to_owned(), code: "required", message }]
            })
        }
        _ => Ok(None),
    }
}

/// May they do this anywhere? Asked before what they sent is looked at.
fn allowed(caller: &Caller, what: &str) -> bool {
    let action = match what {
        "panel" => Action::ChangePanels,
        "export" => Action::Export,
        _ => Action::ChangeCase,
    };
    may(caller, Action::ListCases, Object::default()) && may(caller, action, Object::default())
}

pub(super) async fn plan(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let caller = &session.caller;
    let what = form.get("do");
    if !allowed(caller, what) {
        return failed(&web, ServiceError::Forbidden);
    }
    let references = match wanted(&web, caller, &form).await {
        Ok(r) => r,
        Err(e) => return failed(&web, e),
    };
    let known = matches!(what, "assign" | "panel" | "export");
    if references.is_empty() || !known {
        let c = json!({
            "frame": frame,
            "nothing": true,
            "back": list::back_to(form.get("query"), &[]),
        });
        return web.templates.page(StatusCode::UNPROCESSABLE_ENTITY, "bulk.html", c);
    }
    let (asked, problems) = match act(caller, &form) {
        Ok(a) => (a, Vec::new()),
        Err(p) => (None, p),
    };
    if what == "export" {
        return export_plan(&web, caller, frame, &references, &form).await;
    }
    let Some(act) = asked else {
        return details(&web, caller, frame, &references, &form, problems).await;
    };
    match web.service.bulk_plan(caller, &references, &act).await {
        Ok(lines) => {
            let c = with_lines(&web, caller, frame, &form, &act, lines).await;
            web.templates.page(StatusCode::OK, "bulk.html", c)
        }
        Err(ServiceError::Invalid(p)) => details(&web, caller, frame, &references, &form, p).await,
        Err(e) => failed(&web, e),
    }
}

/// To whom, or onto which list?
async fn details(
    web: &Web,
    caller: &Caller,
    frame: Frame,
    references: &[Reference],
    form: &Form,
    problems: Vec<Problem>,
) -> Response {
    let people = match web.service.assignees(caller).await {
        Ok(p) => p,
        Err(e) => return failed(web, e),
    };
    let panels = match form.get("do") {
        "panel" => web.service.panels(caller).await,
        _ => Ok(Vec::new()),
    };
    let panels = match panels {
        Ok(p) => p,
        Err(e) => return failed(web, e),
    };
    let me = caller.person();
    let status =
        if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let c = json!({
        "frame": frame,
        "asks": form.get("do"),
        "typed": form.typed(),
        "problems": problems,
        "references": references,
        "people": people.iter().filter(|p| Some(p.id) != me).map(|p| (p.id.to_string(), p.name.clone())).collect::<Vec<_>>(),
        "panels": panels.iter().map(|p| (p.id.to_string(), format!("{}, {}", p.name, p.held_on.format("%-d %B %Y")))).collect::<Vec<_>>(),
        "query": list::kept(form.get("query")),
        "back": list::back_to(form.get("query"), &[]),
    });
    web.templates.page(status, "bulk.html", c)
}

/// In words: what is done, to whom.
async fn said(web: &Web, caller: &Caller, act: &Act) -> String {
    match act {
        Act::Assign(w) if w.to.is_none() => "assigned to nobody".to_owned(),
        Act::Assign(w) if w.to == caller.person() => "assigned to you".to_owned(),
        Act::Assign(w) => {
            let names = web.service.account_names().await.unwrap_or_default();
            let name = w.to.and_then(|id| names.get(&id).cloned()).unwrap_or_default();
            format!("handed over to {name}")
        }
        Act::Panel(id) => {
            let panels = web.service.panels(caller).await.unwrap_or_default();
            let name = panels.into_iter().find(|p| p.id == id.0).map(|p| p.name);
            format!("put on the list of {}", name.unwrap_or_default())
        }
    }
}

async fn with_lines(
    web: &Web,
    caller: &Caller,
    frame: Frame,
    form: &Form,
    act: &Act,
    lines: Vec<Line>,
) -> Value {
    let (yes, no): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(|l| l.done);
    json!({
        "frame": frame,
        "does": form.get("do"),
        "said": said(web, caller, act).await,
        "yes": yes,
        "no": no,
        "to": form.get("to"),
        "note": form.get("note"),
        "until": form.get("until"),
        "panel": form.get("panel"),
        "query": list::kept(form.get("query")),
        "back": list::back_to(form.get("query"), &[]),
    })
}

pub(super) async fn carry_out(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let caller = &session.caller;
    if !allowed(caller, form.get("do")) {
        return failed(&web, ServiceError::Forbidden);
    }
    let picks = ticked(&form);
    if form.get("do") == "export" {
        let references: Vec<Reference> = picks.into_iter().map(|(r, _)| r).collect();
        return match web.service.export_list(caller, &references).await {
            Ok(rows) => file(&rows),
            Err(e) => failed(&web, e),
        };
    }
    let act = match act(caller, &form) {
        Ok(Some(act)) => act,
        Ok(None) => return failed(&web, ServiceError::Invalid(Vec::new())),
        Err(p) => return failed(&web, ServiceError::Invalid(p)),
    };
    let lines = web.service.bulk_do(caller, &picks, &act).await;
    let mut c = with_lines(&web, caller, frame, &form, &act, lines).await;
    c["result"] = json!(true);
    web.templates.page(StatusCode::OK, "bulk.html", c)
}

pub(super) async fn undo(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let caller = &session.caller;
    if !allowed(caller, form.get("do")) {
        return failed(&web, ServiceError::Forbidden);
    }
    let act = match act(caller, &form) {
        Ok(Some(act)) => act,
        Ok(None) => return failed(&web, ServiceError::Invalid(Vec::new())),
        Err(p) => return failed(&web, ServiceError::Invalid(p)),
    };
    let references: Vec<Reference> = ticked(&form).into_iter().map(|(r, _)| r).collect();
    let lines = web.service.bulk_undo(caller, &references, &act).await;
    let mut c = with_lines(&web, caller, frame, &form, &act, lines).await;
    c["result"] = json!(true);
    c["undone"] = json!(true);
    web.templates.page(StatusCode::OK, "bulk.html", c)
}

/// Which cases a file would hold.
async fn export_plan(
    web: &Web,
    caller: &Caller,
    frame: Frame,
    references: &[Reference],
    form: &Form,
) -> Response {
    let rows = match web.service.export_list(caller, references).await {
        Ok(r) => r,
        Err(e) => return failed(web, e),
    };
    let there = |r: &Reference| rows.iter().any(|x| x.reference == r.to_string());
    let line = |r: &Reference| Line {
        reference: r.to_string(),
        version: 0,
        done: there(r),
        words: if there(r) { "" } else { "Not found, or not yours to see." }.to_owned(),
    };
    let (yes, no): (Vec<Line>, Vec<Line>) = references.iter().map(line).partition(|l| l.done);
    let c = json!({
        "frame": frame,
        "does": "export",
        "said": "written to a file, without anything personal",
        "yes": yes,
        "no": no,
        "query": list::kept(form.get("query")),
        "back": list::back_to(form.get("query"), &[]),
    });
    web.templates.page(StatusCode::OK, "bulk.html", c)
}

/// The list as a spreadsheet reads it: references and nothing personal.
fn file(rows: &[Listed]) -> Response {
    let mut out = csv::Writer::from_writer(Vec::new());
    let head = [
        "reference",
        "area",
        "stage",
        "response",
        "ready",
        "age",
        "category",
        "received",
        "died",
        "next_clock",
        "next_clock_due",
        "waits_for",
    ];
    let mut well = out.write_record(head).is_ok();
    for r in rows {
        let blockers: Vec<Blocker> = serde_json::from_str(&r.blockers).unwrap_or_default();
        let codes: Vec<&str> = blockers.iter().map(|b| b.code.as_str()).collect();
        let line = [
            r.reference.clone(),
            r.area.clone(),
            Stage::parse(&r.stage).map_or("", Stage::label).to_owned(),
            r.jar.clone(),
            if r.ready { "yes" } else { "no" }.to_owned(),
            band_label(r.age_band.as_deref()).to_owned(),
            r.category.map(|c| c.to_string()).unwrap_or_default(),
            civil_time::date_of(r.received_at).to_string(),
            r.died_on.map(|d| d.to_string()).unwrap_or_default(),
            r.next_due_kind.as_deref().map_or("", deadline::label).to_owned(),
            r.next_due.map(|d| civil_time::date_of(d).to_string()).unwrap_or_default(),
            codes.join(" "),
        ];
        let cells: Vec<String> = line.iter().map(|c| harmless(c).into_owned()).collect();
        well &= out.write_record(&cells).is_ok();
    }
    match out.into_inner() {
        Ok(bytes) if well => (
            [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"cases.csv\""),
            ],
            bytes,
        )
            .into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
