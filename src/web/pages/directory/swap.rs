//! Two people exchange two shifts.

use super::desk::{Desk, Saving};
use super::fields::{Field, FormPage, Group, Said};
use super::{rota, words};
use crate::domain::calendar::Calendar;
use crate::domain::civil_time;
use crate::domain::directory::Agency;
use crate::domain::rota::{self as turns, Rota, Span, SwapError};
use crate::web::Web;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, Days, NaiveDateTime, Utc};

/// How far ahead shifts are offered, in days.
const DAYS: u64 = 84;

const FORMAT: &str = "%Y-%m-%dT%H:%M:%S";

/// The shifts that can be swapped: value and words.
fn shifts(a: &Agency, r: &Rota, calendar: &Calendar, now: DateTime<Utc>) -> Vec<(String, String)> {
    let end = civil_time::start_of(civil_time::date_of(now) + Days::new(DAYS));
    let mut out = vec![(String::new(), "Choose".to_owned())];
    for s in turns::shifts(r, calendar, now, end) {
        let Some(p) = &s.person else { continue };
        let (from, to) = (civil_time::local(s.from), civil_time::local(s.to));
        let value = format!("{}|{}", from.format(FORMAT), to.format(FORMAT));
        let name = rota::name(a, p);
        out.push((value, format!("{name}: {} to {}", words::moment(s.from), words::moment(s.to))));
    }
    out
}

fn page(desk: &Desk, a: &Agency, shifts: Vec<(String, String)>) -> FormPage {
    FormPage {
        title: format!("Swap two shifts at {}", a.name),
        lead: vec![
            "Each of the two takes the other's shift; everybody else is on as before.".into(),
        ],
        groups: vec![Group::plain(vec![
            Field::select("one", "This shift", shifts.clone()),
            Field::select("other", "For this one", shifts),
        ])],
        button: "Swap".to_owned(),
        back: format!("/directory/{}/rota/{}", desk.area.id, a.id),
        ..FormPage::default()
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
    match rota::existing(&web, &desk, &id) {
        Ok((a, r)) => {
            let offered = shifts(a, r, &web.service.calendar(&area), web.service.clock.now());
            desk.blank(&web, &page(&desk, a, offered), &[])
        }
        Err(r) => r,
    }
}

pub(super) async fn send(
    State(web): State<Web>,
    headers: HeaderMap,
    Path((area, id)): Path<(String, String)>,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let (agency, r) = match rota::existing(&web, &desk, &id) {
        Ok((a, r)) => (a.clone(), r.clone()),
        Err(r) => return r,
    };
    let calendar = web.service.calendar(&area);
    let mut said = Vec::new();
    let mut chosen = |field: &str| {
        let span = span(form.get(field));
        if span.is_none() {
            said.push(Said::new(field, "choose a shift"));
        }
        span
    };
    let both = (chosen("one"), chosen("other"));
    let made = match both {
        (Some(one), Some(other)) => match turns::swap(&r, &calendar, one, other) {
            Ok(covers) => {
                let mut new = desk.area.clone();
                if let Some(a) = new.agencies.iter_mut().find(|a| a.id == id) {
                    rota::of(a).covers.extend(covers);
                }
                Ok(new)
            }
            Err(SwapError::SamePerson(p)) => {
                let why = format!("both shifts are {}'s", rota::name(&agency, &p));
                Err(vec![Said::new("other", &why)])
            }
            Err(e) => Err(vec![Said::new("other", &e.to_string())]),
        },
        _ => Err(said),
    };
    let saving = Saving {
        what: format!("swapped two shifts at {}", agency.name),
        to: format!("/directory/{area}/rota/{id}"),
        places: &[("rota", "other")],
    };
    let offered = shifts(&agency, &r, &calendar, web.service.clock.now());
    desk.finish(&web, &form, made, saving, |d| page(d, &agency, offered)).await
}

fn span(text: &str) -> Option<Span> {
    let (from, to) = text.split_once('|')?;
    let read = |t: &str| NaiveDateTime::parse_from_str(t, FORMAT).ok();
    Some((read(from)?, read(to)?))
}
