//! The page behind an acknowledgement link. Looking at it acknowledges nothing: mail scanners look
//! at every link. Pressing its button does.

use super::arrived;
use crate::domain::alert::{AlertState, Notice};
use crate::domain::case::Refusal;
use crate::domain::event::{Means, Person};
use crate::domain::id::AlertId;
use crate::service::{Acknowledgement, HandOn, Reply, ServiceError};
use crate::store::changes::AlertRow;
use crate::web::Web;
use crate::web::form::Form;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;

#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools)] // what the page tells apart
struct Context<'a> {
    token: &'a str,
    notice: &'a Notice,
    kind: &'static str,
    state: &'a str,
    acknowledged: bool,
    recalled: bool,
    expired: bool,
    done_now: bool,
    name: &'a str,
    role: &'a str,
    note: &'a str,
    answer: &'a str,
    to: &'a str,
    reach: &'a str,
    handed_on: bool,
    until: String,
    error: Option<&'a str>,
}

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Response {
    let (alert, asked) = match open(&web, &token).await {
        Ok(found) => found,
        Err(r) => return r,
    };
    // Only a browser that a person steers says that it navigates; scanners fetch.
    let navigates = headers.get("sec-fetch-mode").is_some_and(|v| v == "navigate");
    if navigates && asked.row.rank < AlertState::Opened.rank() {
        record_opened(&web, alert).await;
    }
    let over = asked.is_over(&web);
    let status = if over { StatusCode::GONE } else { StatusCode::OK };
    page(&web, status, &token, &asked, &Form::default(), None, false)
}

async fn record_opened(web: &Web, alert: AlertId) {
    let store = &web.service.store;
    let recorded = async {
        if let Some(delivery) = store.first_delivery(alert).await? {
            store.record_opened(alert, delivery, web.service.clock.now()).await?;
        }
        Ok::<(), crate::store::StoreError>(())
    };
    // Not worth refusing the page over.
    if let Err(e) = recorded.await {
        tracing::warn!(error = %e, "an opened link could not be recorded");
    }
}

pub(super) async fn send(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(token): Path<String>,
    body: Body,
) -> Response {
    let (alert, asked) = match open(&web, &token).await {
        Ok(found) => found,
        Err(r) => return r,
    };
    let form = match arrived(&web, body).await {
        Ok(f) => f,
        Err(page) => return page,
    };
    if !super::is_ours(&headers) {
        return page(
            &web,
            StatusCode::FORBIDDEN,
            &token,
            &asked,
            &form,
            Some("Press the button on this page"),
            false,
        );
    }
    if asked.is_expired(&web) {
        return page(&web, StatusCode::GONE, &token, &asked, &form, None, false);
    }
    let reply = match form.get("answer") {
        "cannot" => Reply::Cannot(HandOn {
            to: form.get("to").to_owned(),
            reach: form.get("reach").to_owned(),
        }),
        _ => Reply::CanAttend,
    };
    let ack = Acknowledgement {
        person: Person {
            name: form.get("name").to_owned(),
            role: form.get("role").to_owned(),
            agency: String::new(),
        },
        note: form.get("note").to_owned(),
        means: Means::Link,
        reply,
    };
    match web.service.acknowledge_by_link(alert, ack).await {
        Ok(_) => {
            let mut asked = asked;
            let recalled = asked.row.state == AlertState::Recalled.word();
            if !recalled && form.get("answer") != "cannot" {
                asked.row.state = "acknowledged".to_owned();
                asked.row.rank = 8;
                asked.row.phase = "settled".to_owned();
            }
            page(&web, StatusCode::OK, &token, &asked, &form, None, true)
        }
        Err(ServiceError::Invalid(p)) => {
            let said = p.first().map(|p| p.message.clone()).unwrap_or_default();
            page(&web, StatusCode::UNPROCESSABLE_ENTITY, &token, &asked, &form, Some(&said), false)
        }
        Err(ServiceError::Refused(Refusal::AnsweredBefore)) => {
            let said = "Somebody has answered this already, and a link answers once. If nobody can come after all, ring the number below now.";
            page(&web, StatusCode::CONFLICT, &token, &asked, &form, Some(said), false)
        }
        Err(e) => super::failed(&web, e),
    }
}

/// What a link leads to.
struct Asked {
    row: AlertRow,
    notice: Notice,
    /// When the last message with this link was made: an alert that climbs for days goes on sending
    /// a link that works.
    sent_at: DateTime<Utc>,
}

impl Asked {
    fn is_expired(&self, web: &Web) -> bool {
        web.service.clock.now() > web.links.until(self.sent_at)
    }

    fn is_acknowledged(&self) -> bool {
        self.row.state == AlertState::Acknowledged.word()
            && !matches!(self.row.phase.as_str(), "climbing" | "ringing")
    }

    fn is_recalled(&self) -> bool {
        self.row.state == AlertState::Recalled.word()
    }

    /// The page has nothing to say but that the link has run out.
    fn is_over(&self, web: &Web) -> bool {
        self.is_expired(web) && !self.is_acknowledged() && !self.is_recalled()
    }
}

async fn open(web: &Web, token: &str) -> Result<(AlertId, Asked), Response> {
    let wrong = || {
        web.templates.error(
            StatusCode::NOT_FOUND,
            "This link does not work",
            "Copy the whole link from the message, or ring the call-back number in it.",
        )
    };
    let alert = web.links.open(token).ok_or_else(wrong)?;
    match web.service.store.alert(alert).await {
        Ok(Some(row)) => {
            let notice = serde_json::from_str(&row.notice).map_err(|_| wrong())?;
            let last = web.service.store.last_message_at(alert).await;
            let last = last.map_err(|e| super::failed(web, e.into()))?;
            let sent_at = last.map_or(row.planned_at, |at| at.max(row.planned_at));
            Ok((alert, Asked { row, notice, sent_at }))
        }
        Ok(None) => Err(wrong()),
        Err(e) => Err(super::failed(web, e.into())),
    }
}

#[allow(clippy::too_many_arguments)] // the one place where this page is put together
fn page(
    web: &Web,
    status: StatusCode,
    token: &str,
    asked: &Asked,
    form: &Form,
    error: Option<&str>,
    done_now: bool,
) -> Response {
    let notice = &asked.notice;
    let context = Context {
        token,
        notice,
        kind: notice.kind.label(),
        state: &asked.row.state,
        acknowledged: asked.is_acknowledged(),
        recalled: asked.is_recalled(),
        expired: asked.is_expired(web),
        done_now,
        name: form.get("name"),
        role: form.get("role"),
        note: form.get("note"),
        answer: form.get("answer"),
        to: form.get("to"),
        reach: form.get("reach"),
        handed_on: done_now && form.get("answer") == "cannot",
        until: crate::alerts::words::when(web.links.until(asked.sent_at)),
        error,
    };
    web.templates.page(status, "acknowledge.html", context)
}
