//! Two people at one field: theirs, yours and the value before, side by side; who types decides for
//! each, and nothing is lost.

use super::boxes;
use super::fields::{label, said, text};
use super::form::Work;
use crate::domain::reading::reading;
use crate::service::Revision;
use crate::web::pages::failed;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// What somebody typed for a field, in words; none if they emptied it.
fn yours(revision: &Revision, path: &str) -> Option<String> {
    let Revision::Edit { corrections, accounts, .. } = revision else { return None };
    let pointer = format!("/{}", path.replace('.', "/"));
    let value = corrections.pointer(&pointer).or_else(|| accounts.pointer(&pointer));
    value.map(|v| text(path, v))
}

pub(super) async fn page(w: Work<'_>, paths: &[String], revision: &Revision) -> Response {
    let hands = match w.web.service.last_hands(&w.desk.events).await {
        Ok(h) => h,
        Err(e) => return failed(w.web, e),
    };
    let before = crate::domain::history::facts_at(&w.desk.events, w.seen);
    let now = &w.desk.state.facts;
    let line = |path: &String| {
        let (who, at): (String, Option<DateTime<Utc>>) =
            hands.get(path).map_or_else(Default::default, |(who, at)| (who.clone(), Some(*at)));
        let mine = yours(revision, path);
        json!({
            "path": path,
            "label": label(path),
            "before": said(path, &reading(&before, path)),
            "theirs": said(path, &reading(now, path)),
            "who": who,
            "at": at,
            "keep": w.form.get(&format!("_keep.{path}")),
            "can_both": mine.is_some() && reading(now, path).value.is_some(),
            "yours": mine.unwrap_or_else(|| "Not known after all".to_owned()),
        })
    };
    let lines: Vec<Value> = paths.iter().map(line).collect();
    let asked: Vec<String> = paths.iter().map(|p| format!("_keep.{p}")).collect();
    // Pressed without a choice for each.
    let again = !w.form.get("_asked").is_empty();
    let carried: Vec<(String, String)> =
        w.carried().into_iter().filter(|(n, _)| !asked.contains(n)).collect();
    let mut c = w.base();
    c["asked"] = json!(paths.join(" "));
    c["now"] = json!(w.desk.state.version);
    c["lines"] = json!(lines);
    c["carried"] = json!(carried);
    c["again"] = json!(again);
    // What else was typed and clashes with nobody goes with it.
    let others = boxes::changed(w.group, &w.desk.shown, w.form.typed(), w.web.service.clock.now());
    let rest = others.fields.keys().chain(&others.emptied);
    c["rest"] = json!(
        rest.filter(|p| !paths.iter().any(|x| x == *p)).map(|p| label(p)).collect::<Vec<_>>()
    );
    w.web.templates.page(StatusCode::CONFLICT, "edit/clash.html", c)
}
