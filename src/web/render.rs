//! Page templates, compiled once at start.

use super::assets;
use crate::platform::crypt::random_token;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, NaiveDate, Utc};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
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
    "govuk/parts.html",
    "govuk/button.html",
    "govuk/input.html",
    "govuk/textarea.html",
    "govuk/select.html",
    "govuk/radios.html",
    "govuk/checkboxes.html",
    "govuk/date_input.html",
    "govuk/error_summary.html",
    "govuk/details.html",
    "govuk/notices.html",
    "govuk/lists.html",
    "govuk/ways.html",
    "error.html",
    "plan.html",
    "sign_in.html",
    "notify/macros.html",
    "notify/one_page.html",
    "notify/page.html",
    "notify/so_far.html",
    "notify/what.html",
    "notify/who.html",
    "notify/when.html",
    "notify/where.html",
    "notify/sudden.html",
    "notify/cause.html",
    "notify/care.html",
    "notify/caller.html",
    "notify/check.html",
    "notify/resume.html",
    "notify/unsaved.html",
    "notify/code.html",
    "notify/after.html",
    "notify/done.html",
    "notify/told.html",
    "notify/next.html",
    "notify/more.html",
    "notify/section.html",
    "drafts.html",
    "sign_in_code.html",
    "invitation.html",
    "account.html",
    "account_password.html",
    "account_app.html",
    "account_codes.html",
    "users.html",
    "received.html",
    "acknowledge.html",
    "today.html",
    "desk_keys.html",
    "cases.html",
    "handed.html",
    "bulk.html",
    "case.html",
    "case_access.html",
    "case_likeness.html",
    "compare.html",
    "case/summary.html",
    "case/jar.html",
    "case/steps.html",
    "case/people.html",
    "case/timeline.html",
    "case/parts.html",
    "case/reached.html",
    "case/documents.html",
    "documents.html",
    "document_withdraw.html",
    "edit/banner.html",
    "edit/hidden.html",
    "edit/lines.html",
    "edit/entries.html",
    "edit/form.html",
    "edit/check.html",
    "edit/clash.html",
    "edit/history.html",
    "edit/undo.html",
    "edit/settle.html",
    "retention.html",
    "certificate.html",
    "subject_access.html",
    "subject_copy.html",
    "break_glass.html",
    "audit.html",
    "audit_case.html",
    "reached.html",
    "reached_part.html",
    "spoke.html",
    "board_rows.html",
    "board.html",
    "board_part.html",
    "drills.html",
    "likeness.html",
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
        env.add_filter("by_field", by_field);
        env.add_filter("clock", |text: String| clock_text(&text));
        env.add_global("css", Value::from_safe_string(assets::CSS.to_owned()));
        env.add_global("icon", Value::from_safe_string(assets::ICON.to_owned()));
        env.add_global("begin_js", Value::from_safe_string(assets::BEGIN.to_owned()));
        env.add_global("start_js", Value::from_safe_string(assets::START.to_owned()));
        env.add_global("js", Value::from_safe_string(assets::LIVE.to_owned()));
        env.add_global("keys_js", Value::from_safe_string(assets::KEYS.to_owned()));
        env.add_global("draft_js", Value::from_safe_string(assets::DRAFT.to_owned()));
        env.add_global("passkey_js", Value::from_safe_string(assets::PASSKEY.to_owned()));
        // As in the components' own language: nothing prints nothing, and yes is "true".
        env.set_formatter(|out, state, value| match (value.kind(), value.is_true()) {
            (ValueKind::None, _) => Ok(()),
            (ValueKind::Bool, yes) => Ok(out.write_str(if yes { "true" } else { "false" })?),
            _ => minijinja::escape_formatter(out, state, value),
        });
        env.add_filter("on_day", |text: String| {
            when_text(&text).split(", ").next().unwrap_or_default().to_owned()
        });
        // To the minute, for people who write it down.
        env.add_filter("hour", |text: String| {
            clock_text(&text).chars().take(5).collect::<String>()
        });
        for (name, source) in SOURCES {
            env.add_template(name, source)?;
        }
        Ok(Self(env))
    }

    /// A page; a template that fails is our fault and says no more than that.
    pub fn page(&self, status: StatusCode, name: &str, context: impl Serialize) -> Response {
        // Scripts run only with this answer's own word.
        let nonce = random_token().unwrap_or_default();
        let rendered = self.0.get_template(name).and_then(|t| {
            t.render(
                minijinja::context! { nonce => nonce.as_str(), ..Value::from(Serde(&context)) },
            )
        });
        match rendered {
            Ok(html) => {
                let mut r = (status, Html(html)).into_response();
                if let Ok(policy) = HeaderValue::from_str(&content_security_policy(&nonce)) {
                    r.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
                }
                r
            }
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

    /// One component with the options of its published examples, for the test that compares them.
    ///
    /// # Errors
    /// There is no such component, or it cannot be rendered.
    pub fn component(
        &self,
        file: &str,
        name: &str,
        params: &serde_json::Value,
    ) -> Result<String, minijinja::Error> {
        let source =
            format!("{{% from \"govuk/{file}.html\" import {name} %}}{{{{ {name}(params) }}}}");
        let context = minijinja::context! { params => Value::from(Serde(params)) };
        self.0.render_named_str("component.html", &source, context)
    }

    /// An error page that says what to do.
    pub fn error(&self, status: StatusCode, title: &str, advice: &str) -> Response {
        #[derive(Serialize)]
        struct Context<'a> {
            title: &'a str,
            advice: String,
        }
        // What the service says of itself begins small, because it may stand within a sentence.
        let mut advice = sentence(advice);
        if advice.ends_with(char::is_alphanumeric) {
            advice.push('.');
        }
        self.page(status, "error.html", Context { title, advice })
    }
}

/// What a page may load and do; scripts only those that carry the nonce.
fn content_security_policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; style-src 'self'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
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

/// With a capital at the beginning.
pub fn sentence(text: &str) -> String {
    let mut c = text.chars();
    c.next().map_or_else(String::new, |first| first.to_uppercase().chain(c).collect())
}

/// The message of each field, of a list of problems.
fn by_field(problems: &Value) -> Value {
    let all = problems.try_iter().into_iter().flatten();
    let text = |p: &Value, name: &str| p.get_attr(name).ok().map(|v| v.to_string());
    all.filter_map(|p| Some((text(&p, "field")?, sentence(&text(&p, "message")?))))
        .collect::<std::collections::BTreeMap<_, _>>()
        .into()
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
