//! Dated changes of a rota: somebody stands in, or another arrangement for some hours.

use super::desk::{Desk, Saving};
use super::fields::{Field, FormPage, Group, Said, options};
use super::{rota, words};
use crate::domain::civil_time;
use crate::domain::directory::Agency;
use crate::domain::rota::{Cover, CoverKind};
use crate::service::ServiceError;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::failed;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

fn page(desk: &Desk, agency: &Agency) -> FormPage {
    let mut people = vec![(String::new(), "Choose".to_owned())];
    people.extend(agency.people.iter().map(|p| (p.id.clone(), p.name.clone())));
    FormPage {
        title: format!("Add a cover at {}", agency.name),
        lead: vec![
            "For these hours this person is on instead of whoever the rota says. A later entry \
             wins over an earlier one."
                .to_owned(),
        ],
        groups: vec![Group::plain(vec![
            Field::select("person", "Who is on", people).short(),
            Field::input("date", "from_date", "From").hint("For example 2026-11-30").short(),
            Field::input("time", "from_time", "At").hint("For example 09:00").short(),
            Field::input("date", "to_date", "Until").short(),
            Field::input("time", "to_time", "At").short(),
            Field::select(
                "kind",
                "Why",
                options([("cover", "Stands in for a while"), ("override", "Another arrangement")]),
            )
            .short(),
            Field::text("note", "Note").hint("For example: leave. Nothing about health"),
        ])],
        button: "Add".to_owned(),
        back: format!("/directory/{}/rota/{}", desk.area.id, agency.id),
        ..FormPage::default()
    }
}

fn read(form: &Form, agency: &Agency) -> Result<Cover, Vec<Said>> {
    let mut said = Vec::new();
    let person = form.get("person");
    if agency.person(person).is_none() {
        let why = if agency.people.is_empty() {
            "there is no person at this agency yet: add people first"
        } else {
            "choose who is on"
        };
        said.push(Said::new("person", why));
    }
    let from = words::date_time(form, "from_date", "from_time", &mut said);
    let to = words::date_time(form, "to_date", "to_time", &mut said);
    if let (Some(from), Some(to)) = (from, to)
        && civil_time::earliest(to) <= civil_time::earliest(from)
    {
        said.push(Said::new("to_date", "the end must come after the start"));
    }
    if form.get("note").chars().count() > 200 {
        said.push(Said::new("note", "must be at most 200 characters"));
    }
    match (from, to, said.is_empty()) {
        (Some(from), Some(to), true) => Ok(Cover {
            from,
            to,
            person: person.to_owned(),
            kind: if form.get("kind") == "override" {
                CoverKind::Override
            } else {
                CoverKind::Cover
            },
            note: form.get("note").to_owned(),
        }),
        _ => Err(said),
    }
}

pub(super) async fn new(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id)): Path<(String, String)>,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    match desk.agency(&web, &id) {
        Ok(a) => desk.blank(&web, &page(&desk, a), &[]),
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
        Ok(a) => a.clone(),
        Err(r) => return r,
    };
    let made = read(&form, &agency).map(|cover| {
        let mut new = desk.area.clone();
        if let Some(a) = new.agencies.iter_mut().find(|a| a.id == id) {
            rota::of(a).covers.push(cover);
        }
        new
    });
    let saving = Saving {
        what: format!("added a cover at {}", agency.name),
        to: format!("/directory/{area}/rota/{id}"),
        places: &[("rota", "to_date")],
    };
    desk.finish(&web, &form, made, saving, |d| page(d, &agency)).await
}

fn removal(desk: &Desk, agency: &Agency, c: &Cover) -> FormPage {
    FormPage {
        title: "Remove this cover?".to_owned(),
        lead: vec![
            format!(
                "{}, {} to {}: without it the rota says again who is on.",
                rota::name(agency, &c.person),
                words::local(c.from),
                words::local(c.to)
            ),
            "You can go back to this version afterwards, under History.".to_owned(),
        ],
        button: "Remove".to_owned(),
        danger: true,
        back: format!("/directory/{}/rota/{}", desk.area.id, agency.id),
        ..FormPage::default()
    }
}

pub(super) async fn ask(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, n)): Path<(String, String, String)>,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let (agency, r) = match rota::existing(&web, &desk, &id) {
        Ok(found) => found,
        Err(r) => return r,
    };
    match n.parse::<usize>().ok().and_then(|n| r.covers.get(n)) {
        Some(c) => desk.blank(&web, &removal(&desk, agency, c), &[]),
        None => failed(&web, ServiceError::NotFound),
    }
}

/// By its place in the document, which holds because the version is the one that was shown.
pub(super) async fn remove(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, n)): Path<(String, String, String)>,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let (agency, r) = match rota::existing(&web, &desk, &id) {
        Ok((a, r)) => (a.clone(), r),
        Err(r) => return r,
    };
    let Some((n, c)) = n.parse::<usize>().ok().and_then(|n| Some((n, r.covers.get(n)?.clone())))
    else {
        return failed(&web, ServiceError::NotFound);
    };
    let mut new = desk.area.clone();
    if let Some(a) = new.agencies.iter_mut().find(|a| a.id == id) {
        let r = rota::of(a);
        r.covers.remove(n);
        if r.rotations.is_empty() && r.covers.is_empty() {
            a.rota = None;
        }
    }
    let saving = Saving {
        what: format!("removed a cover at {}", agency.name),
        to: format!("/directory/{area}/rota/{id}"),
        places: &[],
    };
    desk.finish(&web, &form, Ok(new), saving, |d| removal(d, &agency, &c)).await
}
