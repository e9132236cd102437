//! The watcher: each minute it asks whether every open obligation has a live next step, whether
//! past steps really ran, and whether messages leave. It mends what it can, raises what it cannot,
//! and tells an outside heartbeat only when every check passed: silence is the alarm.

use super::escalator::escalate_once;
use super::patience::{Rounds, in_time};
use crate::domain::alert::{AlertKind, ContactPoint};
use crate::domain::directory;
use crate::domain::escalation::Ladder;
use crate::service::{Service, ServiceError};
use crate::store::changes::{ChangeSet, RaisedRow};
use crate::store::{CommitError, OpenRow, StoreError};
use chrono::{DateTime, Duration, Utc};
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration as StdDuration;
use tokio::sync::watch;
use uuid::Uuid;

/// A step or a first attempt may be this late before something is wrong.
const LATE: i64 = 60;
/// Further ahead than the longest wait of the usual ladder: the plan is awaited for four hours.
const FAR: Duration = Duration::hours(5);
/// The finding that nothing is to leave.
const HELD: &str = "held";
/// Obligations looked at per page.
const PAGE: i64 = 1000;

/// Something that is wrong. The words hold agencies, counts and times, never a case's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable while it lasts.
    pub what: String,
    pub area: String,
    pub words: String,
}

/// What one round found.
#[derive(Clone, Debug, Default)]
pub struct Round {
    pub findings: Vec<Finding>,
    pub open: usize,
    pub mended: usize,
}

/// Looks at everything once. With `mend`, puts right what can be put right first.
///
/// # Errors
/// The database cannot be read: that is the worst finding of all, and the caller's to raise.
pub async fn look(service: &Service, mend: bool) -> Result<Round, ServiceError> {
    let mut round = Round::default();
    let now = service.clock.now();
    if mend {
        mend_all(service, now, &mut round).await?;
    }
    let rows = open_rows(service, service.clock.now()).await?;
    round.open = rows.len();
    let areas = areas_of(service, &rows).await?;
    let now = service.clock.now();
    let mut late: BTreeMap<(String, &str), (usize, DateTime<Utc>)> = BTreeMap::new();
    for r in &rows {
        let wrong = match wrong_with(r, now) {
            None if is_too_far(service, r, now).await? => Some("the next step lies too far ahead"),
            wrong => wrong,
        };
        if let Some(wrong) = wrong {
            let area = areas.get(&r.case_id).cloned().unwrap_or_default();
            let e = late.entry((area, wrong)).or_insert((0, r.planned_at));
            *e = (e.0 + 1, e.1.min(r.planned_at));
        }
    }
    for r in rows.iter().filter(|r| r.messages == 0) {
        // Nothing of the last step exists: right for an agency without any contact, and for nobody
        // else.
        let id = crate::domain::id::CaseId(r.case_id);
        let state = service.store.load(id).await?.map(|l| l.state);
        let alert = crate::domain::id::AlertId(r.id);
        let tried = state.and_then(|s| s.alerts.get(&alert).map(|a| !a.last_points.is_empty()));
        if tried == Some(true) {
            let area = areas.get(&r.case_id).cloned().unwrap_or_default();
            let e = late
                .entry((area, "messages of the last step are missing"))
                .or_insert((0, r.planned_at));
            *e = (e.0 + 1, e.1.min(r.planned_at));
        }
    }
    for ((area, wrong), (n, since)) in late {
        let since = crate::alerts::words::when(since);
        round.findings.push(Finding {
            what: format!("{wrong}/{area}"),
            words: format!("{n} open alerts: {wrong} (the oldest from {since})."),
            area,
        });
    }
    whole(service, &mut round).await?;
    Ok(round)
}

/// What is wrong with one obligation, in words that are the same for all of its kind.
fn wrong_with(r: &OpenRow, now: DateTime<Utc>) -> Option<&'static str> {
    let overdue = r.step_at.is_none_or(|t| t < now - Duration::seconds(LATE));
    if overdue {
        Some("the next step is overdue")
    } else if r.untried > 0 {
        Some("messages were not tried within a minute")
    } else {
        None
    }
}

/// Whether the next step lies further ahead than the obligation's own ladder allows. Only steps
/// that few ladders put so far ahead cost a look at the case.
async fn is_too_far(
    service: &Service,
    r: &OpenRow,
    now: DateTime<Utc>,
) -> Result<bool, ServiceError> {
    let Some(at) = r.step_at.filter(|t| *t > now + FAR) else { return Ok(false) };
    let state = service.store.load(crate::domain::id::CaseId(r.case_id)).await?.map(|l| l.state);
    let alert = crate::domain::id::AlertId(r.id);
    let longest = state.and_then(|s| {
        s.alerts.get(&alert).and_then(|a| a.ladder.as_ref()).map(Ladder::longest_wait)
    });
    Ok(longest.is_none_or(|l| at > now + l + Duration::seconds(LATE)))
}

/// Checks that are about areas as a whole.
async fn areas(service: &Service, round: &mut Round) -> Result<(), ServiceError> {
    for (area, n) in service.store.dead_by_area().await? {
        let words = format!("{n} messages of open alerts were given up: ring those partners.");
        round.findings.push(Finding { what: format!("dead_letters/{area}"), area, words });
    }
    let day = service.clock.now() - Duration::days(1);
    for (area, n) in service.store.untold_by_area(day).await? {
        let words = format!(
            "{n} words that ask for no answer (stood down, withdrawn, a gap) reached nobody: look at the outbox and the boards, and ring."
        );
        round.findings.push(Finding { what: format!("untold/{area}"), area, words });
    }
    for (area, since) in service.store.copies_missing(service.clock.now()).await? {
        let since = crate::alerts::words::when(since);
        let words = format!(
            "The daily copy of open cases has not been put where it belongs since {since}: look at the log and at the settings under [copy]."
        );
        round.findings.push(Finding { what: format!("copy/{area}"), area, words });
    }
    let today = service.directory();
    for a in today.areas() {
        let usable = |p: &ContactPoint| !today.is_unusable(&a.id, &p.id);
        if directory::office(a).is_some() && !service.office_points(a).iter().any(usable) {
            let what = format!("office_unreachable/{}", a.id);
            let words =
                "The panel office cannot be written to: gaps and findings reach nobody there.";
            round.findings.push(Finding { what, area: a.id.clone(), words: words.to_owned() });
        }
    }
    Ok(())
}

/// Checks that are about the whole service.
async fn whole(service: &Service, round: &mut Round) -> Result<(), ServiceError> {
    areas(service, round).await?;
    let hour = service.clock.now() - Duration::hours(1);
    let odd = service.store.replies_not_understood(hour).await?;
    let first = service.directory().first().to_owned();
    let mut say = |what: &str, words: String| {
        round.findings.push(Finding { what: what.to_owned(), area: first.clone(), words });
    };
    if odd > 0 {
        say(
            "replies",
            format!(
                "{odd} replies within the last hour answered nothing: look at the board and ring."
            ),
        );
    }
    let held = service.store.sending_is_held().await?;
    let late = service.clock.now() - Duration::seconds(LATE);
    let overdue = service.store.overdue_messages(late).await?;
    if held {
        say(HELD, "Sending is held: nothing leaves until `cdr resume`.".to_owned());
    } else if overdue > 0 {
        say(
            "overdue_messages",
            format!(
                "{overdue} messages should have been tried (again) a minute ago and were not: is a node at work, and how are the receivers?"
            ),
        );
    }
    if let Err(e) = service.store.can_write().await {
        say("cannot_write", format!("Nothing can be stored: {e}."));
    }
    Ok(())
}

async fn mend_all(
    service: &Service,
    now: DateTime<Utc>,
    round: &mut Round,
) -> Result<(), ServiceError> {
    // Retries that a wrong clock put hours ahead.
    round.mended += usize::try_from(service.store.clamp_retries(now).await?).unwrap_or(0);
    let rows = open_rows(service, now).await?;
    let mut looked = BTreeSet::new();
    for r in &rows {
        // Everything that is not plainly due soon is held against its ladder.
        let soon = r.step_at.is_some_and(|t| t < now + Duration::minutes(5));
        if (!soon || r.step_at.is_none()) && looked.insert(r.case_id) {
            match service.mend(crate::domain::id::CaseId(r.case_id)).await {
                Ok(done) => round.mended += usize::from(done),
                Err(e) => tracing::error!(error = %e, "an obligation could not be looked at"),
            }
        }
    }
    if rows.iter().any(|r| r.step_at.is_some_and(|t| t < now - Duration::seconds(5))) {
        round.mended += escalate_once(service).await?;
    }
    Ok(())
}

async fn open_rows(service: &Service, now: DateTime<Utc>) -> Result<Vec<OpenRow>, StoreError> {
    let (mut all, mut after) = (Vec::new(), Uuid::nil());
    loop {
        let before = now - Duration::seconds(LATE);
        let page = service.store.open_obligations(after, before, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.id;
        all.extend(page);
    }
}

async fn areas_of(
    service: &Service,
    rows: &[OpenRow],
) -> Result<BTreeMap<Uuid, String>, StoreError> {
    let mut out = BTreeMap::new();
    for r in rows {
        if !out.contains_key(&r.case_id)
            && let Some(c) = service.store.case_row(crate::domain::id::CaseId(r.case_id)).await?
        {
            out.insert(r.case_id, c.area);
        }
    }
    Ok(out)
}

/// How the watcher is set.
#[derive(Clone)]
pub struct Watch {
    pub every: StdDuration,
    /// Called only when every check passed.
    pub heartbeat: Option<SecretString>,
}

/// Runs until `stop` turns true.
pub async fn watcher(service: Service, settings: Watch, stop: watch::Receiver<bool>) {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(StdDuration::from_secs(10))
        .build();
    let mut rounds = Rounds::every(settings.every, stop);
    while rounds.next().await {
        let mut well = false;
        let round = async { well = one_round(&service).await };
        if !in_time("the watcher's round", round).await {
            service.metrics.findings.set(1);
            well = false;
        }
        if let (true, Some(url), Ok(client)) = (well, &settings.heartbeat, &client) {
            beat(client, url).await;
        }
    }
}

/// Looks, mends, raises; whether all is well.
async fn one_round(service: &Service) -> bool {
    if let Err(e) = service.tell_gaps().await {
        tracing::error!(error = %e, "gaps could not be told");
    }
    match look(service, true).await {
        Ok(round) => {
            if round.mended > 0 {
                tracing::warn!(mended = round.mended, "the watcher put something right");
            }
            let n = i64::try_from(round.findings.len()).unwrap_or(i64::MAX);
            service.metrics.findings.set(n);
            if let Err(e) = raise(service, &round.findings).await {
                tracing::error!(error = %e, "findings could not be raised");
            }
            round.findings.is_empty()
        }
        Err(e) => {
            service.metrics.findings.set(1);
            tracing::error!(error = %e, "the watcher cannot look");
            false
        }
    }
}

/// Tells the outside that all is well. That it cannot be told is logged; the outside notices by
/// itself.
pub async fn beat(client: &reqwest::Client, url: &SecretString) {
    let done = client.get(url.expose_secret()).send().await;
    if !done.is_ok_and(|r| r.status().is_success()) {
        tracing::warn!("the heartbeat could not be told that all is well");
    }
}

/// Writes findings down, and tells the office of those that are new or an hour old.
///
/// # Errors
/// Nothing could be stored.
pub async fn raise(service: &Service, findings: &[Finding]) -> Result<(), ServiceError> {
    let now = service.clock.now();
    let seen: Vec<(String, String, String)> =
        findings.iter().map(|f| (f.what.clone(), f.area.clone(), f.words.clone())).collect();
    let to_raise = service.store.keep_findings(seen, now).await?;
    for f in findings {
        tracing::error!(finding = f.what, area = f.area, "{}", f.words);
    }
    // A copy that is held writes to nobody, also not once it is let go.
    if findings.iter().any(|f| f.what == HELD) {
        return Ok(());
    }
    let today = service.directory();
    let mut all = Ok(());
    for f in findings.iter().filter(|f| to_raise.contains(&f.what)) {
        let Some(area) = today.area(&f.area) else { continue };
        let mut notice = service.plain_notice(&f.area, "", AlertKind::Watcher);
        notice.lines = vec![f.words.clone()];
        let points = service.office_points(area);
        let set = ChangeSet {
            raised: vec![RaisedRow { what: f.what.clone(), at: now }],
            ..ChangeSet::default()
        };
        match service.announce(set, &[(notice, points)]).await {
            // Another node told it.
            Ok(()) | Err(CommitError::Conflict) => {}
            // The next round tells it; the others are told now.
            Err(e) => all = Err(e.into()),
        }
    }
    all
}
