//! Filling a database with synthetic cases in every stage, by the same service functions that
//! people use, under a clock moved by hand. No message leaves: a hand takes each over and records
//! it as accepted at the time it would have been.

use super::synth::{self, Synthetic};
use super::{Failure, directory_of};
use crate::app;
use crate::auth::policy::Caller;
use crate::config::Config;
use crate::domain::alert::AlertState;
use crate::domain::civil_time;
use crate::domain::event::{Means, Person, Route};
use crate::domain::id::{AlertId, Reference};
use crate::domain::milestone::{Milestone, Record, Standing};
use crate::platform::clock::ManualClock;
use crate::service::{Acknowledgement, Hand, Lease, Reply, Service, Wish};
use crate::store::Job;
use crate::store::changes::{AttemptRow, ChangeSet, DeliveryResult};
use chrono::{DateTime, Days, Duration, Utc};
use futures_util::StreamExt;
use std::sync::{Arc, Mutex, PoisonError};

/// How far along the seeded cases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// As time has brought them: a year of England.
    ByTime,
    /// Every stage in turn, over two years: for looking at.
    EveryStage,
}

pub(super) async fn command(config: &Config, cases: u32, seed: u64) -> Result<u8, Failure> {
    let directory = directory_of(config)?;
    if directory.areas().next().is_none() {
        return Err("areas.files is empty: seeding needs an area to put the cases in".into());
    }
    let parts = app::parts(config, directory).await?;
    let started = std::time::Instant::now();
    seed_cases(&parts.service, cases, seed, Spread::ByTime).await?;
    eprintln!("{cases} synthetic cases in {:.1} s.", started.elapsed().as_secs_f64());
    Ok(0)
}

/// Makes `cases` cases.
pub(super) async fn seed_cases(
    service: &Service,
    cases: u32,
    seed: u64,
    spread: Spread,
) -> Result<(), Failure> {
    let now = service.clock.now();
    let mut done = futures_util::stream::iter(0..u64::from(cases))
        .map(|n| one(service, n, seed, spread, now))
        .buffer_unordered(64);
    let mut made = 0_u32;
    while let Some(result) = done.next().await {
        result?;
        made += 1;
        if made.is_multiple_of(1000) {
            eprintln!("{made} of {cases}…");
        }
    }
    Ok(())
}

/// Keeps what would have been sent.
#[derive(Default)]
struct Kept(Mutex<Vec<Job>>);

impl Hand for Kept {
    fn lease(&self, _: DateTime<Utc>) -> Option<Lease> {
        // Longer than any seeding: no worker may take these.
        let ends = std::time::Instant::now();
        Some(Lease { token: 1, until: Utc::now() + Duration::days(1), ends })
    }

    fn take(&self, jobs: Vec<Job>, _: Lease) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(jobs);
    }
}

async fn one(
    service: &Service,
    n: u64,
    seed: u64,
    spread: Spread,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let span = if spread == Spread::ByTime { 365 } else { 720 };
    let s = synth::notification(seed, n, civil_time::date_of(now), span);
    let died = civil_time::start_of(s.died_on) + (s.died_at - chrono::NaiveTime::MIN);
    let received = (died + synth::notified_after(seed, n)).min(now - Duration::minutes(5));
    let clock = ManualClock::at(received);
    let kept = Arc::new(Kept::default());
    let mine = Service { clock: clock.clone(), hands: Some(kept.clone()), ..service.clone() };
    let caller = Caller::operator();
    let answer = mine.notify(&caller, None, s.body.clone(), Route::Seed, None).await?;
    let answer: serde_json::Value = serde_json::from_str(&answer.body)?;
    let reference =
        answer["reference"].as_str().and_then(Reference::parse).ok_or("no reference")?;
    let jobs = std::mem::take(&mut *kept.0.lock().unwrap_or_else(PoisonError::into_inner));
    service.store.commit(accepted(&jobs, received)).await?;
    for (a, i) in answer["alerts"].as_array().into_iter().flatten().zip(1..) {
        if a["acknowledge"] == true {
            clock.set((received + Duration::minutes(3 * i)).min(now));
            let id = serde_json::from_value::<AlertId>(a["id"].clone())?;
            let ack = Acknowledgement {
                person: Person {
                    name: "Duty officer Trialmoor".into(),
                    role: "On call".into(),
                    agency: String::new(),
                },
                note: String::new(),
                means: if i % 4 == 0 { Means::Telephone } else { Means::Themselves },
                reply: Reply::CanAttend,
            };
            mine.acknowledge(&caller, id, ack).await?;
            if a["kind"].as_str().is_some_and(|k| k.starts_with("jar_")) {
                // Or they would be asked for their part of the response, months later.
                let wish = Wish::Plan {
                    agency: a["agency"].as_str().unwrap_or_default().to_owned(),
                    person: Person { name: "Duty officer Trialmoor".into(), ..Person::default() },
                    entry: "Attended.".to_owned(),
                };
                mine.change(&caller, &reference, wish, None).await?;
            }
        }
    }
    for (record, at) in steps(&s, n, spread, now) {
        clock.set(at.max(received + Duration::hours(1)).min(now));
        mine.change(&caller, &reference, Wish::Milestone { record, note: String::new() }, None)
            .await?;
    }
    Ok(())
}

/// The rows that a dispatcher would have left behind.
fn accepted(jobs: &[Job], at: DateTime<Utc>) -> ChangeSet {
    let state = AlertState::Accepted;
    let at = at + Duration::seconds(1);
    let mut set = ChangeSet::default();
    for j in jobs {
        set.attempts.push(AttemptRow {
            delivery_id: j.id,
            alert_id: j.alert_id,
            n: 1,
            at,
            outcome: "accepted".to_owned(),
            code: Some(200),
            took_ms: 40,
            state: state.word().to_owned(),
        });
        set.results.push(DeliveryResult {
            id: j.id,
            lease_token: j.lease_token,
            state: "done",
            next_at: at,
            attempts: 1,
            outcome: "accepted".to_owned(),
            provider: None,
            provider_id: None,
            ask_at: None,
        });
        set.alert_changes.push(crate::store::changes::AlertChange {
            id: j.alert_id,
            state: state.word(),
            rank: state.rank(),
        });
    }
    set
}

/// The steps recorded so far, each with its time.
fn steps(
    s: &Synthetic,
    n: u64,
    spread: Spread,
    now: DateTime<Utc>,
) -> Vec<(Record, DateTime<Utc>)> {
    // Share of the way from death to review at which each step is recorded.
    let way = [
        (Milestone::ReportingForms, 0.45),
        (Milestone::SupplementaryForms, 0.5),
        (Milestone::PostMortem, 0.4),
        (Milestone::Inquest, 0.75),
        (Milestone::CdrMeeting, 0.7),
        (Milestone::DraftAnalysis, 0.8),
        (Milestone::FamilyContribution, 0.6),
        (Milestone::PanelReview, 1.0),
        (Milestone::Finalised, 1.05),
    ];
    let died = civil_time::start_of(s.died_on);
    let elapsed = (now - died).num_days();
    #[allow(clippy::cast_precision_loss)] // days
    let reached = match spread {
        Spread::ByTime => elapsed as f64 / s.review_days as f64,
        Spread::EveryStage => {
            [0.05, 0.42, 0.55, 0.72, 0.9, 0.9, 1.02, 1.1][usize::try_from(n % 8).unwrap_or(0)]
        }
    };
    let natural = matches!(s.category, 4 | 6 | 7 | 8);
    let mut out = Vec::new();
    for (milestone, share) in way {
        if reached < share {
            continue;
        }
        let standing = match milestone {
            Milestone::PostMortem | Milestone::Inquest if natural => Standing::NotNeeded,
            Milestone::FamilyContribution if n.is_multiple_of(9) => Standing::NotObtainable,
            _ => Standing::Done,
        };
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let days = (elapsed as f64 * share / reached.max(share)).max(0.0) as u64;
        let on = s.died_on.checked_add_days(Days::new(days)).unwrap_or(s.died_on);
        let reviewed = matches!(milestone, Milestone::DraftAnalysis | Milestone::PanelReview);
        let record = Record {
            milestone,
            standing,
            on: (standing == Standing::Done).then_some(on),
            category: reviewed.then_some(s.category),
        };
        out.push((record, civil_time::start_of(on) + Duration::hours(10)));
    }
    out.sort_by_key(|(_, at)| *at);
    out
}
