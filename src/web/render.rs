//! Page templates, compiled once at start.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, NaiveDate, Utc};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde::Serialize;

/// All templates by name.
pub struct Templates(Environment<'static>);

macro_rules! sources {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("templates/", $name)))),+]
    };
}

const SOURCES: &[(&str, &str)] = sources![
    "base.html",
    "macros.html",
    "error.html",
    "sign_in.html",
    "notify.html",
    "received.html",
    "acknowledge.html",
    "queue.html",
    "case.html",
    "case_access.html",
    "retention.html",
    "certificate.html",
    "subject_access.html",
    "subject_copy.html",
    "break_glass.html",
    "audit.html",
    "audit_case.html",
    "reached.html",
    "reached_part.html",
    "board_rows.html",
    "board.html",
    "board_part.html",
    "drills.html",
    "drill.html",
    "panels.html",
    "panel.html",
    "outbox.html",
    "directory/areas.html",
    "directory/area.html",
    "directory/form.html",
    "directory/errors.html",
    "directory/rotate.html",
    "directory/secret.html",
    "directory/history.html",
    "directory/rota.html",
    "directory/paste.html",
    "directory/policy.html",
];

/// The style sheet, under an address that changes with it.
pub const CSS: &str = include_str!("static/cdr.css");

/// The script of live pages.
pub const JS: &str = include_str!("static/live.js");

/// Address of the script.
#[must_use]
pub fn js_path() -> String {
    let digest = crate::platform::crypt::sha256(&[JS.as_bytes()]);
    format!("/static/live-{}.js", &crate::platform::crypt::hex(&digest)[..12])
}

/// Address of the style sheet.
#[must_use]
pub fn css_path() -> String {
    let digest = crate::platform::crypt::sha256(&[CSS.as_bytes()]);
    format!("/static/cdr-{}.css", &crate::platform::crypt::hex(&digest)[..12])
}

impl Templates {
    /// # Errors
    /// A template does not compile.
    pub fn new() -> Result<Self, minijinja::Error> {
        let mut env = Environment::new();
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true);
        env.set_syntax(syntax.build()?);
        env.set_undefined_behavior(minijinja::UndefinedBehavior::Chainable);
        env.add_filter("when", |text: String| when_text(&text));
        env.add_filter("day", |text: String| day_text(&text));
        env.add_filter("words", |text: String| text.replace('_', " "));
        // What a text asks to be answered with, for the demo's telephones.
        env.add_filter("reply", |text: String| {
            let asked = text.lines().find_map(|l| l.strip_prefix("Reply "));
            asked.unwrap_or("YES").to_owned()
        });
        env.add_filter("clock", |text: String| clock_text(&text));
        env.add_global("css", css_path());
        env.add_global("js", js_path());
        for (name, source) in SOURCES {
            env.add_template(name, source)?;
        }
        Ok(Self(env))
    }

    /// A page; a template that fails is our fault and says no more than that.
    pub fn page(&self, status: StatusCode, name: &str, context: impl Serialize) -> Response {
        let rendered =
            self.0.get_template(name).and_then(|t| t.render(Value::from(Serde(&context))));
        match rendered {
            Ok(html) => (status, Html(html)).into_response(),
            Err(e) => {
                tracing::error!(template = name, error = %e, "a page could not be rendered");
                let text = "Something went wrong here; it has been logged.";
                (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
            }
        }
    }

    /// A part of a page, for live ones.
    pub fn text(&self, name: &str, context: impl Serialize) -> Option<String> {
        let rendered =
            self.0.get_template(name).and_then(|t| t.render(Value::from(Serde(&context))));
        rendered
            .inspect_err(
                |e| tracing::error!(template = name, error = %e, "a page could not be rendered"),
            )
            .ok()
    }

    /// An error page that says what to do.
    pub fn error(&self, status: StatusCode, title: &str, advice: &str) -> Response {
        #[derive(Serialize)]
        struct Context<'a> {
            title: &'a str,
            advice: &'a str,
        }
        self.page(status, "error.html", Context { title, advice })
    }
}

/// A redirect after a change.
pub fn see_other(to: &str) -> Response {
    let mut r = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    r.headers_mut().insert(header::LOCATION, location);
    r
}

/// "23 November 2026, 03:14", as clocks in England showed it.
fn when_text(text: &str) -> String {
    DateTime::parse_from_rfc3339(text).map_or_else(
        |_| text.to_owned(),
        |t| {
            let local = crate::domain::civil_time::local(t.with_timezone(&Utc));
            local.format("%-d %B %Y, %H:%M").to_string()
        },
    )
}

/// "03:14", with seconds where they count: a ladder may move within the minute.
fn clock_text(text: &str) -> String {
    DateTime::parse_from_rfc3339(text).map_or_else(
        |_| text.to_owned(),
        |t| {
            let local = crate::domain::civil_time::local(t.with_timezone(&Utc));
            local.format("%H:%M:%S").to_string()
        },
    )
}

fn day_text(text: &str) -> String {
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map_or_else(|_| text.to_owned(), |d| d.format("%-d %B %Y").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_compiles_and_times_read_as_in_england() {
        Templates::new().unwrap();
        assert_eq!(when_text("2026-07-01T02:14:00Z"), "1 July 2026, 03:14");
        assert_eq!(day_text("2026-11-03"), "3 November 2026");
    }
}
