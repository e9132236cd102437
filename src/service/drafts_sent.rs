//! After the notification was sent: who is being told, the rest of the form, what happened next.

use super::Service;
use super::drafts::{Held, salvage};
use super::error::{ServiceError, invalid};
use super::read::AlertDetail;
use crate::auth::policy::Caller;
use crate::domain::alert::AlertState;
use crate::domain::case::CaseState;
use crate::domain::draft::{self, Fields, Section};
use crate::domain::id::CaseId;
use crate::domain::jar::{Assessment, Decision};
use crate::domain::ready::{Stage, stage};
use crate::domain::scope::Scope;
use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

/// How long the notifier may add to what they sent.
pub const FURTHER_HOURS: i64 = 72;
/// Minutes after which the answers of partners are shown for a second account too.
const ANSWERS_AFTER: i64 = 30;

/// What whoever notified may know of the case. Nothing in it is about the child.
#[derive(Clone, Serialize)]
pub struct Told {
    pub reference: String,
    pub area: String,
    pub received_at: DateTime<Utc>,
    pub scope: Scope,
    pub assessment: Assessment,
    pub standing: Decision,
    pub withdrawn: bool,
    pub stood_down: bool,
    pub stage: &'static str,
    /// The same for somebody who has never heard of stages.
    pub stage_said: &'static str,
    pub agencies: Vec<Agency>,
    /// Until when further details are taken; none if that is over.
    pub further_until: Option<DateTime<Utc>>,
}

/// One partner, as the notifier sees it: no person is named.
#[derive(Clone, Serialize)]
pub struct Agency {
    pub name: String,
    pub kind: String,
    pub state: String,
    pub state_label: String,
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Shown where nobody there has answered yet.
    pub ring: String,
}

impl Service {
    /// What became of a draft that was sent; none if it was not.
    ///
    /// # Errors
    /// The database failed.
    pub async fn told(&self, held: &Held) -> Result<Option<Told>, ServiceError> {
        let (Some(sent_at), Some(id)) = (held.row.sent_at, held.row.case_id) else {
            return Ok(None);
        };
        let id = CaseId(id);
        let s = self.store.load(id).await?.ok_or(ServiceError::NotFound)?.state;
        let rows = self.store.alerts(id).await?;
        let own = self.alert_details(&s, rows).into_iter().map(agency);
        let agencies = own.chain(self.stood_in(&s).await?).collect();
        let first = self.first_case(&s).await?;
        let as_case = first.as_ref().unwrap_or(&s);
        let until = sent_at + Duration::hours(FURTHER_HOURS);
        Ok(Some(Told {
            reference: s.reference.to_string(),
            area: s.area.clone(),
            received_at: s.received_at,
            standing: s.standing,
            withdrawn: as_case.withdrawn.is_some(),
            stood_down: as_case.stood_down.is_some(),
            stage: Stage::label(stage(as_case)),
            stage_said: stage_said(stage(as_case)),
            scope: s.scope,
            assessment: s.assessment,
            agencies,
            further_until: (self.now() < until).then_some(until),
        }))
    }

    /// The case that this report is a second account of.
    async fn first_case(&self, s: &CaseState) -> Result<Option<CaseState>, ServiceError> {
        let Some(of) = &s.accounts.of else { return Ok(None) };
        Ok(self.store.load(of.case).await?.map(|l| l.state))
    }

    /// Partners whom the first case's alerts reach in place of this report's own. Whoever sent it
    /// sees what they would see of a first report: nothing here may tell them that there is a case.
    /// So an answer that was there before, or comes sooner than one could come to a message sent
    /// now, is not shown for a while.
    async fn stood_in(&self, s: &CaseState) -> Result<Vec<Agency>, ServiceError> {
        let Some(of) = &s.accounts.of else { return Ok(Vec::new()) };
        let Some(first) = self.first_case(s).await? else { return Ok(Vec::new()) };
        let rows = self.alert_details(&first, self.store.alerts(of.case).await?);
        let soon = self.now() < s.received_at + Duration::minutes(ANSWERS_AFTER);
        let shown = |t: &crate::domain::event::StoodIn| {
            let real = rows.iter().filter(|a| a.agency == t.agency && a.state != "recalled");
            let best = real.max_by_key(|a| AlertState::parse(&a.state).map_or(0, AlertState::rank));
            let state = best.and_then(|a| AlertState::parse(&a.state)).unwrap_or(t.state());
            let state = match state {
                AlertState::Delivered | AlertState::Opened | AlertState::Acknowledged if soon => {
                    AlertState::Accepted
                }
                other => other,
            };
            agency_line(
                t.agency_name.clone(),
                t.kind.label().to_owned(),
                state.word().to_owned(),
                state.label().to_owned(),
                best.map(|a| a.ring.clone()).unwrap_or_default(),
            )
        };
        Ok(of.told.iter().map(shown).collect())
    }

    /// Saves one part of the rest of the form. Nothing of it is with the case before it is sent.
    ///
    /// # Errors
    /// Too late, not sent yet, or something typed here cannot be used and nobody has said to go on
    /// without it.
    pub async fn save_section(
        &self,
        code: &str,
        section: Section,
        typed: &Fields,
        from: i64,
        anyway: bool,
    ) -> Result<Held, ServiceError> {
        let held = self.draft(code).await?;
        self.still_open(&held)?;
        let all = section.fields();
        let names: Vec<&str> = all.iter().map(String::as_str).collect();
        let page = format!("more/{}", section.word());
        self.alter(code, true, "", |d, mark| {
            let changed = d.take(&page, &names, typed, from, mark);
            if changed && !anyway {
                self.usable(d, |field| asks(&all, field))?;
            }
            Ok(changed)
        })
        .await
    }

    /// Sends what was added, as one further account: what the case holds already stays beside it.
    /// Whether anything was new.
    ///
    /// # Errors
    /// Too late, not sent yet, or the notification was withdrawn meanwhile.
    pub async fn send_further(&self, code: &str) -> Result<bool, ServiceError> {
        let held = self.draft(code).await?;
        let id = CaseId(self.still_open(&held)?);
        let now = self.now();
        let (mut body, mut patch, _, _) = salvage(draft::body(&held.draft.fields), now);
        let caller = Caller::public();
        let mut new = false;
        // A second round if what was added does not fit what the case holds.
        for round in 0..2 {
            let why = "Further details from the notifier";
            match self.told_further(&caller, id, &patch, why).await {
                Ok(was_new) => {
                    new = was_new;
                    break;
                }
                Err(ServiceError::Invalid(problems)) if round == 0 => {
                    (body, patch, _, _) = salvage(draft::salvaged(body, &problems), now);
                }
                Err(e) => return Err(e),
            }
        }
        let was = held.draft.fields;
        self.alter(code, true, "", |d, mark| {
            // What was typed meanwhile, in another tab, is not lost.
            d.fields.retain(|n, v| was.get(n) != Some(v));
            d.further_at = Some(mark.at);
            d.replaced = None;
            Ok(true)
        })
        .await?;
        Ok(new)
    }

    /// The case of a sent draft, while further details are taken.
    fn still_open(&self, held: &Held) -> Result<uuid::Uuid, ServiceError> {
        let (Some(sent), Some(id)) = (held.row.sent_at, held.row.case_id) else {
            return Err(ServiceError::NotFound);
        };
        if self.now() < sent + Duration::hours(FURTHER_HOURS) {
            return Ok(id);
        }
        let why = "the 72 hours in which you can add to it yourself are over; ring us instead";
        Err(invalid("_form", "too_late", why))
    }
}

/// Where a case stands, in words that need no explaining.
fn stage_said(stage: Stage) -> &'static str {
    match stage {
        Stage::Notified | Stage::Gathering => {
            "Information is being gathered from everybody who knew the child."
        }
        Stage::MeetingHeld => {
            "Those who knew the child have met. Their findings go to the review panel."
        }
        Stage::Ready | Stage::Listed => "The case waits for the review panel.",
        Stage::Reviewed => "The review panel has met about it.",
        Stage::Closed => "The review is complete.",
        Stage::OutOfScope => "On what is known, it is outside child death review.",
        Stage::Withdrawn => "The notification was withdrawn.",
        Stage::Drill => "This was a drill.",
        // Told of the case that it is an account of.
        Stage::SecondAccount => "It is part of a case.",
    }
}

/// Whether one of these form fields asks for a field of the body, `household[1].name` for one.
fn asks(fields: &[String], path: &str) -> bool {
    let dotted = path.replace('[', ".").replace(']', "");
    fields.iter().any(|f| *f == dotted || f.starts_with(&format!("{dotted}.")))
}

fn agency(a: AlertDetail) -> Agency {
    let at = a.acknowledged_at;
    let line = agency_line(a.agency_name, a.kind_label, a.state, a.state_label, a.ring);
    Agency { acknowledged_at: at, ..line }
}

fn agency_line(
    name: String,
    kind: String,
    state: String,
    state_label: String,
    ring: String,
) -> Agency {
    let answered = matches!(state.as_str(), "acknowledged" | "recalled" | "expired");
    Agency {
        name,
        kind,
        acknowledged_at: None,
        // In the words of somebody who waits for it.
        state_label: match state.as_str() {
            "planned" | "sending" => "being told now".to_owned(),
            "accepted" => "message sent, not seen yet".to_owned(),
            _ => state_label,
        },
        state,
        ring: if answered { String::new() } else { ring },
    }
}
