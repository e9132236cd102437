//! After the notification was sent: who is being told, the rest of the form, what happened next.

use super::Service;
use super::drafts::{Held, salvage};
use super::error::{ServiceError, invalid};
use super::read::AlertDetail;
use crate::auth::policy::Caller;
use crate::domain::case;
use crate::domain::draft::{self, Fields, Section};
use crate::domain::facts::Amendment;
use crate::domain::id::CaseId;
use crate::domain::jar::{Assessment, Decision};
use crate::domain::ready::{Stage, stage};
use crate::domain::scope::Scope;
use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;

/// How long the notifier may add to what they sent.
pub const FURTHER_HOURS: i64 = 72;

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
        let agencies = self.alert_details(&s, rows).into_iter().map(agency).collect();
        let until = sent_at + Duration::hours(FURTHER_HOURS);
        Ok(Some(Told {
            reference: s.reference.to_string(),
            area: s.area.clone(),
            received_at: s.received_at,
            standing: s.standing,
            withdrawn: s.withdrawn.is_some(),
            stood_down: s.stood_down.is_some(),
            stage: Stage::label(stage(&s)),
            stage_said: stage_said(stage(&s)),
            scope: s.scope,
            assessment: s.assessment,
            agencies,
            further_until: (self.now() < until).then_some(until),
        }))
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
            let done = self
                .decide(
                    &caller,
                    id,
                    None,
                    &BTreeSet::new(),
                    |state, ctx| {
                        let why = "Further details from the notifier".to_owned();
                        case::amend(state, patch.clone(), Amendment::FurtherAccount, why, now, ctx)
                    },
                    |_| json!(null),
                )
                .await;
            match done {
                Ok((d, _)) => {
                    new = !d.unchanged;
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
    }
}

/// Whether one of these form fields asks for a field of the body, `household[1].name` for one.
fn asks(fields: &[String], path: &str) -> bool {
    let dotted = path.replace('[', ".").replace(']', "");
    fields.iter().any(|f| *f == dotted || f.starts_with(&format!("{dotted}.")))
}

fn agency(a: AlertDetail) -> Agency {
    let answered = matches!(a.state.as_str(), "acknowledged" | "recalled" | "expired");
    Agency {
        name: a.agency_name,
        kind: a.kind_label,
        acknowledged_at: a.acknowledged_at,
        // In the words of somebody who waits for it.
        state_label: match a.state.as_str() {
            "planned" | "sending" => "being told now".to_owned(),
            "accepted" => "message sent, not seen yet".to_owned(),
            _ => a.state_label,
        },
        state: a.state,
        ring: if answered { String::new() } else { a.ring },
    }
}
