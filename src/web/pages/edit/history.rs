//! How each field came to be what it is, and taking a change back.

use super::effect;
use super::fields::{self, GROUPS, group_of, label, said};
use crate::auth::policy::Action;
use crate::auth::session::Session;
use crate::domain::case::Refusal;
use crate::domain::history::How;
use crate::domain::id::Reference;
use crate::service::{Effect, FieldChange, History, Revision, ServiceError};
use crate::web::pages::{Frame, case, change, failed, signed_in};
use crate::web::render::{see_other, sentence};
use crate::web::{Web, request};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

pub(super) async fn list(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let looked = case::looking(&web, &headers, &text, Action::ReadCase).await;
    let (session, frame, reference) = match looked {
        Ok(l) => l,
        Err(r) => return r,
    };
    let h = match web.service.field_history(&session.caller, &reference).await {
        Ok(h) => h,
        Err(e) => return failed(&web, e),
    };
    let may_change =
        web.service.check(&session.caller, &reference, Action::ChangeCase).await.is_ok();
    let mut q = request::query(query.as_deref());
    let field = q.remove("field").filter(|f| fields::known(f).is_some()).unwrap_or_default();
    let group = q.remove("group").filter(|g| fields::group(g).is_some()).unwrap_or_default();
    let wanted = |c: &FieldChange| {
        let f = &c.change.field;
        (field.is_empty() || *f == field)
            && (group.is_empty() || group_of(f) == Some(group.as_str()))
    };
    let c = json!({
        "frame": frame,
        "reference": reference,
        "entries": entries(h.changes.iter().filter(|c| wanted(c))),
        "may_change": may_change,
        "field": field,
        "field_label": label(&field),
        "group": group,
        "groups": GROUPS.iter().map(|g| json!({ "word": g.word, "title": g.title })).collect::<Vec<_>>(),
    });
    web.templates.page(StatusCode::OK, "edit/history.html", c)
}

/// Changes that were made together.
fn entries<'a>(changes: impl Iterator<Item = &'a FieldChange>) -> Vec<Value> {
    let mut out: Vec<(i64, Value)> = Vec::new();
    for f in changes {
        let c = &f.change;
        if out.last().is_none_or(|(v, _)| *v != c.version) {
            let why_not = f.undo.as_ref().err().map(|why| sentence(&why.to_string()));
            let entry = json!({
                "version": c.version,
                "at": c.at,
                "who": f.who,
                "how": c.how.label(),
                "notified": c.how == How::Notified,
                "reason": c.reason,
                "undo": f.undo.is_ok(),
                "why_not": why_not,
                "lines": [],
            });
            out.push((c.version, entry));
        }
        let line = json!({
            "field": c.field,
            "label": label(&c.field),
            "from": said(&c.field, &c.before),
            "to": said(&c.field, &c.after),
        });
        if let Some(lines) = out.last_mut().and_then(|(_, e)| e["lines"].as_array_mut()) {
            lines.push(line);
        }
    }
    out.into_iter().map(|(_, e)| e).collect()
}

pub(super) async fn ask(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((text, n)): Path<(String, String)>,
) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match guarded(&web, &session, &text, &n).await {
        Ok((reference, version)) => {
            asked(&web, &session, frame, &reference, version, "", StatusCode::OK).await
        }
        Err(r) => r,
    }
}

async fn guarded(
    web: &Web,
    session: &Session,
    text: &str,
    n: &str,
) -> Result<(Reference, i64), Response> {
    let reference = case::guard(web, session, text, Action::ChangeCase).await?;
    n.parse().map(|n| (reference, n)).map_err(|_| failed(web, ServiceError::NotFound))
}

/// What taking it back would do, or why it cannot be and what to do instead.
async fn asked(
    web: &Web,
    session: &Session,
    frame: Frame,
    reference: &Reference,
    version: i64,
    reason: &str,
    status: StatusCode,
) -> Response {
    let h = match web.service.field_history(&session.caller, reference).await {
        Ok(h) => h,
        Err(e) => return failed(web, e),
    };
    let own: Vec<&FieldChange> = h.changes.iter().filter(|c| c.change.version == version).collect();
    let revision = Revision::Undo { version, reason: reason.to_owned() };
    let (lines, sentences, token, why_not) =
        match web.service.preview(&session.caller, reference, &revision).await {
            Ok(e) => (effect::lines(&e), effect::sentences(&e), effect::token(&e), None),
            Err(e) => match no(&e) {
                Some(why) => (Vec::new(), Vec::new(), String::new(), Some(why)),
                None => return failed(web, e),
            },
        };
    let c = json!({
        "frame": frame,
        "reference": reference,
        "version": version,
        "lines": lines,
        "sentences": sentences,
        "effect": token,
        "why_not": why_not,
        "typed": { "_reason": reason },
        "shown_again": status != StatusCode::OK,
        "entries": entries(own.iter().copied()),
        "groups": own.iter().filter_map(|c| group_of(&c.change.field)).collect::<std::collections::BTreeSet<_>>(),
    });
    web.templates.page(status, "edit/undo.html", c)
}

/// Why not, if it is a no.
fn no(e: &ServiceError) -> Option<String> {
    match e {
        ServiceError::Refused(Refusal::CannotUndo(why)) => Some(sentence(&why.to_string())),
        ServiceError::Refused(why) => Some(sentence(&why.to_string())),
        ServiceError::Invalid(problems) => {
            let all = problems.iter().map(|p| format!("{} {}", label(&p.field), p.message));
            Some(all.collect::<Vec<_>>().join(". "))
        }
        _ => None,
    }
}

pub(super) async fn undo(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((text, n)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let (reference, version) = match guarded(&web, &session, &text, &n).await {
        Ok(g) => g,
        Err(r) => return r,
    };
    let reason = form.get("_reason").to_owned();
    let revision = Revision::Undo { version, reason: reason.clone() };
    let same = |e: &Effect| effect::token(e) == form.get("_effect");
    let done = match web.service.preview(&session.caller, &reference, &revision).await {
        Ok(e) if same(&e) => web.service.revise(&session.caller, &reference, &revision).await,
        // What it would do is not what was shown.
        Ok(_) => {
            let status = StatusCode::CONFLICT;
            return asked(&web, &session, frame, &reference, version, &reason, status).await;
        }
        Err(e) => Err(e),
    };
    match done {
        Ok(d) => match d.entry {
            Some(n) => see_other(&format!("/cases/{reference}?changed={n}")),
            None => see_other(&format!("/cases/{reference}?changed=nothing")),
        },
        Err(e) if no(&e).is_some() => {
            let status = StatusCode::CONFLICT;
            asked(&web, &session, frame, &reference, version, &reason, status).await
        }
        Err(e) => failed(&web, e),
    }
}

/// What the case page says after a change, of `?changed=` in its address.
pub(in crate::web::pages) fn banner(h: &History, changed: &str) -> Option<Value> {
    if changed == "nothing" {
        return Some(json!({ "nothing": true }));
    }
    let version: i64 = changed.parse().ok()?;
    let own: Vec<&FieldChange> = h.changes.iter().filter(|c| c.change.version == version).collect();
    let first = own.first().filter(|c| c.change.how != How::Notified)?;
    let names: Vec<&str> = own.iter().map(|c| label(&c.change.field)).collect();
    Some(json!({
        "how": first.change.how.label(),
        "fields": names,
        "version": version,
        "undo": first.undo.is_ok(),
        "why_not": first.undo.as_ref().err().map(|why| sentence(&why.to_string())),
    }))
}
