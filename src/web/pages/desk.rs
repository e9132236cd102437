//! The coordinator's queue.

use super::{change, failed, signed_in};
use crate::auth::policy::{Action, Caller, Object, Role, Who, may};
use crate::domain::age::band_label;
use crate::domain::civil_time;
use crate::domain::id::Reference;
use crate::domain::ready::{Blocker, Stage};
use crate::service::{CaseQuery, ServiceError};
use crate::store::Listed;
use crate::web::Web;
use crate::web::pages::Frame;
use crate::web::render::see_other;
use crate::web::request;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

#[derive(Serialize)]
struct Row {
    reference: String,
    stage: &'static str,
    jar: String,
    age_band: &'static str,
    received_at: DateTime<Utc>,
    days: Option<i64>,
    ready: bool,
    blockers: Vec<Blocker>,
    waiting: i64,
    /// Restricted and not open to whoever looks.
    restricted: bool,
}

#[derive(Serialize)]
struct Context {
    frame: Frame,
    rows: Vec<Row>,
    stages: Vec<(&'static str, &'static str)>,
    stage: String,
    jar: String,
    ready: bool,
    next: Option<String>,
    searched: bool,
    may_list: bool,
    /// Notifications begun more than an hour ago and not sent.
    old_drafts: usize,
    /// Pairs of cases that may be of the same death.
    alike: i64,
}

/// `stage`, `jar`, `ready` narrow the list; `after` turns the page.
pub(super) async fn queue(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    // Who lists no cases starts where they have something to do.
    if let Who::Person { role, .. } = &session.caller.who {
        match role {
            Role::PanelMember | Role::Chair => return see_other("/panels"),
            Role::Notifier => return see_other("/notify"),
            _ => {}
        }
    }
    let mut q = request::query(query.as_deref());
    let stage = q.remove("stage").filter(|s| Stage::parse(s).is_some()).unwrap_or_default();
    let jars = ["triggered", "provisional", "not_triggered"];
    let jar = q.remove("jar").filter(|j| jars.contains(&j.as_str())).unwrap_or_default();
    let ready = q.remove("ready").as_deref() == Some("true");
    let some = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    let case_query = CaseQuery {
        stage: some(&stage),
        jar: some(&jar),
        ready: ready.then_some(true),
        after: q.remove("after").as_deref().and_then(cursor),
        size: 50,
        ..CaseQuery::default()
    };
    list(&web, &session.caller, frame, case_query, stage, jar, ready, false).await
}

fn cursor(text: &str) -> Option<(DateTime<Utc>, Uuid)> {
    let (at, id) = text.split_once('.')?;
    Some((DateTime::from_timestamp_micros(at.parse().ok()?)?, id.parse().ok()?))
}

/// Search by reference, name or NHS number; posted, so that nothing personal stands in an address.
pub(super) async fn search(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let own: Vec<&str> = session.caller.agency.as_deref().into_iter().collect();
    let object = Object { agencies: &own, ..Object::default() };
    if !may(&session.caller, Action::ReadCase, object) {
        return failed(&web, ServiceError::Forbidden);
    }
    let text = form.get("q").to_owned();
    if let Some(reference) = Reference::parse(&text) {
        return see_other(&format!("/cases/{reference}"));
    }
    let digits = text.len() <= 8 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let query = CaseQuery {
        reference: digits.then(|| text.clone()),
        person: (!digits && !text.is_empty()).then_some(text),
        size: 50,
        ..CaseQuery::default()
    };
    list(&web, &session.caller, frame, query, String::new(), String::new(), false, true).await
}

#[allow(clippy::too_many_arguments)] // what the page shows of its own filters
async fn list(
    web: &Web,
    caller: &Caller,
    frame: Frame,
    query: CaseQuery,
    stage: String,
    jar: String,
    ready: bool,
    searched: bool,
) -> Response {
    let may_list = may(caller, Action::ListCases, Object::default());
    let listed =
        if may_list { web.service.list_cases(caller, query).await } else { Ok((Vec::new(), None)) };
    let (rows, next) = match listed {
        Ok(found) => found,
        Err(e) => return failed(web, e),
    };
    let old_drafts = if may_list { web.service.count_old_drafts(caller).await } else { Ok(0) };
    let old_drafts = match old_drafts {
        Ok(n) => n,
        Err(e) => return failed(web, e),
    };
    let alike = match web.service.count_likenesses(caller).await {
        Ok(n) => n,
        Err(e) => return failed(web, e),
    };
    let today = civil_time::date_of(web.service.clock.now());
    let row = |r: Listed| Row {
        stage: match r.stage.as_str() {
            "destroyed" => "Destroyed",
            word => Stage::parse(word).map_or("", Stage::label),
        },
        jar: r.jar,
        age_band: band_label(r.age_band.as_deref()),
        received_at: r.received_at,
        days: r.died_on.map(|d| (today - d).num_days()),
        ready: r.ready,
        blockers: serde_json::from_str(&r.blockers).unwrap_or_default(),
        waiting: r.waiting,
        restricted: r.hidden,
        reference: r.reference,
    };
    let context = Context {
        frame,
        rows: rows.into_iter().map(row).collect(),
        stages: Stage::WORDS
            .iter()
            .filter_map(|w| Stage::parse(w).map(|s| (*w, s.label())))
            .collect(),
        stage,
        jar,
        ready,
        next: next.map(|(at, id)| format!("{}.{id}", at.timestamp_micros())),
        searched,
        may_list,
        old_drafts,
        alike,
    };
    web.templates.page(StatusCode::OK, "queue.html", context)
}
