//! The secret that a receiver of webhooks checks our signature with. It is shown once; while it is
//! being changed, the old one signs as well.

use super::contact::{Of, find, look};
use super::desk::{Desk, Saving, Unsaved};
use super::fields::{FormPage, Said};
use crate::domain::directory::{Contact, Hidden, PointKind};
use crate::platform::crypt::Key;
use crate::service::ServiceError;
use crate::web::Web;
use crate::web::pages::failed;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

/// A new secret: `whsec_` and 32 random bytes.
pub(super) fn fresh() -> Result<String, Said> {
    Key::random()
        .map(|k| format!("whsec_{}", k.to_base64()))
        .map_err(|e| Said::new("_form", &e.to_string()))
}

/// The page that shows it. It is the answer to the POST itself: after a redirect it would have to
/// be kept somewhere readable.
pub(super) fn once(web: &Web, desk: &Desk, version: i64, secret: &str, rotated: bool) -> Response {
    let own = json!({ "secret": secret, "rotated": rotated, "version": version });
    web.templates.page(StatusCode::OK, "directory/secret.html", desk.context(own))
}

fn page(desk: &Desk, c: &Contact) -> FormPage {
    let old_signs = words_of(c) > 1;
    let mut lead = vec![format!(
        "A new secret for {} is made and shown once. Until you say that the receiver uses it, \
         messages are signed with both, so nothing is refused meanwhile.",
        c.address
    )];
    if old_signs {
        lead.push(
            "A change is under way: two secrets sign at the moment. Making another drops the older."
                .to_owned(),
        );
    }
    FormPage {
        title: "Change the secret".to_owned(),
        lead,
        button: "Make a new secret".to_owned(),
        back: format!("/directory/{}", desk.area.id),
        ..FormPage::default()
    }
}

fn words_of(c: &Contact) -> usize {
    c.secret.as_ref().map_or(0, |s| s.0.split_whitespace().count())
}

pub(super) async fn form(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, contact)): Of,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    match look(&desk, &id, &contact) {
        Some((_, c, _)) if c.kind == PointKind::Webhook => {
            let own = json!({
                "page": page(&desk, c),
                "finish": words_of(c) > 1,
                "here": format!("/directory/{area}/agency/{id}/contact/{contact}/secret"),
            });
            web.templates.page(StatusCode::OK, "directory/rotate.html", desk.context(own))
        }
        _ => failed(&web, ServiceError::NotFound),
    }
}

/// Puts a new secret before the one in use.
pub(super) async fn rotate(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, contact)): Of,
    body: Body,
) -> Response {
    let made = fresh();
    change(&web, &headers, &area, &id, &contact, body, "began to change a secret at", |c| {
        let new = made.clone()?;
        let old = c.secret.as_ref().map_or("", |s| s.0.as_str());
        let old = old.split_whitespace().next().unwrap_or_default();
        if old.is_empty() && c.secret_file.is_some() {
            let why = "this secret is kept in a file on the server and changed there";
            return Err(Said::new("_form", why));
        }
        c.secret = Some(Hidden(format!("{new} {old}").trim().to_owned()));
        Ok(Some(new))
    })
    .await
}

/// The receiver has the new one: the old signs no more.
pub(super) async fn finish(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, contact)): Of,
    body: Body,
) -> Response {
    change(&web, &headers, &area, &id, &contact, body, "finished changing a secret at", |c| {
        let new = c.secret.as_ref().and_then(|s| s.0.split_whitespace().next()).map(str::to_owned);
        c.secret = new.map(Hidden);
        Ok(None)
    })
    .await
}

#[allow(clippy::too_many_arguments)] // the address of one contact point, and what is done to it
async fn change(
    web: &Web,
    headers: &HeaderMap,
    area: &str,
    id: &str,
    contact: &str,
    body: Body,
    what: &str,
    turn: impl FnOnce(&mut Contact) -> Result<Option<String>, Said>,
) -> Response {
    let (mut desk, form) = match Desk::change(web, headers, body, area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let Some((agency, c)) = look(&desk, id, contact)
        .filter(|(_, c, _)| c.kind == PointKind::Webhook)
        .map(|(a, c, _)| (a.name.clone(), c.clone()))
    else {
        return failed(web, ServiceError::NotFound);
    };
    let saving =
        Saving { what: format!("{what} {agency}"), to: format!("/directory/{area}"), places: &[] };
    let mut new = desk.area.clone();
    let turned = find(&mut new, id, contact).map_or(Ok(None), turn);
    let again = |desk: &Desk, status, said: Said| {
        desk.form(web, status, &page(desk, &c), form.typed(), &[said])
    };
    if let Some(stale) = desk.stale(web, &form).await {
        return again(&desk, StatusCode::CONFLICT, stale);
    }
    let shown = match turned {
        Ok(s) => s,
        Err(said) => return again(&desk, StatusCode::UNPROCESSABLE_ENTITY, said),
    };
    match desk.save(web, new, &saving).await {
        Ok(version) => match shown {
            Some(s) => once(web, &desk, version, &s, true),
            None => see_other(&format!("{}?saved={version}", saving.to)),
        },
        Err(Unsaved::Failed(r)) => r,
        Err(Unsaved::Stale(s)) => again(&desk, StatusCode::CONFLICT, s),
        Err(Unsaved::Said(mut s)) => {
            let first = if s.is_empty() { Said::new("_form", "not saved") } else { s.remove(0) };
            again(&desk, StatusCode::UNPROCESSABLE_ENTITY, first)
        }
    }
}
