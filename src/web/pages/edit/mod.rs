//! Changing what is known of a case: a form for each group of fields, what a change would do before
//! it is done, nobody's change overwritten unseen, how each field came to be, and taking back.

mod boxes;
mod clash;
mod effect;
mod fields;
mod form;
mod history;
mod settle;

pub(super) use fields::shown;
pub(super) use history::banner;

use crate::web::Web;
use axum::Router;
use axum::routing::get;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/cases/{reference}/edit/{group}", get(form::show).post(form::send))
        .route("/cases/{reference}/history", get(history::list))
        .route("/cases/{reference}/history/{n}", get(history::ask).post(history::undo))
        .route("/cases/{reference}/settle/{field}", get(settle::show).post(settle::send))
}
