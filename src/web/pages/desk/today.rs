//! Today: what waits, each with its count and a way to all of it.

use super::super::{change, failed, signed_in};
use super::{address, counted};
use crate::auth::policy::{Action, Object, Role, Who, may};
use crate::domain::age::band_label;
use crate::domain::civil_time;
use crate::domain::deadline;
use crate::domain::ready::Stage;
use crate::service::Section;
use crate::store::Listed;
use crate::web::Web;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

pub(super) async fn show(
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
    // The list stood here before: links that people kept go on working.
    if let Some(q) = query.filter(|q| !q.is_empty()) {
        return see_other(&format!("/cases?{q}"));
    }
    if !may(&session.caller, Action::ListCases, Object::default()) {
        return super::list::search_only(&web, &frame);
    }
    let t = match web.service.today(&session.caller).await {
        Ok(t) => t,
        Err(e) => return failed(&web, e),
    };
    let alike = match web.service.count_likenesses(&session.caller).await {
        Ok(n) => n,
        Err(e) => return failed(&web, e),
    };
    let keys_on = web.service.desk_choice(&session.caller).await.map_or(true, |d| d.keys_on);
    let waiting: Vec<Value> = t
        .waiting
        .iter()
        .map(|w| {
            json!({
                "reference": w.reference,
                "agency": w.agency_name,
                "minutes": (t.now - w.planned_at).num_minutes(),
            })
        })
        .collect();
    let drafts: Vec<Value> =
        t.drafts.iter().map(|(at, area)| json!({ "at": at, "area": area })).collect();
    let all =
        |name: &str, value: &str, sort: &str| address("/cases", &[(name, value), ("sort", sort)]);
    let part = |s: &Section, href: String| {
        let rows: Vec<Value> = s.rows.iter().map(|r| line(r, t.now)).collect();
        json!({ "rows": rows, "count": s.count, "shown": counted(s.count), "href": href })
    };
    let context = json!({
        "frame": frame,
        "alike": alike,
        "now": t.now,
        "seen_at": t.now.timestamp_micros().to_string(),
        "since": t.since,
        "new": part(&t.new, all("new", "true", "")),
        "waiting": waiting,
        "waiting_count": t.waiting_count,
        "waiting_shown": counted(t.waiting_count),
        "overdue": part(&t.overdue, all("clock", "overdue", "due")),
        "soon": part(&t.soon, all("clock", "soon", "due")),
        "undated": part(&t.undated, all("undated", "true", "died")),
        "drafts": drafts,
        "draft_count": t.draft_count,
        "to_me": part(&t.handed_to_me, "/handed".to_owned()),
        "by_me": part(&t.handed_by_me, all("handed", "by_me", "")),
        "mine": t.mine,
        "mine_shown": counted(t.mine),
        "keys_on": keys_on,
    });
    web.templates.page(StatusCode::OK, "today.html", context)
}

/// A case in a short section.
fn line(r: &Listed, now: DateTime<Utc>) -> Value {
    let today = civil_time::date_of(now);
    json!({
        "reference": r.reference,
        "restricted": r.hidden,
        "received_at": r.received_at,
        "age": band_label(r.age_band.as_deref()),
        "jar": r.jar,
        "stage": Stage::parse(&r.stage).map_or("", Stage::label),
        "days": r.died_on.map(|d| (today - d).num_days()),
        "clock": r.next_due_kind.as_deref().map(deadline::label),
        "due": r.next_due,
        "late_days": r.next_due.map(|d| (now - d).num_days()),
        "handed_at": r.handed_at,
    })
}

/// "I have seen these": from now on new means later than what the page showed.
pub(super) async fn seen(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let at = form.get("seen_at").parse().ok().and_then(DateTime::from_timestamp_micros);
    let at = at.unwrap_or_else(|| web.service.clock.now());
    match web.service.seen_until(&session.caller, at).await {
        Ok(()) => see_other("/"),
        Err(e) => failed(&web, e),
    }
}
