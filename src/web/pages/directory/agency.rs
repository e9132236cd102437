//! Adding, changing and removing a partner.

use super::desk::{Desk, Saving};
use super::fields::{Field, FormPage, Group, Said, filled};
use super::rule::offered;
use super::words;
use crate::domain::alert::AlertKind;
use crate::domain::directory::{Agency, Area};
use crate::service::naming::fresh_id;
use crate::web::Web;
use crate::web::form::Form;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

fn page(desk: &Desk, title: String, agency: Option<&str>) -> FormPage {
    let told = offered().map(|k| (told_field(k), k.label().to_owned())).collect();
    let area = &desk.area.id;
    FormPage {
        title,
        groups: vec![Group::plain(vec![
            Field::text("name", "Name").hint("As partners call it, for example Northshire Police"),
            Field::tel("ring", "Number to ring when nothing else works")
                .hint("For example 01632 960101"),
            Field::checks("told", "Told of", told)
                .hint("Where no rule of the policy says otherwise"),
            Field::checks(
                "answers",
                "Answer",
                vec![("acknowledge".to_owned(), "A person there has to acknowledge".to_owned())],
            ),
        ])],
        button: "Save".to_owned(),
        back: format!("/directory/{area}"),
        links: agency
            .map(|a| (format!("/directory/{area}/agency/{a}/remove"), "Remove this agency".into()))
            .into_iter()
            .collect(),
        ..FormPage::default()
    }
}

fn told_field(kind: AlertKind) -> String {
    format!("told.{}", kind.word())
}

/// What the form says, put into `agency`.
fn read(form: &Form, agency: &mut Agency) -> Vec<Said> {
    let mut said = Vec::new();
    agency.name = words::required(form, "name", "a name", &mut said);
    agency.ring = words::number(form, "ring", &mut said);
    agency.told_of.retain(|k| !offered().any(|o| o == *k));
    agency.told_of.extend(offered().filter(|k| !form.get(&told_field(*k)).is_empty()));
    agency.acknowledge = !form.get("acknowledge").is_empty();
    said
}

const PLACES: &[(&str, &str)] = &[(".name", "name"), (".ring", "ring")];

pub(super) async fn new(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let usual = [
        ("told.jar_triggered", "on"),
        ("told.jar_provisional", "on"),
        ("told.jar_upgraded", "on"),
        ("acknowledge", "on"),
    ];
    desk.blank(&web, &page(&desk, "Add an agency".to_owned(), None), &filled(usual))
}

pub(super) async fn add(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let mut area = desk.area.clone();
    let mut agency = empty(fresh_id(form.get("name"), '_', |id| area.agency(id).is_some()));
    let said = read(&form, &mut agency);
    let saving = Saving {
        what: format!("added {}", agency.name),
        to: format!("/directory/{}", area.id),
        places: PLACES,
    };
    area.agencies.push(agency);
    let made = if said.is_empty() { Ok(area) } else { Err(said) };
    desk.finish(&web, &form, made, saving, |d| page(d, "Add an agency".to_owned(), None)).await
}

fn empty(id: String) -> Agency {
    Agency {
        id,
        name: String::new(),
        ring: String::new(),
        told_of: Vec::new(),
        acknowledge: true,
        contacts: Vec::new(),
        people: Vec::new(),
        rota: None,
    }
}

pub(super) async fn form(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id)): Path<(String, String)>,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let agency = match desk.agency(&web, &id) {
        Ok(a) => a,
        Err(r) => return r,
    };
    let mut typed = filled([("name", agency.name.as_str()), ("ring", agency.ring.as_str())]);
    typed.extend(agency.told_of.iter().map(|k| (told_field(*k), "on".to_owned())));
    if agency.acknowledge {
        typed.push(("acknowledge".to_owned(), "on".to_owned()));
    }
    desk.blank(&web, &page(&desk, format!("Change {}", agency.name), Some(&id)), &typed)
}

pub(super) async fn save(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let title = match desk.agency(&web, &id) {
        Ok(a) => format!("Change {}", a.name),
        Err(r) => return r,
    };
    let mut area = desk.area.clone();
    let said = area.agencies.iter_mut().find(|a| a.id == id).map(|a| read(&form, a));
    let said = said.unwrap_or_default();
    let saving = Saving {
        what: format!("changed {}", form.get("name")),
        to: format!("/directory/{}", area.id),
        places: PLACES,
    };
    let made = if said.is_empty() { Ok(area) } else { Err(said) };
    desk.finish(&web, &form, made, saving, |d| page(d, title, Some(&id))).await
}

fn removal(desk: &Desk, agency: &Agency) -> FormPage {
    let people = match agency.people.len() {
        0 => String::new(),
        1 => ", its one person".to_owned(),
        n => format!(", its {n} people"),
    };
    FormPage {
        title: format!("Remove {}?", agency.name),
        lead: vec![
            format!(
                "{}{people}, its contact points and its rota are taken out of the directory, and \
                 the policy speaks of it no more. From then on it is told of nothing.",
                agency.name
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
    Path((area, id)): Path<(String, String)>,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    match desk.agency(&web, &id) {
        Ok(a) => desk.blank(&web, &removal(&desk, a), &[]),
        Err(r) => r,
    }
}

pub(super) async fn remove(
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
        Ok(a) => a.clone(),
        Err(r) => return r,
    };
    let saving = Saving {
        what: format!("removed {}", agency.name),
        to: format!("/directory/{}", desk.area.id),
        places: &[],
    };
    let made = Ok(without(desk.area.clone(), &id));
    desk.finish(&web, &form, made, saving, |d| removal(d, &agency)).await
}

/// The area without an agency, and without the rules' words about it.
fn without(mut area: Area, id: &str) -> Area {
    area.agencies.retain(|a| a.id != id);
    for r in &mut area.policy {
        r.agencies.retain(|a| a != id);
    }
    area.policy.retain(|r| !r.agencies.is_empty());
    area
}
