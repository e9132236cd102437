//! Saving, renaming, deleting views, and which one the list opens with.

use super::super::{change, failed};
use crate::service::{NewView, ServiceError};
use crate::web::Web;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use uuid::Uuid;

pub(super) async fn change_one(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let (service, caller) = (&web.service, &session.caller);
    let shared = !form.get("shared").is_empty();
    let id = Uuid::try_parse(form.get("view")).ok();
    let plain = || "/cases?all=true".to_owned();
    let at = |id: Uuid| format!("/cases?view={id}");
    let done = match (form.get("do"), id) {
        ("save", _) => {
            let query = super::list::kept(form.get("query"));
            let new = NewView { name: form.get("name").to_owned(), query, shared };
            service.save_view(caller, &new).await.map(at)
        }
        ("rename", Some(id)) => {
            service.rename_view(caller, id, form.get("name"), shared).await.map(|()| at(id))
        }
        ("delete", Some(id)) => service.delete_view(caller, id).await.map(|()| plain()),
        ("default", Some(id)) => service.choose_view(caller, Some(id)).await.map(|()| at(id)),
        ("plain", _) => service.choose_view(caller, None).await.map(|()| plain()),
        _ => service.views(caller).await.and(Err(ServiceError::NotFound)),
    };
    match done {
        Ok(to) => see_other(&to),
        Err(ServiceError::Invalid(problems)) => {
            let back = super::list::Back { query: form.get("query"), view: id, problems };
            super::list::again(&web, caller, frame, back, StatusCode::UNPROCESSABLE_ENTITY, &form)
                .await
        }
        Err(e) => failed(&web, e),
    }
}
