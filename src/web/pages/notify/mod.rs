//! Notifying a death, one thing at a time: works on a phone at night, without JavaScript, with a
//! connection that drops, and with whoever comes after.

mod check;
mod code;
mod flow;
mod more;
mod one_page;
mod sent;
mod session;
mod so_far;
mod words;

use crate::web::Web;
use axum::Router;
use axum::routing::{get, post};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        // Posted here it is the whole notification at once, as it has always been.
        .route("/notify", get(flow::start).post(one_page::send))
        .route("/notify/one-page", get(one_page::show).post(one_page::send))
        .route("/notify/new", post(session::another))
        .route("/notify/leave", post(session::leave))
        .route("/notify/send", post(check::send))
        .route("/notify/resume", get(code::ask).post(code::take))
        .route("/notify/code", get(code::show))
        .route("/notify/code/mail", post(code::mail))
        .route("/notify/code/hand-on", post(code::hand_on))
        .route("/notify/done", get(sent::done))
        .route("/notify/done/told", get(sent::told))
        .route("/notify/next", get(sent::next))
        .route("/notify/more", get(more::list))
        .route("/notify/more/send", post(more::send))
        .route("/notify/more/{section}", get(more::show).post(more::save))
        .route("/notify/{page}", get(flow::show).post(flow::save))
}

/// An area by the name in the address, or the first one.
fn area<'a>(
    directory: &'a crate::config::area::Directory,
    named: &str,
) -> Option<&'a crate::config::area::Area> {
    let found = Some(named).filter(|a| !a.is_empty()).and_then(|a| directory.area(a));
    found.or_else(|| directory.area(directory.first()))
}
