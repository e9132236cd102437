//! Commands about reaching partners: the watcher as a process of its own, drills, the emergency
//! card.

use super::{Failure, directory_of};
use crate::app;
use crate::auth::policy::Caller;
use crate::card::{self, Card, CardLine, Number};
use crate::config::Config;
use crate::domain::alert::AlertKind;
use crate::domain::directory::{self, Agency, Area, PointKind, When};
use crate::domain::id::Reference;
use crate::domain::rota;
use crate::service::{DrillResult, Service};
use crate::work::watcher;
use chrono::Duration;
use std::path::Path;
use std::time::Duration as StdDuration;

/// Looks as the watcher of a serving node does, from outside of it, and changes nothing.
pub(super) async fn monitor(
    config: &Config,
    node: Option<&str>,
    once: bool,
) -> Result<u8, Failure> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(StdDuration::from_secs(10))
        .build()?;
    let directory = directory_of(config)?;
    loop {
        let mut wrong = Vec::new();
        if let Some(url) = node {
            let url = format!("{}/health/ready", url.trim_end_matches('/'));
            match client.get(&url).send().await {
                Ok(r) if r.status().is_success() => {}
                Ok(r) => wrong.push(format!("the node answers {} to /health/ready", r.status())),
                Err(_) => wrong.push("the node does not answer".to_owned()),
            }
        }
        // A fresh connection each time: one that hangs must not look like one that is well.
        match app::parts(config, directory.clone()).await {
            Ok(parts) => match watcher::look(&parts.service, false).await {
                Ok(round) => {
                    wrong.extend(round.findings.into_iter().map(|f| f.words));
                    if wrong.is_empty() {
                        println!("All is well: {} open alerts, each with a next step.", round.open);
                    }
                }
                Err(e) => wrong.push(format!("the watcher cannot look: {e}")),
            },
            Err(e) => wrong.push(format!("the database cannot be opened: {e}")),
        }
        for w in &wrong {
            eprintln!("{w}");
            tracing::error!("{w}");
        }
        if wrong.is_empty()
            && let Some(url) = &config.watch.heartbeat_url
        {
            watcher::beat(&client, url).await;
        }
        if once {
            return Ok(u8::from(!wrong.is_empty()));
        }
        tokio::time::sleep(StdDuration::from_secs(config.watch.every_seconds)).await;
    }
}

/// Runs a drill through the serving nodes and prints its result.
pub(super) async fn drill(
    config: &Config,
    area: Option<String>,
    minutes: i64,
) -> Result<u8, Failure> {
    let directory = directory_of(config)?;
    let area = area.unwrap_or_else(|| directory.first().to_owned());
    let service = app::parts(config, directory).await?.service;
    let caller = Caller::operator();
    let (reference, _) = service.start_drill(&caller, &area, None).await?;
    eprintln!("Drill {reference} has begun. Messages go out from the serving nodes.");
    let until = service.clock.now() + Duration::minutes(minutes.max(1));
    let mut last = 0;
    let result = loop {
        tokio::time::sleep(StdDuration::from_secs(2)).await;
        let r = service.drill_result(&caller, &reference).await?;
        if r.reached != last {
            last = r.reached;
            eprintln!("{} of {} partners reached", r.reached, r.asked);
        }
        if r.reached == r.asked || service.clock.now() >= until {
            break r;
        }
    };
    finish(&service, &caller, &reference, result).await
}

async fn finish(
    service: &Service,
    caller: &Caller,
    reference: &Reference,
    r: DrillResult,
) -> Result<u8, Failure> {
    service.end_drill(caller, reference).await?;
    println!("Drill {} in {}: {} of {} partners reached", r.reference, r.area, r.reached, r.asked);
    for l in &r.lines {
        let by = l.by.as_ref().map(|b| format!(" by {b}")).unwrap_or_default();
        println!("  {:<40} {}{by}", l.agency_name, l.verdict);
    }
    println!("Everybody who was told of it has been told that it is over.");
    Ok(u8::from(r.reached < r.asked))
}

/// Prints the emergency card of an area from the directory as it stands.
pub(super) async fn card(config: &Config, area: Option<String>, out: &Path) -> Result<u8, Failure> {
    let directory = directory_of(config)?;
    let area = area.unwrap_or_else(|| directory.first().to_owned());
    let service = app::parts(config, directory).await?.service;
    let today = service.directory();
    let known = today.area(&area).ok_or("there is no such area")?;
    let version = match today.version(&area) {
        0 => "as in the area file".to_owned(),
        n => format!("directory version {n}"),
    };
    let card = card_of(&service, known, version);
    std::fs::write(out, card::pdf(&card)?)?;
    println!("Written to {}. Print it anew each month, and after every change.", out.display());
    Ok(0)
}

/// Whom to ring, in the order of the directory: those who must respond first.
fn card_of(service: &Service, area: &Area, version: String) -> Card {
    let now = service.clock.now();
    // By the policy, which may tell an agency of what it does not name itself, or spare it.
    let told_of = |a: &Agency, k| directory::is_ever_told(area, a, k);
    let responds = |a: &&Agency| {
        AlertKind::WORDS
            .iter()
            .filter_map(|w| AlertKind::parse(w))
            .any(|k| k.is_response() && told_of(a, k))
    };
    let (first, rest): (Vec<_>, Vec<_>) = area.agencies.iter().partition(|a| responds(a));
    let told = |a: &&Agency| responds(a) || told_of(a, AlertKind::DeathNotified);
    let lines = first
        .into_iter()
        .chain(rest)
        .filter(told)
        .map(|a| CardLine {
            agency: a.name.clone(),
            day: numbers(service, area, a, false),
            night: numbers(service, area, a, true),
        })
        .collect();
    let mut notes = vec![
        "Ring in this order. Say: Joint Agency Response, your name, your number.".to_owned(),
        "Tell nobody more about the child than they need, and nothing on an answering machine."
            .to_owned(),
        "Notify the death in the service when it is back.".to_owned(),
    ];
    if let Some(l) = &area.last_step {
        notes.insert(1, format!("Nobody answers? {}: {}", l.name, l.number));
    }
    Card {
        area: area.name.clone(),
        call_back: area.call_back.clone(),
        printed: now,
        version,
        lines,
        notes,
    }
}

/// Numbers of one agency that the card's page has room for.
const MOST_NUMBERS: usize = 8;

fn numbers(service: &Service, area: &Area, a: &Agency, night: bool) -> Vec<Number> {
    let mut out = Vec::new();
    if !a.ring.is_empty() {
        out.push(Number { who: "Ring".to_owned(), number: a.ring.clone() });
    }
    let dials =
        |k: PointKind| matches!(k, PointKind::Mobile | PointKind::Landline | PointKind::DutyNumber);
    let holds = |w: When| match w {
        When::Always => true,
        When::OfficeHours => !night,
        When::OutOfHours | When::Night | When::Weekend | When::BankHoliday => night,
    };
    for c in a.contacts.iter().filter(|c| dials(c.kind) && holds(c.when)) {
        let who = if c.team.is_empty() { c.id.replace(['-', '_'], " ") } else { c.team.clone() };
        out.push(Number { who, number: c.address.clone() });
    }
    // A rota changes within the month that a card hangs on a wall: everybody on it, whoever is on
    // now first.
    if let Some(r) = &a.rota {
        let now = rota::on_duty(r, &service.calendar(&area.id), service.clock.now());
        let on = now.iter().filter_map(|d| a.person(&d.person));
        let rest = a.people.iter().filter(|p| !now.iter().any(|d| d.person == p.id));
        for p in on.chain(rest) {
            for c in p.contacts.iter().filter(|c| dials(c.kind)).take(1) {
                out.push(Number { who: p.name.clone(), number: c.address.clone() });
            }
        }
    }
    out.dedup_by(|x, y| x.number == y.number);
    if out.len() > MOST_NUMBERS {
        let more = out.len() - (MOST_NUMBERS - 1);
        out.truncate(MOST_NUMBERS - 1);
        out.push(Number { who: format!("and {more} more on the rota"), number: String::new() });
    }
    out
}
