//! The notification all on one page: one form, everything optional but a way to call back.

use super::super::{arrived, evened};
use super::flow::{KEY_LETTERS, merge};
use super::{sent, session};
use crate::auth::policy::Caller;
use crate::domain::event::Route;
use crate::domain::facts::{Detention, PlaceType};
use crate::platform::crypt::random_token;
use crate::service::{Answer, Idempotency, ServiceError};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::problem::Problem;
use crate::web::render::sentence;
use crate::web::request;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The form's key was used for other words.
const USED_UP: &str = "_used_up";

#[derive(Serialize)]
struct Context<'a> {
    area_name: &'a str,
    area: &'a str,
    call_back: &'a str,
    typed: &'a BTreeMap<String, String>,
    /// Message by field.
    errors: BTreeMap<String, String>,
    /// The same in page order for the summary: where the link goes, what it says.
    summary: Vec<(String, String)>,
    key: String,
    places: &'static [&'static str],
    detentions: &'static [&'static str],
}

pub(in crate::web::pages) async fn show(
    State(web): State<Web>,
    RawQuery(query): RawQuery,
) -> Response {
    let area = request::query(query.as_deref()).remove("area");
    form(&web, area.as_deref(), &Form::default(), StatusCode::OK, &[])
}

fn form(
    web: &Web,
    area: Option<&str>,
    typed: &Form,
    status: StatusCode,
    problems: &[(String, String)],
) -> Response {
    let directory = web.service.directory();
    let named = area.filter(|a| !a.is_empty()).and_then(|a| directory.area(a));
    let Some(area) = named.or_else(|| directory.area(directory.first())) else {
        return web.templates.error(
            StatusCode::NOT_FOUND,
            "Page not found",
            "There is no such area here.",
        );
    };
    // The same key comes back with every try at this form, so that a double press is one notice.
    // One that is used up is not: what was typed can then be sent as a new notice.
    let used_up = problems.iter().any(|(field, _)| field == USED_UP);
    let kept = if used_up { "" } else { typed.get("_key") };
    let key = if kept.is_empty() { random_token().unwrap_or_default() } else { kept.to_owned() };
    let context = Context {
        area_name: &area.name,
        area: &area.id,
        call_back: &area.call_back,
        typed: typed.typed(),
        errors: problems.iter().cloned().collect(),
        summary: problems.to_vec(),
        key,
        places: PlaceType::WORDS,
        detentions: Detention::WORDS,
    };
    web.templates.page(status, "notify/one_page.html", context)
}

pub(in crate::web::pages) async fn send(
    State(web): State<Web>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let typed = match arrived(&web, body).await {
        Ok(f) => f,
        Err(page) => return page,
    };
    let area = typed.get("_area").to_owned();
    let area = Some(area.as_str()).filter(|a| !a.is_empty());
    if !super::super::is_ours(&headers) {
        let said = [("_form".to_owned(), "Send this form from this page".to_owned())];
        return form(&web, area, &typed, StatusCode::FORBIDDEN, &said);
    }
    let key = typed.get("_key").to_owned();
    let idempotency = (!key.is_empty())
        .then(|| Idempotency { key, body: typed.nested().to_string().into_bytes() });
    let mut value = typed.nested();
    gestation_as_number(&mut value);
    let caller = Caller::public();
    match web.service.notify(&caller, area, value, Route::Page, idempotency).await {
        Ok(answer) => {
            let receipt: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let rest = rest(&web, &headers, typed.get("_key"), &answer).await;
            evened(received(&web, &receipt, rest))
        }
        Err(ServiceError::Invalid(problems)) => {
            // "Something to go by" has no field of its own; the first one that would do has.
            let field = |f: String| if f == "child" { "child.given_names".to_owned() } else { f };
            let said: Vec<(String, String)> =
                problems.into_iter().map(|p| (field(p.field), sentence(&p.message))).collect();
            form(&web, area, &typed, StatusCode::UNPROCESSABLE_ENTITY, &said)
        }
        Err(ServiceError::KeyReused) => {
            let said = [(
                USED_UP.to_owned(),
                "This form was sent before with other words, and that notice was received. Press send again only if this is another death; to correct the first, ring us".to_owned(),
            )];
            form(&web, area, &typed, StatusCode::UNPROCESSABLE_ENTITY, &said)
        }
        Err(e) => {
            let p = Problem::from(e);
            let said = [("_form".to_owned(), sentence(&p.detail))];
            form(&web, area, &typed, p.status, &said)
        }
    }
}

/// What the last page of the other way shows too: what is asked tonight, support, the rest of the
/// form, what happened next. The code for it, if this browser may hold it.
struct Rest {
    context: Value,
    code: Option<String>,
}

async fn rest(web: &Web, headers: &HeaderMap, key: &str, answer: &Answer) -> Option<Rest> {
    // Only a key that we made makes a code that is hard to guess.
    let random = random_token().unwrap_or_default();
    let key = if key.len() < KEY_LETTERS { random.as_str() } else { key };
    let shown = async {
        let held = web.service.hold_sent(key, answer).await?;
        let told = web.service.told(&held).await?;
        Ok::<_, ServiceError>((held, told))
    };
    match shown.await {
        Ok((held, Some(told))) => {
            let mut context = sent::context(web, &held, &told);
            let elsewhere = session::has_open(web, headers).await;
            context["elsewhere"] = serde_json::json!(elsewhere);
            Some(Rest { context, code: (!elsewhere).then_some(held.code) })
        }
        Ok((_, None)) => None,
        // It was received; what comes after that is worth no error.
        Err(e) => {
            tracing::warn!(error = %e, "the receipt is shown without a code");
            None
        }
    }
}

fn received(web: &Web, receipt: &Value, rest: Option<Rest>) -> Response {
    let area = receipt["area"].as_str().unwrap_or_default();
    let directory = web.service.directory();
    let known = directory.area(area);
    let agencies: Vec<Value> = receipt["alerts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|a| {
            let agency = directory.agency(area, a["agency"].as_str().unwrap_or_default());
            serde_json::json!({
                "name": agency.map(|g| g.name.clone()),
                "ring": agency.map(|g| g.ring.clone()),
                "state": a["state"],
            })
        })
        .collect();
    let mut context = serde_json::json!({
        "receipt": receipt,
        "agencies": agencies,
        "call_back": known.map(|a| a.call_back.clone()),
        "area_name": known.map(|a| a.name.clone()),
        "tonight": known.map(|a| a.tonight.clone()),
        "support": known.map(|a| a.support.clone()),
    });
    let (more, code) = rest.map_or((Value::Null, None), |r| (r.context, r.code));
    merge(&mut context, more);
    let mut r = web.templates.page(StatusCode::CREATED, "received.html", context);
    if let Some(code) = code {
        session::keep(web, &mut r, &code);
    }
    r
}

/// A form has no numbers; what is not one is named like any other wrong field.
fn gestation_as_number(value: &mut Value) {
    if let Some(v) = value.pointer_mut("/child/gestation_weeks")
        && let Some(n) = v.as_str().and_then(|s| s.trim().parse::<i64>().ok())
    {
        *v = n.into();
    }
}
