//! Adding, changing and removing somebody who can be on duty.

use super::desk::{Desk, Saving};
use super::fields::{Field, FormPage, Group, Said, filled};
use super::words;
use crate::domain::civil_time;
use crate::domain::directory::{Agency, Person};
use crate::service::ServiceError;
use crate::service::naming::fresh_id;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::failed;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::NaiveDateTime;

fn page(desk: &Desk, title: String, remove: Option<String>) -> FormPage {
    FormPage {
        title,
        groups: vec![Group::plain(vec![
            Field::text("name", "Name"),
            Field::text("role", "Role").hint("For example Detective inspector; may be left empty"),
            Field::text("team", "Team").hint("Only if the policy turns to teams"),
        ])],
        button: "Save".to_owned(),
        back: format!("/directory/{}", desk.area.id),
        links: remove.map(|to| (to, "Remove this person".to_owned())).into_iter().collect(),
        ..FormPage::default()
    }
}

fn read(form: &Form, p: &mut Person) -> Vec<Said> {
    let mut said = Vec::new();
    p.name = words::required(form, "name", "a name", &mut said);
    form.get("role").clone_into(&mut p.role);
    form.get("team").clone_into(&mut p.team);
    for field in ["role", "team"] {
        if form.get(field).chars().count() > 200 {
            said.push(Said::new(field, "must be at most 200 characters"));
        }
    }
    said
}

const PLACES: &[(&str, &str)] = &[(".name", "name")];

pub(super) async fn new(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, agency)): Path<(String, String)>,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    match desk.agency(&web, &agency) {
        Ok(a) => desk.blank(&web, &page(&desk, format!("Add a person at {}", a.name), None), &[]),
        Err(r) => r,
    }
}

pub(super) async fn add(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let agency = match desk.agency(&web, &id) {
        Ok(a) => a,
        Err(r) => return r,
    };
    let title = format!("Add a person at {}", agency.name);
    let mut person = Person {
        id: fresh_id(form.get("name"), '-', |p| agency.person(p).is_some()),
        name: String::new(),
        role: String::new(),
        team: String::new(),
        contacts: Vec::new(),
    };
    let said = read(&form, &mut person);
    let saving = Saving {
        what: format!("added a person at {}", agency.name),
        // A person without a way to be reached is only half of what was wanted.
        to: format!("/directory/{area}/agency/{id}/person/{}", person.id),
        places: PLACES,
    };
    let mut new = desk.area.clone();
    if let Some(a) = new.agencies.iter_mut().find(|a| a.id == id) {
        a.people.push(person);
    }
    let made = if said.is_empty() { Ok(new) } else { Err(said) };
    desk.finish(&web, &form, made, saving, |d| page(d, title, None)).await
}

/// The form of one person, with a way to add a contact point.
fn full_page(desk: &Desk, agency: &str, p: &Person) -> FormPage {
    let here = format!("/directory/{}/agency/{agency}", desk.area.id);
    let remove = format!("{here}/person/{}/remove", p.id);
    let mut page = page(desk, format!("Change {}", p.name), Some(remove));
    let more = (
        format!("{here}/contact/new?person={}", p.id),
        "Add a way to reach them (mobile, e-mail, …)".to_owned(),
    );
    page.links.insert(0, more);
    if p.contacts.is_empty() {
        page.lead.push("There is no way to reach this person yet: add one below.".to_owned());
    }
    page
}

pub(super) async fn form(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, person)): Path<(String, String, String)>,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let Some(p) = desk.area.agency(&id).and_then(|a| a.person(&person)) else {
        return failed(&web, ServiceError::NotFound);
    };
    let typed =
        filled([("name", p.name.as_str()), ("role", p.role.as_str()), ("team", p.team.as_str())]);
    desk.blank(&web, &full_page(&desk, &id, p), &typed)
}

pub(super) async fn save(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, person)): Path<(String, String, String)>,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let mut new = desk.area.clone();
    let agency = new.agencies.iter_mut().find(|a| a.id == id);
    let Some((name, p)) = agency.and_then(|a| {
        let p = a.people.iter_mut().find(|p| p.id == person)?;
        Some((a.name.clone(), p))
    }) else {
        return failed(&web, ServiceError::NotFound);
    };
    let before = p.clone();
    let said = read(&form, p);
    let saving = Saving {
        what: format!("changed a person at {name}"),
        to: format!("/directory/{area}"),
        places: PLACES,
    };
    let made = if said.is_empty() { Ok(new) } else { Err(said) };
    desk.finish(&web, &form, made, saving, |d| full_page(d, &id, &before)).await
}

fn removal(desk: &Desk, agency: &Agency, p: &Person) -> FormPage {
    FormPage {
        title: format!("Remove {}?", p.name),
        lead: vec![
            format!(
                "{} of {} is taken out of the directory with every way to reach them.",
                p.name, agency.name
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
    Path((area, id, person)): Path<(String, String, String)>,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let found = desk.area.agency(&id).and_then(|a| Some((a, a.person(&person)?)));
    match found {
        Some((a, p)) => desk.blank(&web, &removal(&desk, a, p), &[]),
        None => failed(&web, ServiceError::NotFound),
    }
}

pub(super) async fn remove(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, person)): Path<(String, String, String)>,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let found = desk.area.agency(&id).and_then(|a| Some((a.clone(), a.person(&person)?.clone())));
    let Some((agency, p)) = found else { return failed(&web, ServiceError::NotFound) };
    let now = civil_time::local(web.service.clock.now());
    let made = if let Some(said) = on_rota(&agency, &p, now) {
        Err(vec![said])
    } else {
        let mut new = desk.area.clone();
        if let Some(a) = new.agencies.iter_mut().find(|a| a.id == id) {
            a.people.retain(|q| q.id != p.id);
            if let Some(r) = &mut a.rota {
                r.covers.retain(|c| c.person != p.id);
            }
        }
        Ok(new)
    };
    let saving = Saving {
        what: format!("removed a person at {}", agency.name),
        to: format!("/directory/{area}"),
        places: &[],
    };
    desk.finish(&web, &form, made, saving, |d| removal(d, &agency, &p)).await
}

/// Taking somebody out of a rotation moves everybody else's turns, and a cover that goes leaves
/// the one who is away on duty: both are decided on the rota, not here.
fn on_rota(agency: &Agency, p: &Person, now: NaiveDateTime) -> Option<Said> {
    let rota = agency.rota.as_ref()?;
    let turns = rota.rotations.iter().any(|r| r.people.contains(&p.id));
    let covers = rota.covers.iter().any(|c| c.person == p.id && c.to > now);
    (turns || covers).then(|| {
        let why = format!(
            "{} is on the rota of {}. Give their turns and covers to somebody else there first",
            p.name, agency.name
        );
        Said::new("_form", &why)
    })
}
