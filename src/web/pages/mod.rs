//! Pages for people. Without JavaScript, on a phone, and with what was typed kept on an error.

mod access;
mod account;
mod acknowledge;
mod audit;
mod board;
mod case;
mod desk;
mod directory;
mod documents;
mod drafts;
mod drills;
mod edit;
mod likeness;
mod notify;
mod panels;
mod plan;
mod retention;
mod sign;
mod spoke;
mod subject;
mod users;

use super::Web;
use super::problem::Problem;
use super::render::see_other;
use super::visitor::Cookie;
use crate::auth::policy::{Action, Object, may};
use crate::auth::session::{self, Session, Stage};
use crate::service::ServiceError;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/drafts", get(drafts::list))
        .route("/a/{token}", get(acknowledge::show).post(acknowledge::send))
        .merge(desk::routes())
        .route("/cases/{reference}", get(case::show))
        .route("/cases/{reference}/reached", get(board::reached))
        .route("/cases/{reference}/reached/live", get(board::reached_live))
        .route("/cases/{reference}/plan", get(plan::show).post(plan::enter))
        .route("/cases/{reference}/withdraw", post(case::withdraw))
        .route("/likeness", get(likeness::list))
        .route("/cases/{reference}/compare/{other}", get(likeness::compare).post(likeness::decide))
        .route("/board", get(board::all))
        .route("/board/live", get(board::all_live))
        .route("/drills", get(drills::list).post(drills::start))
        .route("/drills/{reference}", get(drills::show))
        .route("/drills/{reference}/end", post(drills::end))
        .route("/cases/{reference}/milestones", post(case::milestone))
        .route("/cases/{reference}/jar", post(case::decide_jar))
        .route("/cases/{reference}/alerts/{id}", get(spoke::show).post(spoke::send))
        .route("/cases/{reference}/panel", post(case::list_for_panel))
        .route("/cases/{reference}/restrict", post(access::restrict))
        .route("/cases/{reference}/unrestrict", post(access::unrestrict))
        .route("/cases/{reference}/hold", post(access::hold))
        .route("/break-glass", get(access::glass_form).post(access::break_glass))
        .route("/audit", get(audit::people))
        .route("/audit/cases/{reference}", get(audit::of_case))
        .route("/audit/cases/{reference}/export.csv", get(audit::csv))
        .route("/audit/cases/{reference}/review", post(audit::review))
        .route("/retention", get(retention::list))
        .route("/retention/{reference}", get(retention::certificate))
        .route("/retention/{reference}/ask", post(retention::ask))
        .route("/retention/{reference}/confirm", post(retention::confirm))
        .route("/subject-access", get(subject::form).post(subject::make))
        .route("/panels", get(panels::list).post(panels::create))
        .route("/panels/{id}", get(panels::show))
        .route("/panels/{id}/list.csv", get(panels::csv))
        .route("/panels/{id}/take-off", post(panels::take_off))
        .merge(directory::routes())
        .merge(documents::routes())
        .merge(edit::routes())
        .merge(notify::routes())
        .merge(sign::routes())
        .merge(account::routes())
        .merge(users::routes())
}

/// A way that is on every page.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Way {
    pub section: &'static str,
    pub href: &'static str,
    pub text: &'static str,
}

const fn way(section: &'static str, href: &'static str, text: &'static str) -> Way {
    Way { section, href, text }
}

/// Each with what one must be allowed to do to find anything there.
const WAYS: [(Option<Action>, Way); 11] = [
    (Some(Action::ListCases), way("today", "/", "Today")),
    (Some(Action::ListCases), way("cases", "/cases", "Cases")),
    (Some(Action::ListCases), way("board", "/board", "Open alerts")),
    (Some(Action::ReadPanels), way("panels", "/panels", "Panels")),
    (Some(Action::ReadDirectory), way("directory", "/directory", "Directory")),
    (Some(Action::ListCases), way("drills", "/drills", "Drills")),
    (Some(Action::ReadAudit), way("audit", "/audit", "Who looked")),
    (Some(Action::Retention), way("retention", "/retention", "Retention")),
    (Some(Action::SubjectAccess), way("subject", "/subject-access", "Copies for people")),
    (Some(Action::ManageUsers), way("users", "/users", "Accounts")),
    (None, way("notify", "/notify", "Notify a death")),
];

/// What every signed-in page shows around its content.
#[derive(Clone, Serialize)]
pub(super) struct Frame {
    pub user: String,
    pub csrf: String,
    /// Where this person may go from every page.
    pub ways: Vec<Way>,
    /// Only the setting up of a sign-in is open; nothing else is linked.
    pub enrol: bool,
}

impl Frame {
    pub(super) fn of(s: &Session) -> Self {
        Self {
            user: s.name.clone(),
            csrf: s.csrf.clone(),
            ways: WAYS
                .iter()
                .filter(|(action, _)| action.is_none_or(|a| may(&s.caller, a, Object::default())))
                .map(|(_, way)| *way)
                .collect(),
            enrol: s.stage == Stage::Enrol,
        }
    }
}

/// The signed-in person, or the way to the sign-in page. Whoever still has to set up a second
/// factor goes there and nowhere else.
pub(super) async fn signed_in(
    web: &Web,
    headers: &HeaderMap,
) -> Result<(Session, Frame), Response> {
    let (session, frame) = signed_in_at_all(web, headers).await?;
    match session.stage {
        Stage::Full => Ok((session, frame)),
        Stage::Enrol => Err(see_other("/account")),
    }
}

/// As [`signed_in`], also for a session that may only set up how it signs in: for the pages that do
/// just that.
pub(super) async fn signed_in_at_all(
    web: &Web,
    headers: &HeaderMap,
) -> Result<(Session, Frame), Response> {
    let Some(id) = Cookie::Session.read(web, headers) else { return Err(see_other("/sign-in")) };
    let now = web.service.clock.now();
    match session::resume(&web.service.store, &id, now, web.door.limits).await {
        Ok(Some(s)) => {
            let frame = Frame::of(&s);
            Ok((s, frame))
        }
        Ok(None) => Err(see_other("/sign-in")),
        Err(e) => Err(failed(web, e.into())),
    }
}

/// An error of the service as a page.
pub(super) fn failed(web: &Web, e: ServiceError) -> Response {
    problem_page(web, &Problem::from(e))
}

/// A problem as a page.
fn problem_page(web: &Web, p: &Problem) -> Response {
    let advice = match p.status {
        StatusCode::NOT_FOUND => {
            "There is no such page, or it is not yours to see. Check the reference."
        }
        StatusCode::FORBIDDEN => {
            "Your account does not allow this. Ask the panel office if you need it."
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            "Nothing was stored. Try again in a moment; if it lasts, ring the panel office."
        }
        _ => p.detail.as_str(),
    };
    let title = match p.status {
        StatusCode::NOT_FOUND => "Page not found",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::SERVICE_UNAVAILABLE => "The service cannot store anything right now",
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => "That was not done",
        StatusCode::GONE => "Destroyed",
        _ => "Something went wrong",
    };
    web.templates.error(p.status, title, advice)
}

/// Whether a change comes from our own page: browsers say so, and forged forms do not know the
/// session's word.
pub(super) fn is_ours(headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = said("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (said("origin"), said("host")) {
        // "null" is what some browsers send when they will not say.
        (Some(origin), Some(host)) if origin != "null" => {
            origin.split_once("://").is_some_and(|(_, o)| o.eq_ignore_ascii_case(host))
        }
        // Old browsers and plain clients send neither; the session's word still guards.
        _ => true,
    }
}

/// A signed-in change: the session, and a form that carries its word.
pub(super) async fn change(
    web: &Web,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<(Session, Frame, super::form::Form), Response> {
    let (session, frame) = signed_in(web, headers).await?;
    let form = own_form(web, headers, &frame, body).await?;
    Ok((session, frame, form))
}

/// As [`change`], also for a session that may only set up how it signs in.
pub(super) async fn change_at_all(
    web: &Web,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<(Session, Frame, super::form::Form), Response> {
    let (session, frame) = signed_in_at_all(web, headers).await?;
    let form = own_form(web, headers, &frame, body).await?;
    Ok((session, frame, form))
}

/// The answer to a stranger's notification: it takes as long for a death that is known already.
fn evened(mut answer: Response) -> Response {
    answer.extensions_mut().insert(super::layers::Evened);
    answer
}

/// What a page sent, whole, or a page that says why it could not be taken.
async fn arrived(web: &Web, body: axum::body::Body) -> Result<super::form::Form, Response> {
    arrived_or(web, body, "Go back and shorten it.").await
}

/// The same, with what to do about one that is too long.
async fn arrived_or(
    web: &Web,
    body: axum::body::Body,
    shorten: &str,
) -> Result<super::form::Form, Response> {
    let bytes = super::request::bytes(web, body).await.map_err(|p| {
        let (title, advice) = match p.status {
            StatusCode::PAYLOAD_TOO_LARGE => (
                "Too long",
                format!(
                    "What you sent is larger than {} KiB. Nothing was changed. {shorten}",
                    web.body_limit / 1024
                ),
            ),
            StatusCode::SERVICE_UNAVAILABLE => (
                "Too much at once",
                "Too many large pages are being sent at once. Nothing was changed. Go back and send it again in a moment.".to_owned(),
            ),
            _ => (
                "Not received",
                "The page did not arrive whole, and nothing was changed. Go back and send it again.".to_owned(),
            ),
        };
        let mut page = web.templates.error(p.status, title, &advice);
        if let Some(seconds) = p.retry_after {
            page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        page
    })?;
    Ok(super::form::Form::parse(&bytes))
}

async fn own_form(
    web: &Web,
    headers: &HeaderMap,
    frame: &Frame,
    body: axum::body::Body,
) -> Result<super::form::Form, Response> {
    let in_parts = "Send it in parts, or ask the panel office to import the file on the server.";
    let form = arrived_or(web, body, in_parts).await?;
    let word = crate::platform::crypt::same(form.get("_csrf").as_bytes(), frame.csrf.as_bytes());
    if !word || !is_ours(headers) {
        return Err(web.templates.error(
            StatusCode::FORBIDDEN,
            "This form is out of date",
            "Go back, load the page again and repeat; nothing was changed.",
        ));
    }
    Ok(form)
}
