//! Two accounts of one thing: somebody chooses, and says why. The other stays in the history.

use super::effect;
use super::fields::{self, group_of, label, text};
use crate::auth::policy::Action;
use crate::domain::case::Refusal;
use crate::domain::history;
use crate::domain::reading::reading;
use crate::service::{EditDesk, Revision, ServiceError};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::{Frame, case, change, failed};
use crate::web::render::{see_other, sentence};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((reference, field)): Path<(String, String)>,
) -> Response {
    let looked = case::looking(&web, &headers, &reference, Action::ChangeCase).await;
    let (session, frame, reference) = match looked {
        Ok(l) => l,
        Err(r) => return r,
    };
    let Some(field) = fields::known(&field) else { return failed(&web, ServiceError::NotFound) };
    match web.service.edit_desk(&session.caller, &reference, None).await {
        Ok(desk) => {
            page(&web, frame, &desk, field.path, &Form::default(), StatusCode::OK, &[]).await
        }
        Err(e) => failed(&web, e),
    }
}

/// The accounts as they stand now, with what was chosen and typed.
#[allow(clippy::too_many_arguments)] // a page, what it shows and what was wrong
async fn page(
    web: &Web,
    frame: Frame,
    desk: &EditDesk,
    field: &str,
    form: &Form,
    status: StatusCode,
    problems: &[(&str, String)],
) -> Response {
    let all = history::changes(&desk.events);
    let r = reading(&desk.state.facts, field);
    let hands = match web.service.hands_of(&all).await {
        Ok(h) => h,
        Err(e) => return failed(web, e),
    };
    let account = |(n, v): (usize, &Value)| {
        // Whoever said it first.
        let first = all.iter().find(|c| {
            let says = |r: &crate::domain::reading::Reading| {
                r.value.as_ref() == Some(v) || r.others.contains(v)
            };
            c.field == field && says(&c.after) && !says(&c.before)
        });
        let who = first.and_then(|c| hands.get(&c.actor)).cloned().unwrap_or_default();
        json!({ "n": n, "text": text(field, v), "who": who, "at": first.map(|c| c.at) })
    };
    let accounts: Vec<Value> = r.value.iter().chain(&r.others).enumerate().map(account).collect();
    let listed: Vec<Value> =
        problems.iter().map(|(f, m)| json!({ "field": f, "message": m })).collect();
    let c = json!({
        "frame": frame,
        "reference": desk.state.reference,
        "field": field,
        "label": label(field),
        "group": group_of(field),
        "accounts": accounts,
        "settled": r.others.is_empty(),
        "version": desk.state.version,
        "problems": listed,
        "typed": form.typed(),
        "sentences": form.typed().get("_sentences").map(|s| s.split('\n').collect::<Vec<_>>()),
        "effect": form.get("_effect_now"),
    });
    web.templates.page(status, "edit/settle.html", c)
}

pub(super) async fn send(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((text, field)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (session, frame, mut form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let reference = match case::guard(&web, &session, &text, Action::ChangeCase).await {
        Ok(r) => r,
        Err(r) => return r,
    };
    let Some(field) = fields::known(&field) else { return failed(&web, ServiceError::NotFound) };
    let desk = match web.service.edit_desk(&session.caller, &reference, None).await {
        Ok(d) => d,
        Err(e) => return failed(&web, e),
    };
    for ours in ["_sentences", "_effect_now"] {
        form.set(ours, "");
    }
    let choice = form.get("choice").parse::<usize>().ok();
    let mut problems = Vec::new();
    if choice.is_none() {
        problems.push(("choice-0", "Choose which account holds".to_owned()));
    }
    if form.get("_reason").is_empty() {
        problems.push(("_reason", "Say why: the other account stays in the history".to_owned()));
    }
    let (Some(choice), true) = (choice, problems.is_empty()) else {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return page(&web, frame, &desk, field.path, &form, status, &problems).await;
    };
    let revision = Revision::Settle {
        field: field.path.to_owned(),
        choice,
        reason: form.get("_reason").to_owned(),
        seen: form.get("_version").parse().unwrap_or(desk.state.version),
    };
    let caller = &session.caller;
    let done = match web.service.preview(caller, &reference, &revision).await {
        Ok(e) if effect::wants_a_look(&e) && form.get("_effect") != effect::token(&e) => {
            form.set("_sentences", &effect::sentences(&e).join("\n"));
            form.set("_effect_now", &effect::token(&e));
            return page(&web, frame, &desk, field.path, &form, StatusCode::OK, &[]).await;
        }
        Ok(_) => web.service.revise(caller, &reference, &revision).await,
        Err(e) => Err(e),
    };
    let said = match done {
        Ok(d) => {
            let to = d.entry.map_or_else(|| "nothing".to_owned(), |n| n.to_string());
            return see_other(&format!("/cases/{reference}?changed={to}"));
        }
        Err(ServiceError::Refused(Refusal::ChangedMeanwhile(_))) => {
            "Somebody else has changed this meanwhile. Nothing was overwritten; here is how it stands now".to_owned()
        }
        Err(ServiceError::Refused(why)) => sentence(&why.to_string()),
        Err(ServiceError::Invalid(p)) => {
            p.first().map_or_else(String::new, |p| format!("{} {}", label(&p.field), p.message))
        }
        Err(e) => return failed(&web, e),
    };
    page(&web, frame, &desk, field.path, &form, StatusCode::CONFLICT, &[("_form", said)]).await
}
