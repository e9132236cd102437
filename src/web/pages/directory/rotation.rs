//! Adding, changing and removing a rotation.

use super::desk::{Desk, Saving};
use super::fields::{Field, FormPage, Group, Said};
use super::{rota, words};
use crate::domain::civil_time;
use crate::domain::directory::Agency;
use crate::domain::rota::{BankHolidays, Rotation, Window};
use crate::service::ServiceError;
use crate::service::naming::fresh_id;
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::failed;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{NaiveDate, NaiveTime, Weekday};

/// Turns that fit on one form; a longer rotation is changed in two steps.
const MOST_TURNS: usize = 60;

const DAYS: [(Weekday, &str); 7] = [
    (Weekday::Mon, "Monday"),
    (Weekday::Tue, "Tuesday"),
    (Weekday::Wed, "Wednesday"),
    (Weekday::Thu, "Thursday"),
    (Weekday::Fri, "Friday"),
    (Weekday::Sat, "Saturday"),
    (Weekday::Sun, "Sunday"),
];

fn turns(agency: &Agency, people: usize) -> usize {
    (people + 3).max(agency.people.len()).min(MOST_TURNS)
}

fn page(desk: &Desk, agency: &Agency, r: Option<&Rotation>) -> FormPage {
    let mut choice = vec![(String::new(), "Nobody (leave out)".to_owned())];
    choice.extend(agency.people.iter().map(|p| (p.id.clone(), p.name.clone())));
    let order = (1..=turns(agency, r.map_or(0, |r| r.people.len())))
        .map(|n| Field::select(&format!("turn.{n}"), &format!("Turn {n}"), choice.clone()).short());
    let days = DAYS.iter().map(|(d, label)| (day_field(*d), (*label).to_owned())).collect();
    let here = format!("/directory/{}/rota/{}", desk.area.id, agency.id);
    FormPage {
        title: match r {
            Some(_) => format!("Change a rotation of {}", agency.name),
            None => format!("Add a rotation to {}", agency.name),
        },
        lead: vec![
            "People take turns in an order. Who is first in a rotation with a lower rank is rung first."
                .to_owned(),
        ],
        groups: vec![
            Group::titled("Who, in turn", "", order.collect()),
            Group::titled(
                "When",
                "",
                vec![
                    Field::input("date", "starts", "First turn begins on")
                        .hint("For example 2026-11-30")
                        .short(),
                    Field::text("every_days", "Days of a turn").hint("7 for a week; 1 to 56").short(),
                    Field::input("time", "handover", "Handover at").hint("For example 09:00").short(),
                    Field::input("date", "until", "Last turn ends on")
                        .hint("Leave empty if it goes on")
                        .short(),
                    Field::text("rank", "Rank").hint("0 is rung first, 1 next; usually 0").short(),
                ],
            ),
            Group::titled(
                "Hours",
                "Leave as it is for day and night.",
                vec![
                    Field::select(
                        "hours",
                        "It holds",
                        super::fields::options([
                            ("always", "Day and night"),
                            ("window", "In the hours below"),
                            ("outside", "At all other hours than those below"),
                        ]),
                    ),
                    Field::input("time", "window.from", "From").short(),
                    Field::input("time", "window.to", "To")
                        .hint("Not after the start: the next morning")
                        .short(),
                    Field::checks("days", "Days on which these hours begin", days)
                        .hint("None ticked: every day"),
                    Field::select(
                        "holidays",
                        "Bank holidays",
                        super::fields::options([
                            ("included", "Are days like any other"),
                            ("excluded", "Do not count"),
                            ("only", "Are the only days that count"),
                        ]),
                    ),
                ],
            ),
        ],
        button: "Save".to_owned(),
        back: here.clone(),
        links: r
            .map(|r| (format!("{here}/rotation/{}/remove", r.id), "Remove this rotation".to_owned()))
            .into_iter()
            .collect(),
        ..FormPage::default()
    }
}

fn day_field(d: Weekday) -> String {
    format!("day.{d}").to_lowercase()
}

/// How the form is filled for a rotation.
fn typed(r: &Rotation) -> Vec<(String, String)> {
    let clock = |t: Option<NaiveTime>| t.map(|t| t.format("%H:%M").to_string()).unwrap_or_default();
    let hours = match (&r.only, r.only.is_always()) {
        (_, true) => "always",
        (w, _) if w.outside => "outside",
        _ => "window",
    };
    let mut all = vec![
        ("starts".to_owned(), r.starts.to_string()),
        ("every_days".to_owned(), r.every_days.to_string()),
        ("handover".to_owned(), clock(Some(r.handover))),
        ("until".to_owned(), r.until.map(|d| d.to_string()).unwrap_or_default()),
        ("rank".to_owned(), r.rank.to_string()),
        ("hours".to_owned(), hours.to_owned()),
        ("window.from".to_owned(), clock(r.only.from)),
        ("window.to".to_owned(), clock(r.only.to)),
        (
            "holidays".to_owned(),
            match r.only.bank_holidays {
                BankHolidays::Included => "included",
                BankHolidays::Excluded => "excluded",
                BankHolidays::Only => "only",
            }
            .to_owned(),
        ),
    ];
    all.extend(r.people.iter().enumerate().map(|(n, p)| (format!("turn.{}", n + 1), p.clone())));
    all.extend(r.only.weekdays.iter().map(|d| (day_field(*d), "on".to_owned())));
    all
}

fn read(form: &Form, agency: &Agency, r: &mut Rotation) -> Vec<Said> {
    let mut said = Vec::new();
    // Turns beyond the form stay.
    let beyond: Vec<String> = r.people.iter().skip(MOST_TURNS).cloned().collect();
    r.people = (1..=MOST_TURNS)
        .map(|n| form.get(&format!("turn.{n}")).to_owned())
        .filter(|p| !p.is_empty())
        .collect();
    r.people.extend(beyond);
    if r.people.is_empty() {
        let why = if agency.people.is_empty() {
            "there is no person at this agency yet: add people first"
        } else {
            "choose at least one person"
        };
        said.push(Said::new("turn.1", why));
    }
    match civil_time::parse_day(form.get("starts")) {
        Some(d) => r.starts = d,
        None => said.push(Said::new("starts", "enter a day, for example 2026-11-30")),
    }
    r.until = match form.get("until") {
        "" => None,
        text => {
            let day = civil_time::parse_day(text);
            if day.is_none() {
                said.push(Said::new("until", "enter a day, for example 2027-03-31, or nothing"));
            } else if day.is_some_and(|d| d <= r.starts) {
                said.push(Said::new("until", "must come after the first day"));
            }
            day
        }
    };
    match civil_time::parse_time(form.get("handover")) {
        Some(t) => r.handover = t,
        None => said.push(Said::new("handover", "enter a time, for example 09:00")),
    }
    if let Some(n) = words::whole(form, "every_days", (1, 56), &mut said) {
        r.every_days = n;
    }
    if let Some(n) = words::whole(form, "rank", (0, 9), &mut said) {
        r.rank = u8::try_from(n).unwrap_or(0);
    }
    r.only = hours(form, &mut said);
    said
}

fn hours(form: &Form, said: &mut Vec<Said>) -> Window {
    if form.get("hours") == "always" {
        return Window::default();
    }
    let mut clock = |field: &str| match form.get(field) {
        "" => None,
        text => {
            let t = civil_time::parse_time(text);
            if t.is_none() {
                said.push(Said::new(field, "enter a time, for example 17:00, or nothing"));
            }
            t
        }
    };
    let (from, to) = (clock("window.from"), clock("window.to"));
    let ticked = DAYS.iter().filter(|(d, _)| !form.get(&day_field(*d)).is_empty());
    let w = Window {
        weekdays: ticked.map(|(d, _)| *d).collect(),
        from,
        to,
        bank_holidays: match form.get("holidays") {
            "excluded" => BankHolidays::Excluded,
            "only" => BankHolidays::Only,
            _ => BankHolidays::Included,
        },
        outside: form.get("hours") == "outside",
    };
    if w.is_never() {
        said.push(Said::new("hours", "these are no hours at all: outside day and night is never"));
    }
    w
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
    let agency = match desk.agency(&web, &id) {
        Ok(a) => a,
        Err(r) => return r,
    };
    let today = civil_time::date_of(web.service.clock.now());
    desk.blank(&web, &page(&desk, agency, None), &typed(&empty(String::new(), today)))
}

fn empty(id: String, starts: NaiveDate) -> Rotation {
    Rotation {
        id,
        rank: 0,
        starts,
        until: None,
        handover: nine(),
        every_days: 7,
        people: Vec::new(),
        only: Window::default(),
    }
}

/// When people hand over unless they say otherwise.
pub(super) fn nine() -> NaiveTime {
    NaiveTime::from_hms_opt(9, 0, 0).unwrap_or_default()
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
    let taken = |r: &str| agency.rota.iter().flat_map(|o| &o.rotations).any(|x| x.id == r);
    let today = civil_time::date_of(web.service.clock.now());
    let mut r = empty(fresh_id("rotation", '-', taken), today);
    let said = read(&form, &agency, &mut r);
    let mut new = desk.area.clone();
    if let Some(a) = new.agencies.iter_mut().find(|a| a.id == id) {
        rota::of(a).rotations.push(r);
    }
    let saving = Saving {
        what: format!("added a rotation to {}", agency.name),
        to: format!("/directory/{area}/rota/{id}"),
        places: &[],
    };
    let made = if said.is_empty() { Ok(new) } else { Err(said) };
    desk.finish(&web, &form, made, saving, |d| page(d, &agency, None)).await
}

pub(super) type Of = Path<(String, String, String)>;

pub(super) async fn form(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, rotation)): Of,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let (agency, rota) = match rota::existing(&web, &desk, &id) {
        Ok(found) => found,
        Err(r) => return r,
    };
    match rota.rotations.iter().find(|r| r.id == rotation) {
        Some(r) => desk.blank(&web, &page(&desk, agency, Some(r)), &typed(r)),
        None => failed(&web, ServiceError::NotFound),
    }
}

pub(super) async fn save(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, rotation)): Of,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let agency = match rota::existing(&web, &desk, &id) {
        Ok((a, _)) => a.clone(),
        Err(r) => return r,
    };
    let mut new = desk.area.clone();
    let place = new.agencies.iter_mut().find(|a| a.id == id).and_then(|a| a.rota.as_mut());
    let Some(r) = place.and_then(|r| r.rotations.iter_mut().find(|r| r.id == rotation)) else {
        return failed(&web, ServiceError::NotFound);
    };
    let before = r.clone();
    let said = read(&form, &agency, r);
    let saving = Saving {
        what: format!("changed a rotation of {}", agency.name),
        to: format!("/directory/{area}/rota/{id}"),
        places: &[],
    };
    let made = if said.is_empty() { Ok(new) } else { Err(said) };
    desk.finish(&web, &form, made, saving, |d| page(d, &agency, Some(&before))).await
}

fn removal(desk: &Desk, agency: &Agency) -> FormPage {
    let last = agency.rota.as_ref().is_some_and(|r| r.rotations.len() == 1 && r.covers.is_empty());
    let mut lead = vec![if last {
        format!(
            "It is the only rotation of {}: without it there is no rota, and the desks' hours \
             decide who is reached.",
            agency.name
        )
    } else {
        "Nobody takes turns by it any more.".to_owned()
    }];
    lead.push("You can go back to this version afterwards, under History.".to_owned());
    FormPage {
        title: format!("Remove this rotation of {}?", agency.name),
        lead,
        button: "Remove".to_owned(),
        danger: true,
        back: format!("/directory/{}/rota/{}", desk.area.id, agency.id),
        ..FormPage::default()
    }
}

pub(super) async fn ask(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, rotation)): Of,
) -> Response {
    let desk = match Desk::write(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    match rota::existing(&web, &desk, &id) {
        Ok((a, r)) if r.rotations.iter().any(|r| r.id == rotation) => {
            desk.blank(&web, &removal(&desk, a), &[])
        }
        Ok(_) => failed(&web, ServiceError::NotFound),
        Err(r) => r,
    }
}

pub(super) async fn remove(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id, rotation)): Of,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let agency = match rota::existing(&web, &desk, &id) {
        Ok((a, r)) if r.rotations.iter().any(|r| r.id == rotation) => a.clone(),
        Ok(_) => return failed(&web, ServiceError::NotFound),
        Err(r) => return r,
    };
    let mut new = desk.area.clone();
    if let Some(a) = new.agencies.iter_mut().find(|a| a.id == id) {
        let r = rota::of(a);
        r.rotations.retain(|r| r.id != rotation);
        if r.rotations.is_empty() && r.covers.is_empty() {
            a.rota = None;
        }
    }
    let saving = Saving {
        what: format!("removed a rotation of {}", agency.name),
        to: format!("/directory/{area}/rota/{id}"),
        places: &[],
    };
    desk.finish(&web, &form, Ok(new), saving, |d| removal(d, &agency)).await
}
