//! Work by the calendar: the daily word whether tonight is covered, the weekly silent test of every
//! contact point, the daily copy of open cases. Each is done once, whichever node comes first: what
//! marks it done is committed with what it sends.

use super::patience::Rounds;
use crate::config::{Copies, Watch as Settings};
use crate::domain::alert::{AlertKind, Channel, ContactPoint, Notice};
use crate::domain::civil_time;
use crate::domain::directory::{self, Area};
use crate::service::{Service, ServiceError};
use crate::store::CommitError;
use crate::store::changes::{ChangeSet, DoneRow};
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc, Weekday};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;

/// One round at most.
const MOST: Duration = Duration::from_hours(1);

/// Runs until `stop` turns true.
pub async fn daily(
    service: Service,
    settings: Settings,
    copies: Copies,
    stop: watch::Receiver<bool>,
) {
    let mut rounds = Rounds::every(Duration::from_secs(20), stop);
    while rounds.next().await {
        let round = async {
            if let Err(e) = once(&service, &settings, &copies).await {
                tracing::warn!(error = %e, "daily work could not be done; it is tried again");
            }
        };
        // Copies of a large area take their time; a database that is gone must not take for ever.
        if tokio::time::timeout(MOST, round).await.is_err() {
            tracing::error!("daily work did not end in an hour; it begins anew");
        }
    }
}

/// Does what is due by now and not done. What fails in one area stops none of the others.
///
/// # Errors
/// The first thing that failed; what was not done is due again.
pub async fn once(
    service: &Service,
    settings: &Settings,
    copies: &Copies,
) -> Result<(), ServiceError> {
    let now = service.clock.now();
    let today = service.directory();
    let mut all = Vec::new();
    for area in today.areas() {
        all.push(evening(service, area, settings, now).await);
        all.push(weekly(service, area, settings, now).await);
    }
    // After all words: a store that hangs keeps none of them back.
    for area in today.areas() {
        all.push(copy(service, area, copies, now).await);
    }
    service.store.forget_old(now).await?;
    // Longer than any upload may take.
    service.store.forget_arrivals(now - chrono::Duration::hours(2)).await?;
    all.into_iter().collect()
}

async fn evening(
    service: &Service,
    area: &Area,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<(), ServiceError> {
    let local = civil_time::local(now);
    let day = local.date().to_string();
    if local.time() >= settings.tonight_at
        && is_open(service, &format!("tonight/{}", area.id), &day).await?
    {
        tonight(service, area, now, &day).await?;
    }
    Ok(())
}

async fn weekly(
    service: &Service,
    area: &Area,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<(), ServiceError> {
    let local = civil_time::local(now);
    let what = format!("test/{}", area.id);
    let week = week_of(local.date());
    let from_monday = |w: Weekday| w.num_days_from_monday();
    let is_day = local.weekday() == settings.test_weekday;
    let is_over = from_monday(local.weekday()) > from_monday(settings.test_weekday);
    // If nothing ran on the day itself it is made good later in the week; not where there never was
    // a test, so that a new installation does not begin with one.
    let last_week = week_of(local.date() - Days::new(7));
    let is_missed = is_over && !is_open(service, &what, &last_week).await?;
    if (is_day || is_missed)
        && local.time() >= settings.test_at
        && is_open(service, &what, &week).await?
    {
        test(service, area, now, &week).await?;
    }
    Ok(())
}

async fn copy(
    service: &Service,
    area: &Area,
    copies: &Copies,
    now: DateTime<Utc>,
) -> Result<(), ServiceError> {
    let local = civil_time::local(now);
    let (what, day) = (format!("copy/{}", area.id), local.date().to_string());
    if copies.wanted() && local.time() >= copies.at && is_open(service, &what, &day).await? {
        super::copies::write(service, copies, area, local.date()).await?;
        let set = ChangeSet { done: vec![done(&what, &day, now)], ..ChangeSet::default() };
        first_only(service.store.commit(set).await)?;
    }
    Ok(())
}

fn week_of(day: NaiveDate) -> String {
    format!("{}-W{:02}", day.iso_week().year(), day.iso_week().week())
}

async fn is_open(service: &Service, what: &str, day: &str) -> Result<bool, ServiceError> {
    Ok(!service.store.is_done(what, day).await?)
}

fn done(what: &str, day: &str, at: DateTime<Utc>) -> DoneRow {
    DoneRow { what: what.to_owned(), day: day.to_owned(), at }
}

/// Another node that was quicker is no fault.
fn first_only(done: Result<(), CommitError>) -> Result<(), ServiceError> {
    match done {
        Ok(()) | Err(CommitError::Conflict) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Tells each agency that it is on tonight, or that nobody there can be reached; and the office of
/// all of them.
async fn tonight(
    service: &Service,
    area: &Area,
    now: DateTime<Utc>,
    day: &str,
) -> Result<(), ServiceError> {
    let lines = service.tonight(area).await?;
    let mut notices: Vec<(Notice, Vec<ContactPoint>)> = Vec::new();
    let mut list = service.plain_notice(&area.id, "", AlertKind::Tonight);
    list.lines = lines
        .iter()
        .map(|l| {
            let mark = if l.covered { "covered" } else { "NOT COVERED" };
            format!("{}: {mark} ({})", l.agency_name, l.words)
        })
        .collect();
    list.lines.push(if lines.iter().all(|l| l.covered) {
        "Tonight is covered.".to_owned()
    } else {
        "Somebody has to be found for what is not covered.".to_owned()
    });
    notices.push((list, service.office_points(area)));
    for l in &lines {
        let kind = if l.covered { AlertKind::CoveredTonight } else { AlertKind::CoverageGap };
        let mut notice = service.plain_notice(&area.id, &l.agency, kind);
        if !l.covered {
            notice.lines = vec![format!("Tonight: {}.", l.words)];
        }
        notices.push((notice, quiet_points(service, area, &l.agency, now)));
    }
    let set = ChangeSet {
        done: vec![done(&format!("tonight/{}", area.id), day, now)],
        ..ChangeSet::default()
    };
    first_only(service.announce(set, &notices).await)
}

/// Where an agency is told of the evening: mail before texts, and never a call.
fn quiet_points(
    service: &Service,
    area: &Area,
    agency: &str,
    now: DateTime<Utc>,
) -> Vec<ContactPoint> {
    let today = service.directory();
    let told = today.recipients(&area.id, AlertKind::JarTriggered, now);
    let points: Vec<ContactPoint> = told
        .into_iter()
        .filter(|r| r.agency == agency)
        .flat_map(|r| r.contacts)
        .filter(|c| c.channel != Channel::Voice)
        .collect();
    let mails: Vec<ContactPoint> =
        points.iter().filter(|p| p.channel == Channel::Email).cloned().collect();
    if mails.is_empty() { points } else { mails }
}

/// A silent message to every point that can take one; calls are left to drills.
async fn test(
    service: &Service,
    area: &Area,
    now: DateTime<Utc>,
    week: &str,
) -> Result<(), ServiceError> {
    let mut seen = BTreeSet::new();
    let mut by_agency: BTreeMap<&str, Vec<ContactPoint>> = BTreeMap::new();
    for (under, c, p) in area.points() {
        let lanes = directory::lanes(area, under, c, p).into_iter();
        let fresh = lanes
            .filter(|p| p.channel != Channel::Voice && seen.insert((p.channel, p.address.clone())));
        by_agency.entry(under).or_default().extend(fresh);
    }
    let notices: Vec<_> = by_agency
        .into_iter()
        .filter(|(_, points)| !points.is_empty())
        .map(|(under, points)| (service.plain_notice(&area.id, under, AlertKind::Test), points))
        .collect();
    let set = ChangeSet {
        done: vec![done(&format!("test/{}", area.id), week, now)],
        ..ChangeSet::default()
    };
    first_only(service.announce(set, &notices).await)
}
