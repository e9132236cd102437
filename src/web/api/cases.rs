//! Lists, single cases and changes to them.

use super::{answered, json};
use crate::auth::policy::Action;
use crate::domain::event::Person;
use crate::domain::facts::Amendment;
use crate::domain::id::Reference;
use crate::domain::intake::{Notes, Object};
use crate::domain::jar::Decision;
use crate::domain::milestone::{Milestone, Record, Standing};
use crate::domain::ready::{Stage, blockers, stage};
use crate::service::{
    AmendmentRequest, AssignedTo, CaseDetail, CaseQuery, JarDecision, ServiceError, Wish,
};
use crate::store::{Listed, Mark};
use crate::web::problem::Problem;
use crate::web::request::{self, bearer};
use crate::web::{Web, listing};
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::SecondsFormat;
use serde_json::{Value, json};

pub(super) fn reference(text: &str) -> Result<Reference, Problem> {
    Reference::parse(text).ok_or_else(Problem::not_found)
}

/// Fields of a small body. What is not a field of it is refused, unlike in a notification: a
/// misspelt `note` must not be dropped in silence, and nobody is kept waiting at 3 am by it.
pub(super) fn fields<T>(
    body: Value,
    read: impl FnOnce(&mut Object<'_>) -> T,
) -> Result<T, Problem> {
    let mut notes = Notes::default();
    let mut o = Object::new("", Some(body), &mut notes);
    let value = read(&mut o);
    o.finish();
    let unknown: Vec<_> = notes.warnings.iter().filter(|w| w.code == "unknown_field").collect();
    for w in unknown {
        notes.problems.push(crate::domain::intake::Problem {
            field: w.field.clone(),
            code: "unknown_field",
            message: "is not a field of this request".to_owned(),
        });
    }
    if notes.problems.is_empty() {
        Ok(value)
    } else {
        Err(ServiceError::Invalid(notes.problems).into())
    }
}

pub(super) async fn list(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let mut q = request::query(query.as_deref());
    let reference = q.remove("q").map(|t| t.trim().to_ascii_uppercase()).filter(|t| !t.is_empty());
    if let Some(text) = &reference {
        check_not_personal(text)?;
    }
    let (asked, wrong) = listing::read(&q);
    if let Some(w) = wrong.into_iter().next() {
        return Err(Problem::field(w.field, w.code, w.message));
    }
    // A token is nobody that a case could be assigned to.
    if matches!(asked.assigned, Some(AssignedTo::Me)) || asked.handed.is_some() {
        let field = if asked.handed.is_some() { "handed" } else { "assigned" };
        return Err(Problem::field(field, "not_in_list", "is for people: a token has no cases"));
    }
    let query = CaseQuery {
        reference,
        after: cursor(q.remove("cursor").as_deref())?,
        size: size(q.remove("limit").as_deref())?,
        ..asked
    };
    page(&web, &caller, query).await
}

/// A reference may be searched for in the address; a name or an NHS number may not: addresses are
/// logged by every proxy on the way.
fn check_not_personal(text: &str) -> Result<(), Problem> {
    let prefix = text.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    let reference_like = "CDR".starts_with(prefix) && !prefix.is_empty();
    let digits_only = text.bytes().all(|b| b.is_ascii_digit() || b == b'-') && text.len() < 9;
    if reference_like || digits_only {
        return Ok(());
    }
    Err(Problem::field(
        "q",
        "reference_only",
        "takes a case reference or part of one; search by name or NHS number with POST /api/v1/cases/search, so that nothing personal stands in an address",
    ))
}

pub(super) async fn search(
    State(web): State<Web>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let value = request::json(&request::bytes(&web, body).await?)?;
    let (person, after, limit) =
        fields(value, |o| (o.text("person"), o.text("cursor"), o.integer("limit")))?;
    if limit.is_some_and(|l| !(1..=200).contains(&l)) {
        return Err(Problem::field(
            "limit",
            "out_of_range",
            "must be a whole number from 1 to 200",
        ));
    }
    let Some(person) = person else {
        return Err(Problem::field("person", "required", "give a name or an NHS number"));
    };
    let query = CaseQuery {
        person: Some(person),
        after: cursor(after.as_deref())?,
        size: limit.unwrap_or(50),
        ..CaseQuery::default()
    };
    page(&web, &caller, query).await
}

async fn page(
    web: &Web,
    caller: &crate::auth::policy::Caller,
    query: CaseQuery,
) -> Result<Response, Problem> {
    let listing = web.service.list_cases(caller, query).await?;
    let items: Vec<Value> = listing.rows.iter().map(item).collect();
    let next = listing.next.map(|m| URL_SAFE_NO_PAD.encode(listing::mark_text(m)));
    Ok(json(StatusCode::OK, &json!({ "items": items, "next": next })))
}

fn cursor(text: Option<&str>) -> Result<Option<Mark>, Problem> {
    let Some(text) = text.filter(|t| !t.is_empty()) else { return Ok(None) };
    let read = || {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        listing::read_mark(&plain)
    };
    let wrong =
        || Problem::field("cursor", "not_a_cursor", "must be a `next` from an earlier page");
    read().map(Some).ok_or_else(wrong)
}

fn size(text: Option<&str>) -> Result<i64, Problem> {
    match text {
        None => Ok(50),
        Some(t) => t.parse::<i64>().ok().filter(|n| (1..=200).contains(n)).ok_or_else(|| {
            Problem::field("limit", "out_of_range", "must be a whole number from 1 to 200")
        }),
    }
}

fn item(r: &Listed) -> Value {
    json!({
        "reference": r.reference,
        "case_id": r.id,
        "area": r.area,
        "stage": r.stage,
        "jar": r.jar,
        "in_scope": r.in_scope,
        "ready": r.ready,
        "event": r.event,
        "age_band": r.age_band,
        "category": r.category,
        "received_at": r.received_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "died_on": r.died_on,
        "blockers": serde_json::from_str::<Value>(&r.blockers).unwrap_or_default(),
        "waiting_for_acknowledgement": r.waiting,
        "next_clock": r.next_due.map(|due| json!({ "id": r.next_due_kind, "due": due.to_rfc3339_opts(SecondsFormat::Micros, true) })),
        "assigned_to": r.assigned_to,
        "restricted": r.restricted,
        "open_to_you": !r.hidden,
    })
}

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let asked = reference(&text)?;
    let detail = web.service.case(&caller, &asked).await?;
    let mut answer = json(StatusCode::OK, &case_json(&detail, &asked));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", detail.state.version)) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    Ok(answer)
}

/// A reference of a second account answers with its first case, and says so.
fn case_json(d: &CaseDetail, asked: &Reference) -> Value {
    let s = &d.state;
    let blocked = blockers(s);
    let stage = stage(s);
    json!({
        "reference": s.reference,
        "case_id": s.id,
        "also": s.accounts.held.iter().map(|a| &a.reference).collect::<Vec<_>>(),
        "account_of": (*asked != s.reference).then_some(&s.reference),
        "area": s.area,
        "version": s.version,
        "received_at": s.received_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "stage": stage.word(),
        "ready": stage == Stage::Ready,
        "blockers": blocked,
        "in_scope": s.scope.in_scope,
        "scope_reason": s.scope.reason,
        "standing": s.standing.word(),
        "stood_down": s.stood_down.as_ref().map(|x| json!({ "at": x.at, "reason": x.reason, "decided_by": x.decided_by })),
        "jar": s.assessment,
        "facts": s.facts,
        "warnings": s.warnings,
        "clocks": d.clocks,
        "milestones": s.milestones.values().collect::<Vec<_>>(),
        "category": s.category(),
        "panel": s.listing.as_ref().map(|l| json!({ "id": l.panel, "name": l.panel_name, "held_on": l.held_on, "anonymous_reference": l.anonymous_reference })),
        "alerts": d.alerts,
    })
}

pub(super) async fn timeline(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let caller = bearer(&web, &headers).await?;
    let items = web.service.timeline(&caller, &reference(&text)?).await?;
    Ok(json(StatusCode::OK, &json!({ "items": items, "next": null })))
}

/// The version of the case that a client has read: `If-Match: "12"`.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(given) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let version = given.to_str().ok().and_then(|t| {
        let t = t.trim();
        t.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(t).parse().ok()
    });
    version.map(Some).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "if_match",
            "If-Match must be the ETag of the case as you read it, like \"12\"",
        )
    })
}

/// A partial notification body; beside the facts `reason`, `how`, fields that are `not_known` after
/// all, and the `version` that was read (or `If-Match`).
pub(super) async fn amend(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let matched = if_match(&headers);
    let read = |mut value: Value| {
        let matched = matched?;
        let Some(o) = value.as_object_mut() else {
            return Err(Problem::field("body", "wrong_type", "must be an object"));
        };
        let beside: serde_json::Map<String, Value> = ["reason", "how", "version", "not_known"]
            .iter()
            .filter_map(|k| o.remove_entry(*k))
            .collect();
        let (reason, how, version, not_known) = fields(Value::Object(beside), |o| {
            let words = ["correction", "further_account"];
            let how = o.choice("how", &words, |w| match w {
                "correction" => Some(Amendment::Correction),
                "further_account" => Some(Amendment::FurtherAccount),
                _ => None,
            });
            (
                o.text("reason").unwrap_or_default(),
                how.unwrap_or(Amendment::Correction),
                o.integer("version"),
                o.texts("not_known"),
            )
        })?;
        let version = match (matched, version) {
            (Some(m), Some(v)) if m != v => {
                let why = "is not the version that If-Match names";
                return Err(Problem::field("version", "contradiction", why));
            }
            (m, v) => m.or(v),
        };
        let facts = value;
        Ok(Wish::Amend(Box::new(AmendmentRequest { facts, how, reason, not_known, version })))
    };
    change(&web, &headers, &text, body, Action::ChangeCase, read).await
}

pub(super) async fn decide_jar(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let read = |value: Value| {
        let d = fields(value, |o| {
            let decision = o.choice("decision", &["stand_down", "triggered"], |w| match w {
                "stand_down" => Some(true),
                w if w == Decision::Triggered.word() => Some(false),
                _ => None,
            });
            let consulted = o.list("consulted", |path, v, notes| match v {
                Value::String(name) => Some(Person { name, ..Person::default() }),
                v => Some(person(Object::new(path, Some(v), notes))),
            });
            let decided_by = person(o.object("decided_by"));
            let reason = o.text("reason").unwrap_or_default();
            (
                decision,
                JarDecision {
                    stand_down: decision.unwrap_or(false),
                    reason,
                    consulted,
                    decided_by: Some(decided_by),
                },
            )
        })?;
        match d {
            (Some(_), d) => Ok(Wish::DecideJar(d)),
            (None, _) => {
                Err(Problem::field("decision", "required", "must be stand_down or triggered"))
            }
        }
    };
    change(&web, &headers, &text, body, Action::DecideJar, read).await
}

pub(super) fn person(mut o: Object<'_>) -> Person {
    let person = Person {
        name: o.text("name").unwrap_or_default(),
        role: o.text("role").unwrap_or_default(),
        agency: o.text("agency").unwrap_or_default(),
    };
    o.finish();
    person
}

pub(super) async fn milestone(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let read = |value: Value| {
        let (milestone, standing, on, category, note) = fields(value, |o| {
            (
                o.choice("milestone", Milestone::WORDS, Milestone::parse),
                o.choice("standing", Standing::WORDS, Standing::parse),
                o.date("on"),
                o.integer("category"),
                o.text("note").unwrap_or_default(),
            )
        })?;
        let Some(milestone) = milestone else {
            return Err(Problem::field(
                "milestone",
                "required",
                format!("must be one of: {}", Milestone::WORDS.join(", ")),
            ));
        };
        let Some(standing) = standing else {
            return Err(Problem::field(
                "standing",
                "required",
                format!("must be one of: {}", Standing::WORDS.join(", ")),
            ));
        };
        let category = match category.map(u8::try_from) {
            None => None,
            Some(Ok(c)) if (1..=10).contains(&c) => Some(c),
            Some(_) => return Err(Problem::field("category", "not_in_list", "must be 1 to 10")),
        };
        Ok(Wish::Milestone { record: Record { milestone, standing, on, category }, note })
    };
    change(&web, &headers, &text, body, Action::ChangeCase, read).await
}

pub(super) async fn change(
    web: &Web,
    headers: &HeaderMap,
    text: &str,
    body: Body,
    action: Action,
    read: impl FnOnce(Value) -> Result<Wish, Problem>,
) -> Result<Response, Problem> {
    let caller = bearer(web, headers).await?;
    let reference = reference(text)?;
    // Before the body is read: a wrong body does not tell a case that is not theirs from none.
    web.service.check(&caller, &reference, action).await?;
    let bytes = request::bytes(web, body).await?;
    let idempotency = request::idempotency(headers, &bytes)?;
    let wish = read(request::json(&bytes)?)?;
    let answer = web.service.change(&caller, &reference, wish, idempotency).await?;
    Ok(answered(answer))
}
