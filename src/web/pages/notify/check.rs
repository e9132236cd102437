//! The last page before sending: every answer with a way to change it, and the sending itself.

use super::super::evened;
use super::flow::{frame, merge};
use super::session;
use super::words::{Said, answer, hints, label, said};
use crate::domain::draft::{Page, order};
use crate::service::{Held, Judged, ServiceError};
use crate::web::Web;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

#[derive(Serialize)]
struct Group {
    title: &'static str,
    page: &'static str,
    /// What is asked, what was answered.
    rows: Vec<(String, String)>,
    /// What was not asked, and why.
    skipped: Vec<(String, String)>,
}

fn groups(held: &Held, judged: &Judged) -> Vec<Group> {
    let mut out = Vec::new();
    for page in order(&judged.facts).into_iter().filter(|p| *p != Page::Check) {
        let mut fields: Vec<&str> = Vec::new();
        for f in page.fields() {
            let name = f.split('-').next().unwrap_or(f);
            if !fields.contains(&name) {
                fields.push(name);
            }
        }
        let why = |f: &str| judged.skipped.iter().find(|s| s.field == f).map(|s| s.why.clone());
        let (mut rows, mut skipped) = (Vec::new(), Vec::new());
        for f in fields {
            let a = answer(&held.draft, f);
            match why(f) {
                Some(why) => skipped.push((label(f).to_owned(), why)),
                // The questions are all shown, so that a gap is seen; of the rest what was said.
                None if a.is_empty() && !f.starts_with("jar_answers.") => {}
                None if a.is_empty() => {
                    rows.push((
                        label(f).to_owned(),
                        "Not answered: counts as not known".to_owned(),
                    ));
                }
                None => rows.push((label(f).to_owned(), a)),
            }
        }
        if rows.is_empty() && skipped.is_empty() {
            rows.push(("Nothing yet".to_owned(), "Not known".to_owned()));
        }
        out.push(Group { title: page.title(), page: page.word(), rows, skipped });
    }
    out
}

pub(super) fn show(
    web: &Web,
    held: &Held,
    judged: &Judged,
    status: StatusCode,
    problems: &[Said],
) -> Response {
    let mut context = frame(web, held, judged);
    let unreadable: Vec<Said> = said(&judged.problems);
    let more = json!({
        "summary": problems,
        "groups": groups(held, judged),
        "unreadable": unreadable,
        "warnings": hints(&judged.warnings),
        "callable": judged.facts.can_call_back(),
        "page": { "word": "check", "title": Page::Check.title(), "n": 9, "of": 9 },
        "back": "/notify/caller",
    });
    merge(&mut context, more);
    web.templates.page(status, "notify/check.html", context)
}

pub(super) async fn send(State(web): State<Web>, headers: HeaderMap, body: Body) -> Response {
    let form = match session::posted(&web, &headers, body).await {
        Ok(f) => f,
        Err(r) => return r,
    };
    let held = match session::held_for(&web, &headers, &form, "/notify/send").await {
        Ok(h) => h,
        Err(r) => return r,
    };
    match web.service.send_draft(&held.code).await {
        Ok(_) => evened(session::on_to(&web, &headers, "/notify/done")),
        Err(ServiceError::Invalid(problems)) => {
            let judged = web.service.judged(&held);
            let problems: Vec<Said> = said(&problems)
                .into_iter()
                .map(|(to, text)| {
                    let page = Page::asking(&to).unwrap_or(Page::Caller);
                    (format!("/notify/{}?to=check#{to}", page.word()), text)
                })
                .collect();
            show(&web, &held, &judged, StatusCode::UNPROCESSABLE_ENTITY, &problems)
        }
        Err(e) => session::unsaved(&web, "/notify/send", &form, e),
    }
}
