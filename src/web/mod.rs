//! HTTP: pages for people, JSON for systems. Handlers read the input, call one service function,
//! and shape the answer.

mod api;
mod assets;
mod body;
pub mod demo;
pub(crate) mod ended;
mod form;
mod health;
mod hooks;
mod layers;
pub mod limits;
mod listing;
mod pace;
mod pages;
mod problem;
mod render;
mod request;
mod throttle;
mod visitor;

pub use demo::DemoBox;
pub use hooks::HookKeys;
pub use visitor::Peer;

use crate::alerts::link::Links;
use crate::auth::enter::Door;
use crate::auth::token::Tokens;
use crate::service::Service;
use axum::Router;
use std::sync::Arc;
use std::time::Duration;

pub use body::Room;

/// What handlers share.
#[derive(Clone)]
pub struct Web {
    pub service: Service,
    pub links: Arc<Links>,
    pub tokens: Arc<Tokens>,
    /// How people come in.
    pub door: Arc<Door>,
    pub body_limit: usize,
    pub body_timeout: Duration,
    /// What large bodies share.
    pub room: Room,
    /// Cookies are marked secure and bound to the host.
    pub secure: bool,
    pub templates: Arc<render::Templates>,
    /// When a write last went through for the readiness check.
    pub write_probe: Arc<tokio::sync::Mutex<Option<std::time::Instant>>>,
    /// Who has typed wrong resume codes, and how often.
    pub codes: Arc<throttle::Throttle>,
    /// What carriers' call-backs prove themselves with.
    pub hooks: Arc<HookKeys>,
    /// Requests a minute, and who has asked how often.
    pub budgets: limits::Budgets,
    pub limiter: Arc<limits::Limiter>,
    /// Turns true when the service stops: pages that watch let go.
    pub stopping: tokio::sync::watch::Receiver<bool>,
    /// Catchers of the demo.
    pub demo: Option<Arc<DemoBox>>,
}

/// Compiles the page templates.
///
/// # Errors
/// One of them does not compile: a fault of the build.
pub fn templates() -> Result<Arc<render::Templates>, minijinja::Error> {
    render::Templates::new().map(Arc::new)
}

/// Every route.
pub fn router(web: Web) -> Router {
    let mut router = Router::new()
        .merge(api::routes())
        .merge(pages::routes())
        .merge(assets::routes())
        .merge(health::routes())
        .merge(hooks::routes());
    if web.demo.is_some() {
        router = router.merge(demo::routes());
    }
    let router = router
        .fallback(layers::not_found)
        .method_not_allowed_fallback(layers::method_not_allowed)
        .with_state(web.clone());
    layers::around(router, web)
}

/// The paths of the API as served, for the test that holds the `OpenAPI` document to them.
#[must_use]
pub fn api_paths() -> Vec<(&'static str, &'static str)> {
    api::PATHS.to_vec()
}

/// The `OpenAPI` document as served.
#[must_use]
pub fn openapi() -> &'static str {
    api::OPENAPI
}

/// A JSON answer that went well.
fn json_answer(body: &serde_json::Value) -> axum::response::Response {
    use axum::response::IntoResponse;
    ([(axum::http::header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
