//! The directory: who is reached how, who is on, what happens when. Every change is made from the
//! version that the page was loaded from and saved as a new version of the whole.

mod agency;
mod contact;
mod cover;
mod desk;
mod fields;
mod history;
mod import;
mod paste;
mod person;
mod policy;
mod rota;
mod rotation;
mod rule;
mod secret;
mod show;
mod standing;
mod swap;
mod words;

use crate::web::Web;
use axum::Router;
use axum::routing::{get, post};

pub(super) fn routes() -> Router<Web> {
    let area = Router::new()
        .route("/directory", get(show::areas))
        .route("/directory/{area}", get(show::area))
        .route("/directory/{area}/history", get(history::show))
        .route("/directory/{area}/history/{version}", post(history::go_back))
        .route("/directory/{area}/import", get(import::form).post(import::send))
        .route("/directory/{area}/export.csv", get(import::export));
    let agency = Router::new()
        .route("/directory/{area}/agency/new", get(agency::new).post(agency::add))
        .route("/directory/{area}/agency/{agency}", get(agency::form).post(agency::save))
        .route("/directory/{area}/agency/{agency}/remove", get(agency::ask).post(agency::remove))
        .route("/directory/{area}/agency/{agency}/person/new", get(person::new).post(person::add))
        .route(
            "/directory/{area}/agency/{agency}/person/{person}",
            get(person::form).post(person::save),
        )
        .route(
            "/directory/{area}/agency/{agency}/person/{person}/remove",
            get(person::ask).post(person::remove),
        )
        .route(
            "/directory/{area}/agency/{agency}/contact/new",
            get(contact::new).post(contact::add),
        )
        .route(
            "/directory/{area}/agency/{agency}/contact/{contact}",
            get(contact::form).post(contact::save),
        )
        .route(
            "/directory/{area}/agency/{agency}/contact/{contact}/remove",
            get(contact::ask).post(contact::remove),
        )
        .route(
            "/directory/{area}/agency/{agency}/contact/{contact}/send-code",
            post(contact::send_code),
        )
        .route(
            "/directory/{area}/agency/{agency}/contact/{contact}/code",
            get(contact::code_form).post(contact::take_code),
        )
        .route(
            "/directory/{area}/agency/{agency}/contact/{contact}/secret",
            get(secret::form).post(secret::rotate),
        )
        .route(
            "/directory/{area}/agency/{agency}/contact/{contact}/secret/finish",
            post(secret::finish),
        );
    let rota = Router::new()
        .route("/directory/{area}/rota/{agency}", get(rota::show))
        .route(
            "/directory/{area}/rota/{agency}/rotation/new",
            get(rotation::new).post(rotation::add),
        )
        .route(
            "/directory/{area}/rota/{agency}/rotation/{rotation}",
            get(rotation::form).post(rotation::save),
        )
        .route(
            "/directory/{area}/rota/{agency}/rotation/{rotation}/remove",
            get(rotation::ask).post(rotation::remove),
        )
        .route("/directory/{area}/rota/{agency}/cover/new", get(cover::new).post(cover::add))
        .route(
            "/directory/{area}/rota/{agency}/cover/{n}/remove",
            get(cover::ask).post(cover::remove),
        )
        .route("/directory/{area}/rota/{agency}/swap", get(swap::form).post(swap::send))
        .route("/directory/{area}/rota/{agency}/paste", get(paste::table_form).post(paste::table))
        .route(
            "/directory/{area}/rota/{agency}/calendar",
            get(paste::calendar_form).post(paste::calendar),
        );
    let policy = Router::new()
        .route("/directory/{area}/policy", get(policy::show))
        .route("/directory/{area}/policy/last", get(policy::last_form).post(policy::last_save))
        .route("/directory/{area}/policy/new", get(rule::new).post(rule::add))
        .route("/directory/{area}/policy/{n}", get(rule::form).post(rule::save))
        .route("/directory/{area}/policy/{n}/remove", get(rule::ask).post(rule::remove))
        .route("/directory/{area}/policy/{n}/up", post(rule::up))
        .route("/directory/{area}/policy/{n}/down", post(rule::down));
    area.merge(agency).merge(rota).merge(policy)
}
