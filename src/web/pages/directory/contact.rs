//! Adding, changing, removing and verifying one way to reach somebody.

use super::desk::{Desk, Saving, Unsaved};
use super::fields::{Field, FormPage, Group, Said, filled};
use super::{secret, words};
use crate::domain::directory::{Agency, Area, Contact, LAST_STEP, Person, PointKind, When};
use crate::service::ServiceError;
use crate::service::naming::fresh_id;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::failed;
use crate::web::render::see_other;
use crate::web::request;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

pub(super) type Of = Path<(String, String, String)>;

fn page(desk: &Desk, title: String, desks: bool, links: Vec<(String, String)>) -> FormPage {
    let kind = |w: &&'static str| PointKind::parse(w).map(PointKind::label).unwrap_or_default();
    let kinds = PointKind::WORDS.iter().map(|w| ((*w).to_owned(), words::capital(kind(w))));
    let mut fields = vec![
        Field::select("kind", "Kind", kinds.collect()).short(),
        Field::text("address", "Number or address")
            .hint("For example 07700 900123, duty@agency.example or https://agency.example/hook"),
        Field::select("when", "Used", words::whens()).short(),
    ];
    if desks {
        fields.push(Field::text("team", "Team or desk").hint("For example Emergency duty team"));
    }
    FormPage {
        title,
        groups: vec![Group::plain(fields)],
        button: "Save".to_owned(),
        back: format!("/directory/{}", desk.area.id),
        links,
        ..FormPage::default()
    }
}

/// What the form says, put into `c`; whether a new secret was made, and which.
fn read(form: &Form, c: &mut Contact, said: &mut Vec<Said>) -> Option<String> {
    match PointKind::parse(form.get("kind")) {
        Some(k) => c.kind = k,
        None => said.push(Said::new("kind", "choose a kind")),
    }
    c.when = When::parse(form.get("when")).unwrap_or_default();
    form.get("team").clone_into(&mut c.team);
    let before = said.len();
    match c.kind {
        PointKind::Email | PointKind::Webhook => {
            c.address = words::required(form, "address", "an address", said);
        }
        _ => c.address = words::number(form, "address", said),
    }
    if c.kind != PointKind::Webhook {
        (c.secret, c.secret_file) = (None, None);
        return None;
    }
    if said.len() > before || c.secret.is_some() || c.secret_file.is_some() {
        return None;
    }
    match secret::fresh() {
        Ok(s) => {
            c.secret = Some(crate::domain::directory::Hidden(s.clone()));
            Some(s)
        }
        Err(said_why) => {
            said.push(said_why);
            None
        }
    }
}

/// Saves, and shows a new secret the only time it is shown.
#[allow(clippy::too_many_arguments)] // what is saved, and both ways it can end
async fn finish(
    web: &Web,
    mut desk: Desk,
    form: &Form,
    made: Result<Area, Vec<Said>>,
    new_secret: Option<String>,
    saving: Saving<'_>,
    page: impl FnOnce(&Desk) -> FormPage,
) -> Response {
    let (Some(shown), Ok(area)) = (&new_secret, &made) else {
        return desk.finish(web, form, made, saving, page).await;
    };
    if desk.stale(web, form).await.is_some() {
        return desk.finish(web, form, made, saving, page).await;
    }
    match desk.save(web, area.clone(), &saving).await {
        Ok(version) => secret::once(web, &desk, version, shown, false),
        Err(Unsaved::Failed(r)) => r,
        Err(Unsaved::Stale(s)) => {
            desk.form(web, StatusCode::CONFLICT, &page(&desk), form.typed(), &[s])
        }
        Err(Unsaved::Said(s)) => {
            desk.form(web, StatusCode::UNPROCESSABLE_ENTITY, &page(&desk), form.typed(), &s)
        }
    }
}

/// Whose the new point is: a person's, or (without one) the agency's.
///
/// # Errors
/// There is no such person (any more).
fn owner<'a>(agency: &'a Agency, query: Option<&str>) -> Result<Option<&'a Person>, ServiceError> {
    match request::query(query).remove("person").filter(|p| !p.is_empty()) {
        Some(id) => agency.person(&id).map(Some).ok_or(ServiceError::NotFound),
        None => Ok(None),
    }
}

fn title(agency: &Agency, person: Option<&Person>) -> String {
    let whose = person.map_or(&agency.name, |p| &p.name);
    format!("Add a way to reach {whose}")
}

pub(super) async fn new(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let agency = match desk.agency(&web, &id) {
        Ok(a) => a,
        Err(r) => return r,
    };
    let person = match owner(agency, query.as_deref()) {
        Ok(p) => p,
        Err(e) => return failed(&web, e),
    };
    let typed = filled([("kind", if person.is_some() { "mobile" } else { "email" })]);
    let page = page(&desk, title(agency, person), person.is_none(), Vec::new());
    desk.blank(&web, &page, &typed)
}

pub(super) async fn add(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let agency = match desk.agency(&web, &id) {
        Ok(a) => a.clone(),
        Err(r) => return r,
    };
    let person = match owner(&agency, query.as_deref()) {
        Ok(p) => p,
        Err(e) => return failed(&web, e),
    };
    let mut said = Vec::new();
    let mut c = Contact {
        id: String::new(),
        kind: PointKind::Email,
        address: String::new(),
        when: When::Always,
        team: String::new(),
        secret: None,
        secret_file: None,
    };
    let new_secret = read(&form, &mut c, &mut said);
    let team = if c.team.is_empty() { "desk" } else { &c.team };
    let called = format!("{} {}", person.map_or(team, |p| &p.name), c.kind.word());
    c.id = fresh_id(&called, '-', |id| agency.points().any(|(c, _)| c.id == id));
    let places = [(format!("contact.{}", c.id), "address")];
    let places: Vec<(&str, &str)> = places.iter().map(|(p, f)| (p.as_str(), *f)).collect();
    let saving = Saving {
        what: format!("added a contact point at {}", agency.name),
        to: format!("/directory/{area}"),
        places: &places,
    };
    let mut new = desk.area.clone();
    if let Some(a) = new.agencies.iter_mut().find(|a| a.id == id) {
        match person.and_then(|p| a.people.iter_mut().find(|q| q.id == p.id)) {
            Some(p) => p.contacts.push(c),
            None => a.contacts.push(c),
        }
    }
    let made = if said.is_empty() { Ok(new) } else { Err(said) };
    let form_page = |d: &Desk| page(d, title(&agency, person), person.is_none(), Vec::new());
    finish(&web, desk, &form, made, new_secret, saving, form_page).await
}

/// A contact point where it stands, to be changed.
pub(super) fn find<'a>(area: &'a mut Area, agency: &str, id: &str) -> Option<&'a mut Contact> {
    let a = area.agencies.iter_mut().find(|a| a.id == agency)?;
    let people = a.people.iter_mut().flat_map(|p| p.contacts.iter_mut());
    a.contacts.iter_mut().chain(people).find(|c| c.id == id)
}

/// A contact point with its agency and whose it is.
pub(super) fn look<'a>(
    desk: &'a Desk,
    agency: &str,
    id: &str,
) -> Option<(&'a Agency, &'a Contact, Option<&'a Person>)> {
    let a = desk.area.agency(agency)?;
    let (c, p) = a.points().find(|(c, _)| c.id == id)?;
    Some((a, c, p))
}

fn change_page(desk: &Desk, agency: &Agency, c: &Contact, person: Option<&Person>) -> FormPage {
    let here = format!("/directory/{}/agency/{}/contact/{}", desk.area.id, agency.id, c.id);
    let whose = person.map_or(&agency.name, |p| &p.name);
    let mut links = vec![(format!("{here}/remove"), "Remove this contact point".to_owned())];
    if c.kind == PointKind::Webhook {
        links.insert(0, (format!("{here}/secret"), "Change the secret".to_owned()));
    }
    page(desk, format!("Change a way to reach {whose}"), person.is_none(), links)
}

pub(super) async fn form(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, contact)): Of,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let Some((agency, c, person)) = look(&desk, &id, &contact) else {
        return failed(&web, ServiceError::NotFound);
    };
    let typed = filled([
        ("kind", c.kind.word()),
        ("address", c.address.as_str()),
        ("when", c.when.word()),
        ("team", c.team.as_str()),
    ]);
    desk.blank(&web, &change_page(&desk, agency, c, person), &typed)
}

pub(super) async fn save(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, contact)): Of,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let Some((agency, before, person)) =
        look(&desk, &id, &contact).map(|(a, c, p)| (a.clone(), c.clone(), p.cloned()))
    else {
        return failed(&web, ServiceError::NotFound);
    };
    let mut new = desk.area.clone();
    let mut said = Vec::new();
    let new_secret = find(&mut new, &id, &contact).and_then(|c| read(&form, c, &mut said));
    let place = format!("contact.{contact}");
    let places = [(place.as_str(), "address")];
    let saving = Saving {
        what: format!("changed a contact point at {}", agency.name),
        to: format!("/directory/{area}"),
        places: &places,
    };
    let made = if said.is_empty() { Ok(new) } else { Err(said) };
    let form_page = |d: &Desk| change_page(d, &agency, &before, person.as_ref());
    finish(&web, desk, &form, made, new_secret, saving, form_page).await
}

fn removal(desk: &Desk, c: &Contact, whose: &str) -> FormPage {
    FormPage {
        title: "Remove this contact point?".to_owned(),
        lead: vec![
            format!(
                "{} {} of {whose} is no longer used.",
                words::capital(c.kind.label()),
                c.address
            ),
            "You can go back to this version afterwards, under History.".to_owned(),
        ],
        button: "Remove".to_owned(),
        danger: true,
        back: format!("/directory/{}", desk.area.id),
        ..FormPage::default()
    }
}

pub(super) async fn ask(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, contact)): Of,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    match look(&desk, &id, &contact) {
        Some((a, c, p)) => {
            let page = removal(&desk, c, p.map_or(&a.name, |p| &p.name));
            desk.blank(&web, &page, &[])
        }
        None => failed(&web, ServiceError::NotFound),
    }
}

pub(super) async fn remove(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, contact)): Of,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let Some((agency, c, whose)) = look(&desk, &id, &contact).map(|(a, c, p)| {
        (a.name.clone(), c.clone(), p.map_or_else(|| a.name.clone(), |p| p.name.clone()))
    }) else {
        return failed(&web, ServiceError::NotFound);
    };
    let mut new = desk.area.clone();
    if let Some(a) = new.agencies.iter_mut().find(|a| a.id == id) {
        a.contacts.retain(|c| c.id != contact);
        for p in &mut a.people {
            p.contacts.retain(|c| c.id != contact);
        }
    }
    let saving = Saving {
        what: format!("removed a contact point at {agency}"),
        to: format!("/directory/{area}"),
        places: &[],
    };
    desk.finish(&web, &form, Ok(new), saving, |d| removal(d, &c, &whose)).await
}

/// Sends a code on every channel of the point.
pub(super) async fn send_code(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, contact)): Of,
    body: Body,
) -> Response {
    let (desk, _) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    // Nobody reads a code out for a system: that it takes the message is the proof.
    let system = point(&desk, &id, &contact).is_some_and(|c| c.kind == PointKind::Webhook);
    match web.service.send_code(&desk.session.caller, &area, &id, &contact).await {
        Ok(()) if system => see_other(&format!("/directory/{area}")),
        Ok(()) => {
            see_other(&format!("/directory/{area}/agency/{id}/contact/{contact}/code?sent=1"))
        }
        Err(e) => failed(&web, e),
    }
}

/// A point that can be checked: an agency's, or one of whoever is named to ring.
fn point<'a>(desk: &'a Desk, id: &str, contact: &str) -> Option<&'a Contact> {
    desk.area.points().find(|(under, c, _)| *under == id && c.id == contact).map(|(_, c, _)| c)
}

/// Where the point stands.
fn home(area: &str, id: &str) -> String {
    format!("/directory/{area}{}", if id == LAST_STEP { "/policy" } else { "" })
}

fn code_page(desk: &Desk, id: &str, c: &Contact, sent: bool) -> FormPage {
    let to = &c.address;
    FormPage {
        title: format!("Check {to}"),
        lead: vec![if sent {
            format!(
                "A code is on its way to {to}. Whoever holds it tells you the code; it is good for a day."
            )
        } else {
            format!("Type in the code that was sent to {to}. It is good for a day.")
        }],
        groups: vec![Group::plain(vec![
            Field::text("code", "Code").hint("Six digits, for example 123456").short(),
        ])],
        button: "Check".to_owned(),
        back: home(&desk.area.id, id),
        ..FormPage::default()
    }
}

pub(super) async fn code_form(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, contact)): Of,
    RawQuery(query): RawQuery,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let sent = request::query(query.as_deref()).contains_key("sent");
    match point(&desk, &id, &contact) {
        Some(c) => desk.blank(&web, &code_page(&desk, &id, c, sent), &[]),
        None => failed(&web, ServiceError::NotFound),
    }
}

pub(super) async fn take_code(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, contact)): Of,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let Some(c) = point(&desk, &id, &contact) else {
        return failed(&web, ServiceError::NotFound);
    };
    // People read a code out in groups.
    let code: String = form.get("code").chars().filter(|c| !c.is_whitespace()).collect();
    match web.service.take_code(&desk.session.caller, &area, &id, &contact, &code).await {
        Ok(()) => see_other(&home(&area, &id)),
        Err(ServiceError::Invalid(p)) => {
            let said: Vec<Said> =
                p.iter().map(|p| Said::new("code", &format!("this code {}", p.message))).collect();
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            desk.form(&web, status, &code_page(&desk, &id, c, false), form.typed(), &said)
        }
        Err(e) => failed(&web, e),
    }
}
