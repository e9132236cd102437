//! What every page of the directory begins and ends with: whose area it is, and how a change is
//! saved or comes back to whoever typed it.

use super::fields::{FormPage, Said};
use crate::auth::policy::{Action, Object, may};
use crate::auth::session::Session;
use crate::domain::directory::{Agency, Area};
use crate::service::{AreaVersion, ServiceError};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::{Frame, change, failed, signed_in};
use crate::web::render::see_other;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Somebody at the directory of one area.
pub(super) struct Desk {
    pub session: Session,
    pub frame: Frame,
    pub area: Area,
    /// The newest known.
    pub version: i64,
    pub may_change: bool,
}

/// A change on its way to be saved.
pub(super) struct Saving<'a> {
    /// For the history; names agencies, never people or addresses.
    pub what: String,
    /// Where to go afterwards.
    pub to: String,
    /// Which field of the form is meant by a complaint about such a place in the document.
    pub places: &'a [(&'a str, &'a str)],
}

impl Desk {
    /// Anybody who may see the area's directory.
    pub async fn read(web: &Web, headers: &HeaderMap, area: &str) -> Result<Self, Response> {
        let (session, frame) = signed_in(web, headers).await?;
        Self::of(web, session, frame, area)
    }

    /// For a form: only who may change it gets to see one.
    pub async fn write(web: &Web, headers: &HeaderMap, area: &str) -> Result<Self, Response> {
        let desk = Self::read(web, headers, area).await?;
        if desk.may_change { Ok(desk) } else { Err(failed(web, ServiceError::Forbidden)) }
    }

    /// A change that was sent.
    pub async fn change(
        web: &Web,
        headers: &HeaderMap,
        body: Body,
        area: &str,
    ) -> Result<(Self, Form), Response> {
        let (session, frame, form) = change(web, headers, body).await?;
        let desk = Self::of(web, session, frame, area)?;
        if desk.may_change { Ok((desk, form)) } else { Err(failed(web, ServiceError::Forbidden)) }
    }

    fn of(web: &Web, session: Session, frame: Frame, area: &str) -> Result<Self, Response> {
        let found = web.service.area_directory(&session.caller, area);
        let AreaVersion { area, version } = found.map_err(|e| failed(web, e))?;
        let object = Object { area: Some(&area.id), agencies: &[], ..Object::default() };
        let may_change = may(&session.caller, Action::ChangeDirectory, object);
        Ok(Self { session, frame, area, version, may_change })
    }

    pub fn agency(&self, web: &Web, id: &str) -> Result<&Agency, Response> {
        self.area.agency(id).ok_or_else(|| failed(web, ServiceError::NotFound))
    }

    /// What every template of the directory needs, with a page's own members.
    pub fn context(&self, own: Value) -> Value {
        let mut c = json!({
            "frame": self.frame,
            "area": { "id": self.area.id, "name": self.area.name, "call_back": self.area.call_back },
            "version": self.version,
            "may_change": self.may_change,
        });
        if let (Value::Object(all), Value::Object(own)) = (&mut c, own) {
            all.extend(own);
        }
        c
    }

    /// A form, filled with `typed`.
    pub fn form(
        &self,
        web: &Web,
        status: StatusCode,
        page: &FormPage,
        typed: &BTreeMap<String, String>,
        said: &[Said],
    ) -> Response {
        let errors: BTreeMap<&str, &str> =
            said.iter().rev().map(|s| (s.field.as_str(), s.message.as_str())).collect();
        let own = json!({ "page": page, "typed": typed, "errors": errors, "summary": said });
        web.templates.page(status, "directory/form.html", self.context(own))
    }

    /// The form as it stands in the directory, for the first look.
    pub fn blank(&self, web: &Web, page: &FormPage, typed: &[(String, String)]) -> Response {
        self.form(web, StatusCode::OK, page, &typed.iter().cloned().collect(), &[])
    }

    /// Whether a form was made from the version that stands, and if not, what to say.
    pub async fn stale(&self, web: &Web, form: &Form) -> Option<Said> {
        if form.get("_version").parse() == Ok(self.version) {
            return None;
        }
        let history = web.service.store.directory_history(&self.area.id).await.unwrap_or_default();
        let last = history.first().map_or_else(String::new, |(_, _, _, what)| format!(" ({what})"));
        Some(Said::new(
            "_form",
            &format!(
                "Somebody else changed the directory meanwhile{last}. Nothing of yours was saved. \
                 Look at what stands now, then press again to put yours on top"
            ),
        ))
    }

    /// Saves; or shows the form again with what was typed and what is wrong. The form that comes
    /// back carries the version that stands, so that pressing again is a decision made knowingly.
    pub async fn finish(
        mut self,
        web: &Web,
        form: &Form,
        made: Result<Area, Vec<Said>>,
        saving: Saving<'_>,
        page: impl FnOnce(&Desk) -> FormPage,
    ) -> Response {
        let mut said = Vec::new();
        let mut status = StatusCode::UNPROCESSABLE_ENTITY;
        if let Some(stale) = self.stale(web, form).await {
            status = StatusCode::CONFLICT;
            said.push(stale);
        }
        match made {
            Err(wrong) => said.extend(wrong),
            Ok(new) if said.is_empty() => match self.save(web, new, &saving).await {
                Ok(version) => return see_other(&format!("{}?saved={version}", saving.to)),
                Err(Unsaved::Failed(r)) => return r,
                Err(Unsaved::Said(s)) => said = s,
                Err(Unsaved::Stale(s)) => {
                    status = StatusCode::CONFLICT;
                    said = vec![s];
                }
            },
            Ok(_) => {}
        }
        let page = page(&self);
        self.form(web, status, &page, form.typed(), &said)
    }

    /// Saves a new version on top of the one that stands.
    pub async fn save(
        &mut self,
        web: &Web,
        new: Area,
        saving: &Saving<'_>,
    ) -> Result<i64, Unsaved> {
        let caller = &self.session.caller;
        let saved = web.service.save_directory(caller, new, self.version, &saving.what).await;
        let problems = match saved {
            Ok(version) => return Ok(version),
            Err(ServiceError::Invalid(problems)) => problems,
            Err(e) => return Err(Unsaved::Failed(failed(web, e))),
        };
        if problems.iter().any(|p| p.field == "version") {
            // Another process was faster; its version is known here now.
            if let Ok(now) = web.service.area_directory(&self.session.caller, &self.area.id) {
                (self.area, self.version) = (now.area, now.version);
            }
            let stale = self.stale(web, &Form::default()).await;
            return Err(stale.map_or_else(|| Unsaved::Said(Vec::new()), Unsaved::Stale));
        }
        let said = problems.iter().map(|p| {
            let field = saving.places.iter().find(|(place, _)| p.field.ends_with(place));
            match field {
                Some((_, field)) => Said::new(field, &p.message),
                None => Said::new("_form", &format!("{}: {}", place(&p.field), p.message)),
            }
        });
        Err(Unsaved::Said(said.collect()))
    }
}

/// Why nothing was saved.
pub(super) enum Unsaved {
    /// Things to mend in the form.
    Said(Vec<Said>),
    /// Somebody else was faster.
    Stale(Said),
    Failed(Response),
}

/// A place in the document in words: `agency.police.person.ada.name` is "police, person, ada, name".
fn place(field: &str) -> String {
    let words: Vec<&str> = field.split('.').filter(|w| *w != "agency").collect();
    words.join(", ").replace('_', " ")
}
