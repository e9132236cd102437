//! The reached board: one case, and all open alerts. It updates by itself over server-sent events;
//! without JavaScript the page loads again every ten seconds.

use super::{Frame, failed, signed_in};
use crate::auth::policy::{Action, Caller, Object, may};
use crate::domain::id::Reference;
use crate::service::{AlertDetail, ServiceError};
use crate::web::Web;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// A live page asks who it is again after this long, so that a session that ended ends it too.
const LIVES: Duration = Duration::from_mins(5);
/// Another node's changes ring no bell here: looked for this often.
const LOOKS: Duration = Duration::from_secs(3);

/// What a board shows.
#[derive(Clone)]
enum What {
    Case(Reference),
    All,
}

pub(super) async fn reached(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Response {
    let Some(reference) = Reference::parse(&text) else {
        return failed(&web, ServiceError::NotFound);
    };
    page(&web, &headers, &What::Case(reference), "reached.html").await
}

pub(super) async fn all(State(web): State<Web>, headers: HeaderMap) -> Response {
    page(&web, &headers, &What::All, "board.html").await
}

async fn page(web: &Web, headers: &HeaderMap, what: &What, template: &str) -> Response {
    let (session, frame) = match signed_in(web, headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match context(web, &session.caller, &frame, what).await {
        Ok(c) => web.templates.page(StatusCode::OK, template, c),
        Err(e) => failed(web, e),
    }
}

pub(super) async fn reached_live(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Response {
    let Some(reference) = Reference::parse(&text) else {
        return failed(&web, ServiceError::NotFound);
    };
    live(web, &headers, What::Case(reference), "reached_part.html").await
}

pub(super) async fn all_live(State(web): State<Web>, headers: HeaderMap) -> Response {
    live(web, &headers, What::All, "board_part.html").await
}

async fn live(web: Web, headers: &HeaderMap, what: What, template: &'static str) -> Response {
    let (session, frame) = match signed_in(&web, headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    if let Err(e) = context(&web, &session.caller, &frame, &what).await {
        return failed(&web, e);
    }
    let news = web.service.news.listen();
    let stopping = web.stopping.clone();
    let seen = Seen {
        web,
        caller: session.caller,
        frame,
        what,
        template,
        news,
        stopping,
        last: String::new(),
        began: Instant::now(),
    };
    let events = stream::unfold(Some(seen), |seen| async {
        let mut seen = seen?;
        let event = seen.next().await;
        Some((Ok::<_, Infallible>(event.0), event.1.then_some(seen)))
    });
    let mut r = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    // Proxies that gather answers would hold a board back.
    r.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    r
}

/// What one live page has been shown.
struct Seen {
    web: Web,
    caller: Caller,
    frame: Frame,
    what: What,
    template: &'static str,
    news: tokio::sync::watch::Receiver<u64>,
    stopping: tokio::sync::watch::Receiver<bool>,
    last: String,
    began: Instant,
}

impl Seen {
    /// The next event, and whether there will be more.
    async fn next(&mut self) -> (Event, bool) {
        loop {
            if !self.last.is_empty() {
                tokio::select! {
                    _ = self.news.changed() => tokio::time::sleep(Duration::from_millis(150)).await,
                    () = tokio::time::sleep(LOOKS) => {}
                    _ = self.stopping.changed() => return (Event::default().comment("stopping"), false),
                }
                self.news.mark_unchanged();
            }
            if self.began.elapsed() > LIVES {
                return (Event::default().event("gone").data("again"), false);
            }
            let Ok(c) = context(&self.web, &self.caller, &self.frame, &self.what).await else {
                tokio::time::sleep(LOOKS).await;
                continue;
            };
            // The clock at the top changes always: compared without it.
            let mut same = c.clone();
            same["now"] = Value::Null;
            let same = same.to_string();
            if same == self.last {
                continue;
            }
            self.last = same;
            match self.web.templates.text(self.template, c) {
                Some(html) => return (Event::default().event("board").data(html), true),
                None => return (Event::default().comment("broken"), false),
            }
        }
    }
}

/// Partners that have not acknowledged, and how long the oldest has waited.
fn waiting<'a>(alerts: impl Iterator<Item = &'a AlertDetail>) -> (usize, i64) {
    alerts.filter_map(|a| a.waiting_minutes).fold((0, 0), |(n, oldest), m| (n + 1, oldest.max(m)))
}

/// Whoever still waits comes first, then in the order of the alerts.
fn shown(alerts: &[AlertDetail]) -> Vec<Value> {
    let mut sorted: Vec<&AlertDetail> = alerts.iter().collect();
    sorted.sort_by_key(|a| a.waiting_minutes.is_none());
    sorted
        .iter()
        .map(|a| {
            let mut v = json!(a);
            v["means_label"] = json!(a.acknowledged_means.map(crate::domain::event::Means::label));
            v
        })
        .collect()
}

async fn context(
    web: &Web,
    caller: &Caller,
    frame: &Frame,
    what: &What,
) -> Result<Value, ServiceError> {
    let may_acknowledge = |area: Option<&str>| {
        let agencies: Vec<&str> = caller.agency.as_deref().into_iter().collect();
        may(caller, Action::Acknowledge, Object { area, agencies: &agencies, ..Object::default() })
    };
    let now = web.service.clock.now();
    match what {
        What::Case(reference) => {
            let alerts = web.service.case_alerts(caller, reference).await?;
            let (n, _) = waiting(alerts.iter());
            Ok(json!({
                "frame": frame,
                "reference": reference,
                "drill": alerts.iter().any(|a| a.drill),
                "alerts": shown(&alerts),
                "waiting": n,
                "may_acknowledge": may_acknowledge(None),
                "now": now,
            }))
        }
        What::All => {
            let cases = web.service.board(caller).await?;
            let (n, oldest) = waiting(cases.iter().filter(|c| !c.drill).flat_map(|c| &c.alerts));
            let findings = web.service.findings(caller).await?;
            let cases: Vec<Value> = cases
                .iter()
                .map(|c| json!({ "reference": c.reference, "drill": c.drill, "restricted": c.restricted, "received_at": c.received_at, "alerts": shown(&c.alerts) }))
                .collect();
            Ok(json!({
                "frame": frame,
                "cases": cases,
                "findings": findings,
                "waiting": n,
                "oldest": oldest,
                "may_acknowledge": may_acknowledge(None),
                "now": now,
            }))
        }
    }
}
