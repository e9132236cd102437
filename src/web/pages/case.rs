//! The case page and the reached board, with what can be done from them.

use super::{Frame, change, documents, edit, failed, signed_in};
use crate::auth::policy::{Action, Object, may};
use crate::auth::session::Session;
use crate::domain::age::{band, band_label};
use crate::domain::case::CaseState;
use crate::domain::civil_time;
use crate::domain::event::Person;
use crate::domain::id::{PanelId, Reference};
use crate::domain::milestone::{Milestone, Record, Standing};
use crate::domain::ready::{Stage, blockers, stage};
use crate::service::{JarDecision, ServiceError, Wish};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::render::see_other;
use crate::web::request;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;
use uuid::Uuid;

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match context(&web, &session.caller, &text).await {
        Ok(mut c) => {
            c["frame"] = json!(frame);
            if let Some(changed) = request::query(query.as_deref()).remove("changed") {
                c["banner"] = json!(done(&web, &session, &text, &changed).await);
            }
            web.templates.page(StatusCode::OK, "case.html", c)
        }
        // Whoever may not read it may still have a part in the response.
        Err(ServiceError::NotFound) if super::plan::is_theirs(&web, &session, &text).await => {
            see_other(&format!("/cases/{text}/plan"))
        }
        Err(e) => failed(&web, e),
    }
}

/// What was just changed, said on top.
async fn done(
    web: &Web,
    session: &Session,
    text: &str,
    changed: &str,
) -> Option<serde_json::Value> {
    let reference = Reference::parse(text)?;
    let history = web.service.field_history(&session.caller, &reference).await.ok()?;
    edit::banner(&history, changed)
}

/// The case page with what could not be done, and what was typed still there.
pub(super) async fn again(
    web: &Web,
    session: &Session,
    text: &str,
    form: &Form,
    e: ServiceError,
) -> Response {
    let p = crate::web::problem::Problem::from(e);
    let may_show = matches!(p.status, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT);
    let mut c = match context(web, &session.caller, text).await {
        Ok(c) => c,
        // Not theirs, or not there: what was wrong with the form is beside the point.
        Err(e) => return failed(web, e),
    };
    if !may_show {
        return web.templates.error(p.status, "That was not done", &p.detail);
    }
    let fields = if p.status == StatusCode::UNPROCESSABLE_ENTITY { p.errors } else { json!([]) };
    c["frame"] = json!(Frame::of(session));
    c["problems"] = if fields.as_array().is_some_and(|f| !f.is_empty()) {
        fields
    } else {
        json!([{ "field": "main", "message": p.detail }])
    };
    c["typed"] = json!(form.typed());
    web.templates.page(p.status, "case.html", c)
}

async fn context(
    web: &Web,
    caller: &crate::auth::policy::Caller,
    text: &str,
) -> Result<serde_json::Value, ServiceError> {
    let reference = Reference::parse(text).ok_or(ServiceError::NotFound)?;
    let d = web.service.case(caller, &reference).await?;
    let timeline = web.service.timeline(caller, &reference).await?;
    let mut access = json!(web.service.access_view(caller, &d.state).await?);
    let s = &d.state;
    let likeness = super::likeness::part(web, caller, s, &reference).await?;
    let mut documents = documents::listed(&s.documents);
    documents.extend(documents::kept(&web.service.account_documents(s).await?));
    let stage = stage(s);
    let may =
        |a| may(caller, a, Object { area: Some(&s.area), agencies: &[], ..Object::default() });
    access["may_audit"] = json!(may(Action::ReadAudit));
    let panels = if may(Action::ChangePanels) {
        web.service.panels(caller).await?.into_iter().filter(|p| p.area == s.area).collect()
    } else {
        Vec::new()
    };
    let milestones: Vec<_> = Milestone::GATES
        .iter()
        .chain(&[Milestone::PanelReview, Milestone::Finalised])
        .map(|m| {
            let r = s.milestones.get(m);
            json!({
                "word": m.word(),
                "label": m.label(),
                "standing": r.map_or("not recorded yet", |r| r.standing.label()),
                "on": r.and_then(|r| r.on),
                "blocks": r.is_none_or(|r| r.standing.blocks()) && Milestone::GATES.contains(m) && !(r.is_none() && *m == Milestone::CriminalOrReviewHold),
            })
        })
        .collect();
    Ok(json!({
        "reference": s.reference,
        "area": s.area,
        "received_at": s.received_at,
        "stage": stage.label(),
        "ready": stage == Stage::Ready,
        "blockers": blockers(s),
        "scope": s.scope,
        "standing": s.standing.word(),
        "stood_down": s.stood_down.as_ref().map(|x| json!({ "at": x.at, "reason": x.reason, "by": x.decided_by.name })),
        "jar": s.assessment,
        "facts": s.facts,
        "documents": documents,
        "groups": edit::shown(&s.facts),
        "next_clock": d.clocks.iter().filter(|c| c.met.is_none()).min_by_key(|c| c.due),
        "age_band": band_label(s.facts.age().and_then(band).map(|b| b.code)),
        "warnings": s.warnings,
        "clocks": d.clocks,
        "alerts": d.alerts,
        "waiting": d.alerts.iter().filter(|a| a.waiting_minutes.is_some()).count(),
        "milestones": milestones,
        "standings": Standing::WORDS.iter().filter_map(|w| Standing::parse(w).map(|s| (*w, s.label()))).collect::<Vec<_>>(),
        "category": s.category(),
        "listing": s.listing.as_ref().map(|l| json!({ "id": l.panel, "name": l.panel_name, "held_on": l.held_on })),
        "panels": panels.iter().map(|p| json!({ "id": p.id, "name": p.name, "held_on": p.held_on })).collect::<Vec<_>>(),
        "timeline": timeline,
        "may_change": may(Action::ChangeCase),
        "whose": whose(s, caller.person()),
        "people": people(web, caller, may(Action::ChangeCase)).await?,
        "may_decide": may(Action::DecideJar),
        "may_list": may(Action::ChangePanels),
        "may_acknowledge": may(Action::Acknowledge),
        "may_plan": web.service.may_plan(caller, s),
        "may_withdraw": may(Action::Withdraw),
        "withdrawn": s.withdrawn.as_ref().map(|w| json!({ "at": w.at, "reason": w.reason, "by": w.decided_by.name })),
        "drill": s.drill,
        "plan": s.plan.iter().map(|e| json!({ "at": e.at, "agency": web.service.agency_name(&s.area, &e.agency), "who": e.person.name, "entry": e.entry })).collect::<Vec<_>>(),
        "plan_agencies": crate::service::plan_agencies(caller, s),
        "access": access,
        "likeness": likeness,
    }))
}

/// In whose hands the case is.
fn whose(s: &CaseState, me: Option<Uuid>) -> serde_json::Value {
    let a = &s.assigned;
    json!({
        "name": a.to.as_ref().map(|p| &p.name),
        "is_me": a.to.as_ref().is_some_and(|p| Some(p.id) == me),
        "since": a.to.as_ref().map(|_| a.at),
        "by": a.by.name,
        "note": a.note,
        "until": a.until,
        "waiting": a.waiting,
    })
}

/// To whom they may give it; nobody if they may not.
async fn people(
    web: &Web,
    caller: &crate::auth::policy::Caller,
    may_change: bool,
) -> Result<Vec<(String, String)>, ServiceError> {
    if !may_change || !may(caller, Action::ListCases, Object::default()) {
        return Ok(Vec::new());
    }
    let me = caller.person();
    let all = web.service.assignees(caller).await?;
    let mut out: Vec<_> = me.iter().map(|_| ("me".to_owned(), "Me".to_owned())).collect();
    out.extend(all.into_iter().filter(|p| Some(p.id) != me).map(|p| (p.id.to_string(), p.name)));
    Ok(out)
}

/// What follows a change of a case: its page, or the page again with what was wrong.
pub(super) async fn back(
    web: &Web,
    session: &Session,
    reference: &str,
    form: &Form,
    done: Result<(), ServiceError>,
) -> Response {
    match done {
        Ok(()) => see_other(&format!("/cases/{reference}")),
        Err(e @ (ServiceError::NotFound | ServiceError::Forbidden)) => failed(web, e),
        Err(e) => again(web, session, reference, form, e).await,
    }
}

/// Whether they may at all: before anything of the form is read, so that a wrong form does not tell
/// a case that is not theirs from one that is not there.
pub(super) async fn guard(
    web: &Web,
    session: &Session,
    text: &str,
    action: Action,
) -> Result<Reference, Response> {
    let Some(reference) = Reference::parse(text) else {
        return Err(failed(web, ServiceError::NotFound));
    };
    let allowed = web.service.check(&session.caller, &reference, action).await;
    allowed.map(|()| reference).map_err(|e| failed(web, e))
}

/// A look at a case: who looks, and the case; or why not.
pub(super) async fn looking(
    web: &Web,
    headers: &HeaderMap,
    text: &str,
    action: Action,
) -> Result<(Session, Frame, Reference), Response> {
    let (session, frame) = signed_in(web, headers).await?;
    let reference = guard(web, &session, text, action).await?;
    Ok((session, frame, reference))
}

/// A form about a case: who sent it, the case, and what was typed; or why not.
pub(super) async fn posted(
    web: &Web,
    headers: &HeaderMap,
    text: &str,
    body: Body,
    action: Action,
) -> Result<(Session, Reference, Form), Response> {
    let (session, _, form) = change(web, headers, body).await?;
    let reference = guard(web, &session, text, action).await?;
    Ok((session, reference, form))
}

pub(super) async fn milestone(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let action = Action::ChangeCase;
    let (session, reference, form) = match posted(&web, &headers, &text, body, action).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let read = || {
        let wrong = |f, m: &str| crate::service::invalid(f, "required", m);
        let on = match form.get("on") {
            "" => None,
            day => Some(
                civil_time::parse_day(day)
                    .ok_or_else(|| wrong("on", "The day must be a real date, like 2026-11-20"))?,
            ),
        };
        let category = match form.get("category") {
            "" => None,
            c => Some(c.parse().map_err(|_| wrong("category", "The category must be 1 to 10"))?),
        };
        let record = Record {
            milestone: Milestone::parse(form.get("milestone"))
                .ok_or_else(|| wrong("milestone", "Choose a step"))?,
            standing: Standing::parse(form.get("standing"))
                .ok_or_else(|| wrong("standing", "Choose how it stands"))?,
            on,
            category,
        };
        Ok::<_, ServiceError>(record)
    };
    let done = match read() {
        Ok(record) => {
            let wish = Wish::Milestone { record, note: form.get("note").to_owned() };
            web.service.change(&session.caller, &reference, wish, None).await.map(drop)
        }
        Err(e) => Err(e),
    };
    back(&web, &session, &text, &form, done).await
}

pub(super) async fn decide_jar(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let action = Action::DecideJar;
    let (session, reference, form) = match posted(&web, &headers, &text, body, action).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let consulted = form
        .get("consulted")
        .split([',', '\n'])
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .map(|n| Person { name: n.to_owned(), ..Person::default() })
        .collect();
    let stand_down = match form.get("decision") {
        "stand_down" => true,
        "triggered" => false,
        _ => {
            let e = crate::service::invalid("decision", "required", "Choose what was decided");
            return again(&web, &session, &text, &form, e).await;
        }
    };
    let wish = Wish::DecideJar(JarDecision {
        stand_down,
        reason: form.get("reason").to_owned(),
        consulted,
        decided_by: None,
    });
    let done = web.service.change(&session.caller, &reference, wish, None).await.map(drop);
    back(&web, &session, &text, &form, done).await
}

/// The notification is taken back.
pub(super) async fn withdraw(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let action = Action::Withdraw;
    let (session, reference, form) = match posted(&web, &headers, &text, body, action).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let wish = Wish::Withdraw { reason: form.get("withdraw_reason").to_owned() };
    let done = web.service.change(&session.caller, &reference, wish, None).await.map(drop);
    back(&web, &session, &text, &form, done).await
}

pub(super) async fn list_for_panel(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Response {
    let action = Action::ChangePanels;
    let (session, reference, form) = match posted(&web, &headers, &text, body, action).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let despite = Some(form.get("despite").to_owned()).filter(|d| !d.is_empty());
    let panel = Uuid::try_parse(form.get("panel")).map(PanelId);
    let done = match panel {
        Ok(p) => web.service.list_for_panel(&session.caller, p, &reference, despite).await,
        Err(_) => Err(crate::service::invalid("panel", "required", "Choose a panel")),
    };
    back(&web, &session, &text, &form, done).await
}
