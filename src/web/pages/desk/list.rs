//! The list of cases: filters, order, columns, views; and the search, which is posted.

use super::super::{Frame, change, failed, signed_in};
use super::columns::{COLUMNS, Column, chosen};
use super::{address, counted};
use crate::auth::policy::{Action, Caller, Object, may};
use crate::domain::age::{BANDS, band_label};
use crate::domain::civil_time;
use crate::domain::deadline;
use crate::domain::id::Reference;
use crate::domain::intake::Problem;
use crate::domain::ready::{Blocker, Stage, waits};
use crate::service::{COUNTED, CaseQuery, Listing, MOST, ServiceError};
use crate::store::Listed;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::listing::{FILTERS, ORDER, mark_text, read, read_mark};
use crate::web::render::see_other;
use crate::web::request;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// What a list was asked for, by the names of the address.
type Asked = HashMap<String, String>;

/// The list's own address with other parameters.
type Link<'a> = dyn Fn(&[(&str, &str)]) -> String + 'a;

/// A form of the list page that comes back with problems.
pub(super) struct Back<'a> {
    pub query: &'a str,
    pub view: Option<Uuid>,
    pub problems: Vec<Problem>,
}

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let caller = &session.caller;
    if !may(caller, Action::ListCases, Object::default()) {
        if may_search(caller) {
            return search_only(&web, &frame);
        }
        return failed(&web, ServiceError::Forbidden);
    }
    let q = request::query(query.as_deref());
    let shown = match asked(&web, caller, q).await {
        Ok(Ok(shown)) => shown,
        Ok(Err(view)) => return see_other(&format!("/cases?view={view}")),
        Err(e) => return failed(&web, e),
    };
    render(&web, caller, frame, shown, StatusCode::OK, Vec::new(), &BTreeMap::new()).await
}

/// What the address, or the view it names, asks for. The inner error is the view to open instead.
async fn asked(web: &Web, caller: &Caller, q: Asked) -> Result<Result<Asked, Uuid>, ServiceError> {
    if q.is_empty() {
        let chosen = web.service.desk_choice(caller).await?.default_view;
        // A view that was deleted, or is shared no more, opens nothing.
        if let Some(id) = chosen
            && web.service.view(caller, id).await.is_ok()
        {
            return Ok(Err(id));
        }
    }
    let Some(view) = q.get("view").and_then(|v| Uuid::try_parse(v).ok()) else { return Ok(Ok(q)) };
    let found = web.service.view(caller, view).await?;
    if q.len() > 1 {
        return Ok(Ok(q));
    }
    let mut all = request::query(Some(&found.query));
    all.insert("view".to_owned(), view.to_string());
    Ok(Ok(all))
}

/// The list page once more, with what was wrong.
pub(super) async fn again(
    web: &Web,
    caller: &Caller,
    frame: Frame,
    back: Back<'_>,
    status: StatusCode,
    form: &Form,
) -> Response {
    let mut q = request::query(Some(back.query));
    if let Some(v) = back.view {
        q.insert("view".to_owned(), v.to_string());
    }
    render(web, caller, frame, q, status, back.problems, form.typed()).await
}

/// Search by reference, name or NHS number; posted, so that nothing personal stands in an address.
pub(super) async fn search(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let caller = &session.caller;
    if !may_search(caller) {
        return failed(&web, ServiceError::Forbidden);
    }
    let text = form.get("q").to_owned();
    if let Some(reference) = Reference::parse(&text) {
        return see_other(&format!("/cases/{reference}"));
    }
    if !may(caller, Action::ListCases, Object::default()) {
        return search_only(&web, &frame);
    }
    let digits = text.len() <= 8 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let query = CaseQuery {
        reference: digits.then(|| text.clone()),
        person: (!digits && !text.is_empty()).then_some(text),
        size: 50,
        ..CaseQuery::default()
    };
    let listing = match web.service.list_cases(caller, query).await {
        Ok(l) => l,
        Err(e) => return failed(&web, e),
    };
    let page = Shown { asked: Asked::new(), searched: true, count: None, listing };
    finish(&web, caller, frame, page, StatusCode::OK, Vec::new(), &BTreeMap::new()).await
}

fn may_search(caller: &Caller) -> bool {
    let own: Vec<&str> = caller.agency.as_deref().into_iter().collect();
    may(caller, Action::ReadCase, Object { agencies: &own, ..Object::default() })
}

/// For those who open single cases and list none.
pub(super) fn search_only(web: &Web, frame: &Frame) -> Response {
    web.templates.page(StatusCode::OK, "cases.html", json!({ "frame": frame, "may_list": false }))
}

/// The list's own parameters of a query string, for keeping: no cursor, and nothing else.
pub(super) fn kept(query: &str) -> String {
    let q = request::query(Some(query));
    let names = FILTERS.into_iter().chain(ORDER).chain(["columns"]);
    let pairs: Vec<(&str, &str)> =
        names.filter_map(|n| q.get(n).map(|v| (n, v.as_str()))).collect();
    address("", &pairs).trim_start_matches('?').to_owned()
}

/// Where the list stood, without some of its parameters.
pub(super) fn back_to(query: &str, without: &[&str]) -> String {
    let q = request::query(Some(&kept(query)));
    let pairs: Vec<(&str, &str)> = FILTERS
        .into_iter()
        .chain(ORDER)
        .chain(["columns"])
        .filter(|n| !without.contains(n))
        .filter_map(|n| q.get(n).map(|v| (n, v.as_str())))
        .collect();
    let to = address("/cases", &pairs);
    if to == "/cases" { "/cases?all=true".to_owned() } else { to }
}

/// What a query string asks for, with "new" as it stands for the caller.
pub(super) async fn query_of(
    web: &Web,
    caller: &Caller,
    q: &Asked,
) -> Result<(CaseQuery, Vec<Problem>), ServiceError> {
    let (mut query, wrong) = read(q);
    if q.get("new").is_some_and(|v| v == "true") {
        query.since = Some(web.service.new_since(caller).await?);
    }
    let problem = |w: crate::web::listing::Wrong| Problem {
        field: w.field.to_owned(),
        code: w.code,
        message: w.message,
    };
    Ok((query, wrong.into_iter().map(problem).collect()))
}

struct Shown {
    asked: Asked,
    searched: bool,
    count: Option<i64>,
    listing: Listing,
}

async fn render(
    web: &Web,
    caller: &Caller,
    frame: Frame,
    q: Asked,
    status: StatusCode,
    problems: Vec<Problem>,
    typed: &BTreeMap<String, String>,
) -> Response {
    let (mut query, wrong) = match query_of(web, caller, &q).await {
        Ok(x) => x,
        Err(e) => return failed(web, e),
    };
    let before = q.get("before").and_then(|t| read_mark(t));
    query.back = before.is_some();
    query.after = before.or_else(|| q.get("after").and_then(|t| read_mark(t)));
    let counted = web.service.count_cases(caller, &query, COUNTED).await;
    let listing = web.service.list_cases(caller, query).await;
    let (listing, count) = match (listing, counted) {
        (Ok(l), Ok(n)) => (l, n),
        (Err(e), _) | (_, Err(e)) => return failed(web, e),
    };
    let status = if wrong.is_empty() { status } else { StatusCode::UNPROCESSABLE_ENTITY };
    let all = problems.into_iter().chain(wrong).collect();
    let shown = Shown { asked: q, searched: false, count: Some(count), listing };
    finish(web, caller, frame, shown, status, all, typed).await
}

#[allow(clippy::too_many_lines)] // one value of the page after the other
async fn finish(
    web: &Web,
    caller: &Caller,
    frame: Frame,
    shown: Shown,
    status: StatusCode,
    problems: Vec<Problem>,
    typed: &BTreeMap<String, String>,
) -> Response {
    let service = &web.service;
    let found = async {
        Ok::<_, ServiceError>((
            service.desk_choice(caller).await?,
            service.account_names().await?,
            service.assignees(caller).await?,
            if caller.person().is_some() { service.views(caller).await? } else { Vec::new() },
        ))
    };
    let (desk, names, people, views) = match found.await {
        Ok(x) => x,
        Err(e) => return failed(web, e),
    };
    let q = &shown.asked;
    let said = |name: &str| q.get(name).map_or("", String::as_str);
    let columns = match said("columns") {
        "" => chosen(&desk.columns.iter().map(String::as_str).collect::<Vec<_>>()),
        keys => chosen(&keys.split(',').collect::<Vec<_>>()),
    };
    let names_of = |c: &[Column]| c.iter().map(|c| c.key).collect::<Vec<_>>().join(",");
    let active: Vec<&str> = FILTERS.into_iter().filter(|f| !said(f).is_empty()).collect();
    let link = |more: &[(&str, &str)]| {
        let own = FILTERS.into_iter().chain(ORDER).chain(["columns", "view"]);
        let kept = own.filter(|n| !more.iter().any(|(m, _)| m == n)).map(|n| (n, said(n)));
        let pairs: Vec<(&str, &str)> = kept.chain(more.iter().copied()).collect();
        address("/cases", &pairs)
    };
    let (sort, order) = (said("sort"), said("order"));
    let sort = if sort.is_empty() { "received" } else { sort };
    let heads: Vec<Value> = columns.iter().map(|c| head(c, sort, order, &link)).collect();
    let now = service.clock.now();
    let rows: Vec<Value> = shown.listing.rows.iter().map(|r| row(r, &names, now)).collect();
    let directory = service.directory();
    let areas: Vec<(String, String)> = service
        .areas_of(caller)
        .into_iter()
        .map(|id| {
            let name = directory.area(&id).map_or_else(|| id.clone(), |a| a.name.clone());
            (id, name)
        })
        .collect();
    let turn =
        |m: Option<crate::store::Mark>, name: &str| m.map(|m| link(&[(name, &mark_text(m))]));
    let current = views.iter().find(|v| v.id.to_string() == said("view"));
    let mut fields: BTreeMap<&str, &str> = FILTERS.into_iter().map(|f| (f, said(f))).collect();
    fields.insert("sort", said("sort"));
    fields.insert("order", order);
    let all_columns: Vec<Value> = COLUMNS
        .iter()
        .map(|c| {
            let on = columns.iter().any(|x| x.key == c.key);
            json!({ "key": c.key, "label": c.label, "on": on })
        })
        .collect();
    let may_change = may(caller, Action::ChangeCase, Object::default());
    let context = json!({
        "frame": frame,
        "may_list": true,
        "searched": shown.searched,
        "typed": fields,
        "view_typed": typed,
        "problems": problems,
        "active": active,
        "stages": Stage::WORDS.iter().filter_map(|w| Stage::parse(w).map(|s| (*w, s.label()))).collect::<Vec<_>>(),
        "ages": BANDS.iter().map(|b| (*b, band_label(Some(b)))).chain([("unknown", "Not known")]).collect::<Vec<_>>(),
        "waits": waits(),
        "categories": (1..=10).map(|n| (n.to_string(), n.to_string())).collect::<Vec<_>>(),
        "areas": areas,
        "people": people.iter().map(|p| (p.id.to_string(), p.name.clone())).collect::<Vec<_>>(),
        "columns": columns.iter().map(|c| c.key).collect::<Vec<_>>(),
        "heads": heads,
        "all_columns": all_columns,
        "rows": rows,
        "count": shown.count,
        "count_shown": shown.count.map(counted),
        "most": MOST,
        "next": turn(shown.listing.next, "after"),
        "previous": turn(shown.listing.previous, "before"),
        "query": kept(&address("", &q.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>()).replacen('?', "", 1)),
        "query_with_columns": kept(link(&[("columns", &names_of(&columns))]).split_once('?').map_or("", |(_, q)| q)),
        "views": views,
        "view": current,
        "has_default": desk.default_view.is_some(),
        "keys_on": desk.keys_on,
        "may_change": may_change,
        "may_panel": may(caller, Action::ChangePanels, Object::default()),
        "may_export": may(caller, Action::Export, Object::default()),
    });
    web.templates.page(status, "cases.html", context)
}

/// A column's heading; a link where it sorts.
fn head(c: &Column, sort: &str, order: &str, link: &Link<'_>) -> Value {
    let Some(by) = c.sort else { return json!({ "label": c.label, "key": c.key }) };
    let down_first = matches!(by, "received" | "days");
    let is = by == sort;
    let up = if order.is_empty() { !down_first } else { order == "asc" };
    let next = match (is, up) {
        (true, true) => "desc",
        (true, false) => "asc",
        (false, _) if down_first => "desc",
        (false, _) => "asc",
    };
    json!({
        "label": c.label,
        "key": c.key,
        "href": link(&[("sort", by), ("order", next)]),
        "sorted": if !is { "none" } else if up { "ascending" } else { "descending" },
    })
}

fn row(r: &Listed, names: &BTreeMap<Uuid, String>, now: DateTime<Utc>) -> Value {
    let today = civil_time::date_of(now);
    let stage = match r.stage.as_str() {
        "destroyed" => "Destroyed",
        word => Stage::parse(word).map_or("", Stage::label),
    };
    let blockers: Vec<Blocker> = serde_json::from_str(&r.blockers).unwrap_or_default();
    let name = |id: Option<Uuid>| id.map(|id| names.get(&id).map_or("somebody", String::as_str));
    json!({
        "reference": r.reference,
        "restricted": r.hidden,
        "version": r.version,
        "area": r.area,
        "stage": stage,
        "jar": r.jar,
        "age": band_label(r.age_band.as_deref()),
        "category": r.category,
        "received_at": r.received_at,
        "died_on": r.died_on,
        "days": r.died_on.map(|d| (today - d).num_days()),
        "ready": r.ready,
        "blockers": blockers,
        "waiting": r.waiting,
        "clock": r.next_due_kind.as_deref().map(deadline::label),
        "due": r.next_due,
        "late": r.next_due.is_some_and(|d| d < now),
        "assigned": name(r.assigned_to),
        "handed": r.handed_at.is_some(),
    })
}
