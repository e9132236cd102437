//! The form of one group: shown, checked, confirmed where it does more than it says, saved.

use super::fields::{self, Field, Group, Kind, label, word};
use super::{boxes, clash, effect};
use crate::auth::policy::Action;
use crate::auth::session::Session;
use crate::domain::case::Refusal;
use crate::domain::draft::Fields;
use crate::domain::id::Reference;
use crate::domain::intake::Problem;
use crate::domain::reading::reading;
use crate::service::{EditDesk, Effect, Revision, ServiceError};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::{Frame, case, change, failed, signed_in};
use crate::web::render::{see_other, sentence};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

/// A form that somebody works on.
pub(super) struct Work<'a> {
    pub web: &'a Web,
    pub session: Session,
    pub frame: Frame,
    pub reference: Reference,
    pub group: &'static Group,
    pub desk: EditDesk,
    pub form: Form,
    /// The version that was shown first, and the one that whoever types has seen last.
    pub shown: i64,
    pub seen: i64,
}

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((text, group)): Path<(String, String)>,
) -> Response {
    let (session, frame) = match signed_in(&web, &headers).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match work(&web, session, frame, &text, &group, Form::default()).await {
        Ok(w) => {
            let typed = boxes::filled(w.group, &w.desk.shown);
            w.page(StatusCode::OK, &typed, &[])
        }
        Err(r) => r,
    }
}

pub(super) async fn send(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((text, group)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (session, frame, form) = match change(&web, &headers, body).await {
        Ok(s) => s,
        Err(r) => return r,
    };
    match work(&web, session, frame, &text, &group, form).await {
        Ok(w) => w.take().await,
        Err(r) => r,
    }
}

async fn work<'a>(
    web: &'a Web,
    session: Session,
    frame: Frame,
    text: &str,
    group: &str,
    form: Form,
) -> Result<Work<'a>, Response> {
    let reference = case::guard(web, &session, text, Action::ChangeCase).await?;
    let group = fields::group(group).ok_or_else(|| failed(web, ServiceError::NotFound))?;
    let shown: Option<i64> = form.get("_version").parse().ok();
    let desk = web.service.edit_desk(&session.caller, &reference, shown).await;
    let desk = desk.map_err(|e| failed(web, e))?;
    let shown = shown.unwrap_or(desk.state.version);
    let seen = form.get("_seen").parse().unwrap_or(shown);
    let seen = if chosen(&form) { form.get("_now").parse().unwrap_or(seen) } else { seen };
    Ok(Work { web, session, frame, reference, group, desk, form, shown, seen })
}

/// Whether every field that was asked about has its choice; until then nobody has seen what the
/// others wrote.
fn chosen(form: &Form) -> bool {
    let asked = form.get("_asked");
    let has = |path: &str| matches!(form.get(&format!("_keep.{path}")), "theirs" | "mine" | "both");
    !asked.is_empty() && asked.split(' ').all(has)
}

impl Work<'_> {
    async fn take(self) -> Response {
        let typed = self.form.typed().clone();
        if !self.form.get("_add").is_empty() || !self.form.get("_back").is_empty() {
            return self.page(StatusCode::OK, &typed, &[]);
        }
        let revision = match self.revision() {
            Ok(r) => r,
            Err(problems) => {
                return self.page(StatusCode::UNPROCESSABLE_ENTITY, &typed, &problems);
            }
        };
        let Revision::Edit { not_known, .. } = &revision else {
            return failed(self.web, ServiceError::NotFound);
        };
        let service = &self.web.service;
        let e = match service.preview(&self.session.caller, &self.reference, &revision).await {
            Ok(e) => e,
            Err(e) => return self.not_done(e, &revision).await,
        };
        let home = format!("/cases/{}", self.reference);
        if e.nothing {
            return see_other(&format!("{home}?changed=nothing"));
        }
        let look = !not_known.is_empty() || effect::wants_a_look(&e);
        if look && self.form.get("_effect") != effect::token(&e) {
            return self.check(&e);
        }
        match service.revise(&self.session.caller, &self.reference, &revision).await {
            Ok(done) => see_other(&match done.entry {
                Some(n) => format!("{home}?changed={n}"),
                None => format!("{home}?changed=nothing"),
            }),
            Err(e) => self.not_done(e, &revision).await,
        }
    }

    /// What was changed on the form, as it is to be recorded.
    fn revision(&self) -> Result<Revision, Vec<Problem>> {
        let now = self.web.service.clock.now();
        let mut c = boxes::changed(self.group, &self.desk.shown, self.form.typed(), now);
        let keep = |path: &str| self.form.get(&format!("_keep.{path}")).to_owned();
        c.fields.retain(|path, _| keep(path) != "theirs");
        c.emptied.retain(|path| keep(path) != "theirs");
        let account = self.form.get("_how") == "further_account";
        if account && !c.emptied.is_empty() {
            let why = "is empty: what does the other person say? Or choose that the earlier entry was wrong";
            let one = |p: &&'static str| Problem {
                field: anchor(p),
                code: "required",
                message: format!("{} {why}", label(p)),
            };
            return Err(c.emptied.iter().map(one).collect());
        }
        let beside = |path: &str| account || keep(path) == "both";
        let (accounts, corrections): (Vec<_>, Vec<_>) =
            c.fields.iter().partition(|(path, _)| beside(path));
        Ok(Revision::Edit {
            corrections: boxes::body(corrections.into_iter().map(|(_, f)| f)),
            not_known: c.emptied.iter().map(|p| (*p).to_owned()).collect(),
            accounts: boxes::body(accounts.into_iter().map(|(_, f)| f)),
            reason: self.form.get("_reason").to_owned(),
            seen: self.seen,
        })
    }

    async fn not_done(self, e: ServiceError, revision: &Revision) -> Response {
        let typed = self.form.typed().clone();
        match e {
            ServiceError::Invalid(problems) => {
                let named = problems.iter().map(named).collect::<Vec<_>>();
                self.page(StatusCode::UNPROCESSABLE_ENTITY, &typed, &named)
            }
            ServiceError::Refused(Refusal::ChangedMeanwhile(paths)) => {
                clash::page(self, &paths, revision).await
            }
            ServiceError::Refused(why) => {
                let said = sentence(&why.to_string());
                let p = Problem { field: "_form".to_owned(), code: "refused", message: said };
                self.page(StatusCode::CONFLICT, &typed, &[p])
            }
            e => failed(self.web, e),
        }
    }

    /// Everything that was typed, to be sent again with the next press.
    pub(super) fn carried(&self) -> Vec<(String, String)> {
        let own = ["_csrf", "_effect", "_back", "_add", "_seen", "_version", "_asked", "_now"];
        let all = self.form.typed().iter().filter(|(n, _)| !own.contains(&n.as_str()));
        all.map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    pub(super) fn base(&self) -> Value {
        json!({
            "frame": self.frame,
            "reference": self.reference,
            "group": { "word": self.group.word, "title": self.group.title },
            "version": self.shown,
            "seen": self.seen,
        })
    }

    /// What the change would do, to be confirmed.
    fn check(&self, e: &Effect) -> Response {
        let mut c = self.base();
        c["carried"] = json!(self.carried());
        c["effect"] = json!(effect::token(e));
        c["lines"] = json!(effect::lines(e));
        c["sentences"] = json!(effect::sentences(e));
        c["alerts"] = json!(!e.alerted.is_empty());
        self.web.templates.page(StatusCode::OK, "edit/check.html", c)
    }

    fn page(&self, status: StatusCode, typed: &Fields, problems: &[Problem]) -> Response {
        let adds = self.form.get("_add");
        let specs: Vec<Value> =
            self.group.fields.iter().map(|f| self.spec(f, typed, f.path == adds)).collect();
        let mut c = self.base();
        c["typed"] = json!(typed);
        c["fields"] = json!(specs);
        c["problems"] = json!(problems);
        c["keeps"] =
            json!(typed.iter().filter(|(n, _)| n.starts_with("_keep.")).collect::<Vec<_>>());
        self.web.templates.page(status, "edit/form.html", c)
    }

    /// How a field is asked for.
    fn spec(&self, f: &Field, typed: &Fields, one_more: bool) -> Value {
        let others = reading(&self.desk.state.facts, f.path).others;
        let others: Vec<String> = others.iter().map(|o| fields::text(f.path, o)).collect();
        let (kind, options, columns) = match f.kind {
            Kind::Text => ("text", None, None),
            Kind::Long => ("long", None, None),
            Kind::Number => ("number", None, None),
            Kind::Date => ("date", None, None),
            Kind::Time => ("time", None, None),
            Kind::Tel => ("tel", None, None),
            Kind::Email => ("email", None, None),
            Kind::Texts => ("texts", None, None),
            Kind::Choice(words) => {
                let mut all = vec![(String::new(), "Not known yet".to_owned())];
                all.extend(words.iter().map(|w| ((*w).to_owned(), word(f.path, w))));
                ("choice", Some(all), None)
            }
            Kind::Rows(columns) => ("rows", None, Some(columns)),
        };
        let used = typed.keys().filter_map(|n| {
            n.strip_prefix(f.path)?.strip_prefix('.')?.split(['.', '-']).next()?.parse().ok()
        });
        let last: Option<usize> = used.max();
        let filled = last.map_or(0, |n| n + 1);
        // One empty row waits, unless the form brought one back.
        let posted = !self.form.typed().is_empty();
        let rows = if posted { filled + usize::from(one_more) } else { filled + 1 };
        json!({
            "path": f.path,
            "label": f.label,
            "kind": kind,
            "options": options,
            "columns": columns,
            "rows": rows.max(1),
            "others": others,
        })
    }
}

/// Where an error links to: the first box of the field.
fn anchor(path: &str) -> String {
    let dotted = path.replace('[', ".").replace(']', "");
    match fields::known(path).map(|f| f.kind) {
        Some(Kind::Date) => format!("{dotted}-day"),
        Some(Kind::Texts) => format!("{dotted}.0"),
        Some(Kind::Rows(columns)) => {
            format!("{dotted}.0.{}", columns.first().map_or("", |c| c.0))
        }
        _ => dotted,
    }
}

/// A problem in words that name the field, linked to its first box.
fn named(p: &Problem) -> Problem {
    let message = match p.code {
        "not_a_date" => format!("{} must be a real date, like 20 11 2026", label(&p.field)),
        _ => format!("{} {}", label(&p.field), p.message),
    };
    Problem { field: anchor(&p.field), code: p.code, message }
}
