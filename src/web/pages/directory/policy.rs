//! Who is told of what: the rules in order as sentences, and a dry run that says what would
//! happen.

use super::desk::{Desk, Saving};
use super::fields::{Field, FormPage, Group, Said, filled};
use super::words;
use crate::domain::alert::{AlertKind, Channel};
use crate::domain::civil_time::{self, Reading};
use crate::domain::directory::{
    self, Area, Contact, LAST_STEP, LastStep, PointKind, Rule, Standing, Step, Urgency, When, Whom,
    default_steps,
};
use crate::service::{BY_ITSELF, DryRun, length};
use crate::web::Web;
use crate::web::form::Form;
use crate::web::pages::failed;
use crate::web::request;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

pub(super) async fn show(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let desk = match Desk::read(&web, &headers, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let query = request::query(query.as_deref());
    let rules: Vec<Value> = desk
        .area
        .policy
        .iter()
        .enumerate()
        .map(|(n, r)| json!({ "n": n + 1, "words": sentences(&desk.area, r) }))
        .collect();
    let now = civil_time::local(web.service.clock.now());
    let asked = |k: &str| query.get(k).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
    let ran = asked("kind").is_some();
    let (run, wrong) = match dry_run(&web, &desk, &query) {
        Ok(r) => (r.filter(|_| ran), None),
        Err(said) => (None, Some(said)),
    };
    let mut status = StatusCode::OK;
    if wrong.is_some() {
        status = StatusCode::UNPROCESSABLE_ENTITY;
    }
    let standings = match web.service.standings(&desk.area.id).await {
        Ok(s) => s,
        Err(e) => return failed(&web, e),
    };
    let own = json!({
        "humans": humans(&desk.area, &standings),
        "rules": rules,
        "usual": steps(&default_steps()),
        "usual_last": last(desk.area.last_step.as_ref(), &desk.area),
        "kinds": AlertKind::EVENTS.map(|k| (k.word(), k.label())),
        "asked": {
            "kind": asked("kind").unwrap_or_else(|| AlertKind::JarTriggered.word().to_owned()),
            "date": asked("date").unwrap_or_else(|| now.format("%Y-%m-%d").to_string()),
            "time": asked("time").unwrap_or_else(|| now.format("%H:%M").to_string()),
        },
        "run": run.as_ref().map(shown),
        "wrong": wrong,
        "saved": query.get("saved").and_then(|v| v.parse::<i64>().ok()).filter(|v| *v == desk.version),
        "undo": desk.version - 1,
    });
    web.templates.page(status, "directory/policy.html", desk.context(own))
}

fn dry_run(
    web: &Web,
    desk: &Desk,
    query: &HashMap<String, String>,
) -> Result<Option<DryRun>, Said> {
    let asked = |k: &str| query.get(k).map(|v| v.trim()).unwrap_or_default();
    if asked("kind").is_empty() {
        return Ok(None);
    }
    let kind = AlertKind::parse(asked("kind")).filter(|k| AlertKind::EVENTS.contains(k));
    let kind = kind.ok_or_else(|| Said::new("kind", "choose an event"))?;
    let at = instant(asked("date"), asked("time"))?;
    let run = web.service.dry_run(&desk.session.caller, &desk.area.id, kind, at);
    run.map(Some).map_err(|e| Said::new("kind", &e.to_string()))
}

fn instant(date: &str, time: &str) -> Result<DateTime<Utc>, Said> {
    let day = civil_time::parse_day(date)
        .ok_or_else(|| Said::new("date", "enter a day, for example 2026-11-30"))?;
    let clock = civil_time::parse_time(time)
        .ok_or_else(|| Said::new("time", "enter a time, for example 03:15"))?;
    match civil_time::read(day, clock) {
        Reading::Exact(t) | Reading::Twice { earlier: t, .. } => Ok(t),
        Reading::Never { first_after, .. } => {
            let first = first_after.format("%H:%M");
            let why =
                format!("the clocks go forward over this time; the first after it is {first}");
            Err(Said::new("time", &why))
        }
    }
}

fn shown(run: &DryRun) -> Value {
    let mut v = json!(run);
    v["when"] = json!(words::local(civil_time::local(run.at)));
    let agencies = v["agencies"].as_array_mut().into_iter().flatten();
    for (a, r) in agencies.zip(&run.agencies) {
        a["act_within"] = json!(r.act_within_seconds.map(length));
        if let Some(l) = &r.last {
            a["last"]["repeat"] = json!(length(l.repeat_seconds));
        }
    }
    v
}

/// A rule in sentences: of what goes by itself it only says so.
pub(super) fn sentences(area: &Area, r: &Rule) -> Vec<String> {
    let quoted = |kinds: &[AlertKind]| {
        let labels: Vec<&str> = kinds.iter().map(|k| k.label()).collect();
        format!("“{}”", labels.join("”, “"))
    };
    let (alone, counts): (Vec<AlertKind>, Vec<AlertKind>) =
        r.events.iter().partition(|k| k.goes_by_itself());
    let mut out = Vec::new();
    if !counts.is_empty() {
        out = counting(area, r, &quoted(&counts));
    }
    if !alone.is_empty() {
        out.push(format!("This rule changes nothing about {}. {BY_ITSELF}", quoted(&alone)));
    }
    out
}

fn counting(area: &Area, r: &Rule, events: &str) -> Vec<String> {
    let all = r.agencies.iter().any(|a| a == "*");
    let names: Vec<String> = r
        .agencies
        .iter()
        .map(|id| area.agency(id).map_or_else(|| id.clone(), |a| a.name.clone()))
        .collect();
    let who = if all { "Every agency".to_owned() } else { words::list(&names) };
    let hours = match r.when {
        When::Always => "day and night",
        w => w.label(),
    };
    let about = format!("{who}, on {events}, {hours}:");
    if !r.told {
        return vec![format!("{about} not told.")];
    }
    let urgency = match r.urgency {
        Urgency::Now => "told at once",
        Urgency::Office => "told when the office opens",
    };
    if !r.acknowledge {
        return vec![format!("{about} {urgency}, need not acknowledge.")];
    }
    let mut out = vec![format!("{about} {urgency}, must acknowledge.")];
    if r.steps.is_empty() {
        out.push("The usual ladder is climbed until they do.".to_owned());
    } else {
        out.extend(steps(&r.steps));
    }
    if let Some(l) = &r.last {
        out.push(last(Some(l), area));
    }
    if let Some(m) = r.act_within_minutes {
        let within = length(i64::from(m) * 60);
        out.push(format!("After that an entry in the response plan is expected within {within}."));
    }
    out
}

fn steps(all: &[Step]) -> Vec<String> {
    all.iter()
        .map(|s| {
            let when = match s.after_seconds {
                0 => "At once".to_owned(),
                n => format!("After {}", length(i64::from(n))),
            };
            let by: Vec<String> = s.channels.iter().map(|c| channel_label(*c).to_owned()).collect();
            format!("{when}: {} to {}.", words::list(&by), whom_label(s.whom, &s.team))
        })
        .collect()
}

/// A channel as people say it.
pub(super) fn channel_label(c: Channel) -> &'static str {
    match c {
        Channel::Email => "e-mail",
        Channel::Webhook => "message to their system",
        Channel::Sms => "text",
        Channel::Voice => "call",
    }
}

/// Whom a step turns to.
pub(super) fn whom_label(w: Whom, team: &str) -> String {
    match w {
        Whom::Duty => "whoever is on".to_owned(),
        Whom::Backup => "the next in line".to_owned(),
        Whom::Everyone => "everybody on today and every desk".to_owned(),
        Whom::Team if team.is_empty() => "a team".to_owned(),
        Whom::Team => format!("the team {team}"),
    }
}

/// The end of a ladder as a sentence.
fn last(l: Option<&LastStep>, area: &Area) -> String {
    if let Some(l) = l {
        return format!(
            "After {}: {} ({}) is told to ring them, again every {} until somebody has \
             acknowledged.",
            length(i64::from(l.after_seconds)),
            l.name,
            l.number,
            length(i64::from(l.repeat_seconds)),
        );
    }
    let office = area.agencies.iter().find(|a| a.told_of.contains(&AlertKind::DeathNotified));
    let who = office.map_or_else(
        || format!("whoever answers {}", area.call_back),
        |o| format!("{} ({})", o.name, o.ring),
    );
    format!(
        "After 15 minutes: {who} is told to ring them, again every 15 minutes until somebody has \
         acknowledged. No person is named: set the last step."
    )
}

/// The fields of a last step.
pub(super) fn last_fields() -> Vec<Field> {
    vec![
        Field::text("last.name", "Who rings").hint("By name or post, for example Duty manager"),
        Field::tel("last.number", "Their telephone number"),
        Field::text("last.after", "After how many minutes").hint("Usually 15").short(),
        Field::text("last.repeat", "Told again every … minutes").hint("Usually 15").short(),
        Field::input("email", "last.email", "E-mail at which they are told")
            .hint("May be left empty"),
        Field::tel("last.phone", "Mobile or telephone at which they are told")
            .hint("A text and a call; may be left empty"),
    ]
}

fn is_phone(k: PointKind) -> bool {
    matches!(k, PointKind::Mobile | PointKind::Landline | PointKind::DutyNumber)
}

pub(super) fn last_typed(l: Option<&LastStep>) -> Vec<(String, String)> {
    let Some(l) = l else {
        return filled([("last.after", "15"), ("last.repeat", "15")]);
    };
    let address = |fits: fn(PointKind) -> bool| {
        l.contacts.iter().find(|c| fits(c.kind)).map(|c| c.address.clone()).unwrap_or_default()
    };
    vec![
        ("last.name".to_owned(), l.name.clone()),
        ("last.number".to_owned(), l.number.clone()),
        ("last.after".to_owned(), words::as_minutes(l.after_seconds)),
        ("last.repeat".to_owned(), words::as_minutes(l.repeat_seconds)),
        ("last.email".to_owned(), address(|k| k == PointKind::Email)),
        ("last.phone".to_owned(), address(is_phone)),
    ]
}

/// The last step a form describes; none if it names nobody.
pub(super) fn read_last(
    form: &Form,
    before: Option<&LastStep>,
    said: &mut Vec<Said>,
) -> Option<LastStep> {
    let untouched = ["last.name", "last.number", "last.email", "last.phone"];
    if untouched.iter().all(|f| form.get(f).is_empty()) {
        return None;
    }
    let name = words::required(form, "last.name", "who rings", said);
    let number = words::number(form, "last.number", said);
    let after = words::minutes(form, "last.after", said);
    let repeat = words::minutes(form, "last.repeat", said);
    if repeat.is_some_and(|r| !(60..=86_400).contains(&r)) {
        said.push(Said::new("last.repeat", "must be a minute or more, at most a day"));
    }
    if after.is_some_and(|a| a > 86_400) {
        said.push(Said::new("last.after", "more than a day later is too late to help"));
    }
    // What the form has no field for stays.
    let old = before.map(|l| l.contacts.clone()).unwrap_or_default();
    let first = |fits: fn(PointKind) -> bool| old.iter().position(|c| fits(c.kind));
    let (mail_at, phone_at) = (first(|k| k == PointKind::Email), first(is_phone));
    let mut contacts: Vec<Contact> = old
        .iter()
        .enumerate()
        .filter(|(n, _)| Some(*n) != mail_at && Some(*n) != phone_at)
        .map(|(_, c)| c.clone())
        .collect();
    let kept = |n: Option<usize>, kind: PointKind, id: &str, address: String| Contact {
        address,
        ..n.and_then(|n| old.get(n)).cloned().unwrap_or_else(|| Contact {
            id: id.to_owned(),
            kind,
            address: String::new(),
            when: When::Always,
            team: String::new(),
            secret: None,
            secret_file: None,
        })
    };
    if !form.get("last.phone").is_empty() {
        let address = words::number(form, "last.phone", said);
        contacts.insert(0, kept(phone_at, PointKind::DutyNumber, "phone", address));
    }
    let mail = form.get("last.email");
    if !mail.is_empty() {
        if !mail.split_once('@').is_some_and(|(u, d)| !u.is_empty() && d.contains('.')) {
            said.push(Said::new(
                "last.email",
                "must be an e-mail address, like duty@agency.example",
            ));
        }
        contacts.insert(0, kept(mail_at, PointKind::Email, "mail", mail.to_owned()));
    }
    Some(LastStep {
        name,
        number,
        after_seconds: after.unwrap_or(900),
        repeat_seconds: repeat.unwrap_or(900),
        contacts,
    })
}

fn last_page(desk: &Desk) -> FormPage {
    FormPage {
        title: "The last step".to_owned(),
        lead: vec![
            "When nobody at an agency has acknowledged, a human is told to ring them. It counts \
             for every ladder that does not name its own. Leave everything empty to go back to the \
             panel office."
                .to_owned(),
        ],
        groups: vec![Group::plain(last_fields())],
        button: "Save".to_owned(),
        back: format!("/directory/{}/policy", desk.area.id),
        ..FormPage::default()
    }
}

/// The contact points of whoever is named to ring, and how each stands.
fn humans(area: &Area, standings: &BTreeMap<String, Standing>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for l in area.last_steps() {
        for c in &l.contacts {
            let lanes = directory::lanes(area, LAST_STEP, c, None);
            let known: Vec<&Standing> = lanes.iter().filter_map(|p| standings.get(&p.id)).collect();
            let row = json!({
                "id": c.id,
                "name": l.name,
                "kind": c.kind.label(),
                "address": c.address,
                "unusable": known.iter().find_map(|s| s.unusable.as_ref()),
                "worked_at": known.iter().filter_map(|s| s.worked_at.max(s.verified_at)).max(),
            });
            if !out.contains(&row) {
                out.push(row);
            }
        }
    }
    out
}

pub(super) async fn last_form(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
) -> Response {
    match Desk::write(&web, &headers, &area).await {
        Ok(desk) => desk.blank(&web, &last_page(&desk), &last_typed(desk.area.last_step.as_ref())),
        Err(r) => r,
    }
}

pub(super) async fn last_save(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(area): Path<String>,
    body: Body,
) -> Response {
    let (desk, form) = match Desk::change(&web, &headers, body, &area).await {
        Ok(d) => d,
        Err(r) => return r,
    };
    let mut said = Vec::new();
    let mut new = desk.area.clone();
    new.last_step = read_last(&form, desk.area.last_step.as_ref(), &mut said);
    let saving = Saving {
        what: "changed the last step".to_owned(),
        to: format!("/directory/{area}/policy"),
        places: &[("contact.mail", "last.email"), ("contact.phone", "last.phone")],
    };
    let made = if said.is_empty() { Ok(new) } else { Err(said) };
    desk.finish(&web, &form, made, saving, last_page).await
}
