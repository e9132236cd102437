//! The coordinator's desk: Today, the list of cases, many cases at once, saved views.

mod bulk;
mod columns;
mod hand;
mod list;
mod today;
mod views;

use super::Web;
use axum::Router;
use axum::routing::{get, post};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(today::show))
        .route("/today/seen", post(today::seen))
        .route("/handed", get(hand::list).post(hand::take))
        .route("/search", post(list::search))
        .route("/cases", get(list::show))
        .route("/cases/columns", post(columns::choose))
        .route("/cases/views", post(views::change_one))
        .route("/cases/bulk", post(bulk::plan))
        .route("/cases/bulk/do", post(bulk::carry_out))
        .route("/cases/bulk/undo", post(bulk::undo))
        .route("/cases/{reference}/assign", post(hand::assign))
}

/// An address with these parameters; none are left out, empty ones are.
fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs.iter().filter(|(_, v)| !v.is_empty()) {
        text.append_pair(name, value);
    }
    let text = text.finish();
    if text.is_empty() { path.to_owned() } else { format!("{path}?{text}") }
}

/// "1,000+" for what was counted no further.
fn counted(n: i64) -> String {
    if n >= crate::service::COUNTED { "1,000+".to_owned() } else { n.to_string() }
}
