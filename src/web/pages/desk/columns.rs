//! Columns that one can choose, and the keyboard's switch: kept per person.

use super::super::{change, failed};
use crate::web::Web;
use crate::web::render::see_other;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

/// A column, what it is called, and what sorts by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub key: &'static str,
    pub label: &'static str,
    pub sort: Option<&'static str>,
    pub usual: bool,
}

const fn column(
    key: &'static str,
    label: &'static str,
    sort: Option<&'static str>,
    usual: bool,
) -> Column {
    Column { key, label, sort, usual }
}

pub(super) const COLUMNS: [Column; 11] = [
    column("received", "Received", Some("received"), true),
    column("days", "Days since death", Some("days"), false),
    column("died", "Died", Some("died"), false),
    column("age", "Age", Some("age"), true),
    column("category", "Category", None, false),
    column("jar", "Response", None, true),
    column("stage", "Stage", Some("stage"), true),
    column("due", "Next clock", Some("due"), true),
    column("waits", "Waits for", None, true),
    column("assigned", "Assigned to", None, true),
    column("area", "Area", None, false),
];

/// Those named, in their usual order; the usual ones if none is.
pub(super) fn chosen(keys: &[&str]) -> Vec<Column> {
    let found: Vec<Column> = COLUMNS.into_iter().filter(|c| keys.contains(&c.key)).collect();
    if found.is_empty() { COLUMNS.into_iter().filter(|c| c.usual).collect() } else { found }
}

pub(super) async fn choose(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let (session, _, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    let named: Vec<&str> = COLUMNS
        .iter()
        .map(|c| c.key)
        .filter(|k| !form.get(&format!("column.{k}")).is_empty())
        .collect();
    let keys_on = !form.get("keys").is_empty();
    match web.service.choose_desk(&session.caller, &named, keys_on).await {
        // Back to where the list was; a list with columns of its own loses them to the choice.
        Ok(()) => see_other(&super::list::back_to(form.get("query"), &["columns"])),
        Err(e) => failed(&web, e),
    }
}
