//! After the notification was sent: who is being told, the rest of the form, what happened next.

use super::drafts::{Held, salvage};
use super::error::{ServiceError, invalid};
use super::read::AlertDetail;
use super::{Answer, Service};
use crate::auth::policy::Caller;
use crate::domain::alert::{AlertKind, AlertState};
use crate::domain::case::{self, CaseState};
use crate::domain::draft::{self, Draft, Fields, Page, Section, spoken_code};
use crate::domain::event::StoodIn;
use crate::domain::id::CaseId;
use crate::domain::jar::{Assessment, Decision};
use crate::domain::ready::{Stage, stage};
use crate::domain::scope::Scope;
use crate::store::DraftRow;
use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// How long the notifier may add to what they sent.
pub const FURTHER_HOURS: i64 = 72;
/// Minutes after which the answers of partners, and how far the case is, are shown for a second
/// account too.
const ANSWERS_AFTER: i64 = 30;
/// Seconds that a message of its own would be on its way.
const SENT_AFTER: i64 = 3;

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
        let (stands, stood_in) = self.stands(&s).await?;
        let agencies = own.chain(stood_in).collect();
        let until = sent_at + Duration::hours(FURTHER_HOURS);
        Ok(Some(Told {
            reference: s.reference.to_string(),
            area: s.area.clone(),
            received_at: s.received_at,
            standing: s.standing,
            withdrawn: stands.withdrawn,
            stood_down: stands.stood_down,
            stage: Stage::label(stands.stage),
            stage_said: stage_said(stands.stage),
            scope: s.scope,
            assessment: s.assessment,
            agencies,
            further_until: (self.now() < until).then_some(until),
        }))
    }

    /// A code for whoever sent the whole notification at once, so that they too can see what came of
    /// it and add the rest. The same form key is the same code, as the same key is the same case.
    ///
    /// # Errors
    /// Not an answer to a notification, or not storable.
    pub async fn hold_sent(&self, form: &str, answer: &Answer) -> Result<Held, ServiceError> {
        let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let text = |field: &str| said[field].as_str().unwrap_or_default();
        let case_id = Uuid::parse_str(text("case_id")).map_err(|_| ServiceError::NotFound)?;
        let form = format!("one-page/{form}");
        let id = Uuid::from_slice(&self.store.draft_bytes("id", &form)[..16]).unwrap_or_default();
        let code = spoken_code(&self.store.draft_bytes("code", &form));
        let now = self.now();
        let row = DraftRow {
            id,
            code: self.store.draft_digest(&code),
            area: text("area").to_owned(),
            step: Page::Check.word().to_owned(),
            version: 1,
            started_at: now,
            changed_at: now,
            expires_at: now + Duration::days(i64::from(self.what_next_days)),
            sent_at: Some(now),
            case_id: Some(case_id),
            sealed: self.store.seal_draft(id, &Draft::default())?,
        };
        // One that is there is this one: the form was sent twice.
        self.store.add_draft(row).await?;
        self.draft(&code).await
    }

    /// How far the case of a report is, and the partners whom the first case's alerts reach in place
    /// of the report's own.
    ///
    /// Whoever sent a second report sees what they would see of a first one: nothing here may tell
    /// them that there was a case. So they see how far their own report is until the first case has
    /// moved on after it, and nothing of that for a while, because people take longer.
    async fn stands(&self, s: &CaseState) -> Result<(Stands, Vec<Agency>), ServiceError> {
        let alone = Stands {
            withdrawn: s.withdrawn.is_some(),
            stood_down: s.stood_down.is_some(),
            stage: own_stage(s),
        };
        let Some(of) = &s.accounts.of else { return Ok((alone, Vec::new())) };
        let events = self.store.history(of.case).await?;
        let all = || events.iter().map(|(r, _)| r.clone());
        let Some(first) = case::replay(of.case, all()) else { return Ok((alone, Vec::new())) };
        let before = case::replay(of.case, all().filter(|r| r.at <= s.received_at));
        let now = self.now();
        let soon = now < s.received_at + Duration::minutes(ANSWERS_AFTER);
        let stands = if soon { alone } else { alone.moved_on(before.as_ref(), &first) };
        let rows = self.alert_details(&first, self.store.alerts(of.case).await?);
        let view = StoodInView { since: s.received_at, now, soon, over: stands.is_over(), rows };
        let lines = of.told.iter().map(|t| view.line(t)).collect();
        Ok((stands, lines))
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

/// How far a case is, as its notifier is told.
struct Stands {
    withdrawn: bool,
    stood_down: bool,
    stage: Stage,
}

impl Stands {
    /// With what the first case has done since a report came; `before` is how it was then.
    fn moved_on(self, before: Option<&CaseState>, first: &CaseState) -> Self {
        let was = |so: fn(&CaseState) -> bool| before.is_some_and(so);
        let withdrawn = |c: &CaseState| c.withdrawn.is_some();
        let stood_down = |c: &CaseState| c.stood_down.is_some();
        let stage = match before.map(stage) {
            Some(was) if was == stage(first) => self.stage,
            _ => stage(first),
        };
        Self {
            withdrawn: self.withdrawn || (withdrawn(first) && !was(withdrawn)),
            stood_down: self.stood_down || (stood_down(first) && !was(stood_down)),
            stage,
        }
    }

    /// Whether those who were told need not answer any more.
    fn is_over(&self) -> bool {
        self.withdrawn || self.stood_down
    }
}

/// Whether an alert is about a death, and not about another alert.
fn tells_of_a_death(kind: &str) -> bool {
    let told =
        |k: AlertKind| k.is_response() || matches!(k, AlertKind::DeathNotified | AlertKind::NotJar);
    AlertKind::parse(kind).is_some_and(told)
}

/// The stage that a report would have if it were a case of its own.
fn own_stage(s: &CaseState) -> Stage {
    let mut alone = s.clone();
    alone.accounts.of = None;
    stage(&alone)
}

/// The first case's alerts, as whoever sent a second report may see them.
struct StoodInView {
    /// When the report came.
    since: DateTime<Utc>,
    now: DateTime<Utc>,
    /// An answer that is there already, or comes sooner than one could come to a message sent now,
    /// would tell.
    soon: bool,
    over: bool,
    rows: Vec<AlertDetail>,
}

impl StoodInView {
    fn line(&self, t: &StoodIn) -> Agency {
        let known = |a: &&AlertDetail| AlertState::parse(&a.state).unwrap_or(AlertState::Planned);
        let real = self
            .rows
            .iter()
            .filter(|a| a.agency == t.agency && a.state != "recalled" && tells_of_a_death(&a.kind));
        // One that expired says nothing of one that was sent for this report.
        let best = real.max_by_key(|a| match known(a) {
            AlertState::Expired => -1,
            state => state.rank(),
        });
        let state = match best {
            Some(a) if self.soon => self.early(known(&a), a.planned_at, t),
            Some(a) => known(&a),
            None if self.soon => self.early(AlertState::Accepted, self.since, t),
            None if self.over => AlertState::Recalled,
            None => t.state(),
        };
        agency_line(
            t.agency_name.clone(),
            t.kind.label().to_owned(),
            state.word().to_owned(),
            state.label().to_owned(),
            best.map(|a| a.ring.clone()).unwrap_or_default(),
        )
    }

    /// What a message of the report's own would have come to by now. That somebody has to be rung is
    /// said at once: an alert that nothing more came of does not stand in for another.
    fn early(&self, state: AlertState, planned_at: DateTime<Utc>, t: &StoodIn) -> AlertState {
        match state {
            AlertState::Failed | AlertState::NoContact => state,
            AlertState::Planned | AlertState::Sending if planned_at >= self.since => state,
            _ if t.no_contact => AlertState::NoContact,
            _ if self.now < self.since + Duration::seconds(SENT_AFTER) => AlertState::Planned,
            AlertState::Planned | AlertState::Sending => state,
            _ => AlertState::Accepted,
        }
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
        // Told as if it were a case of its own.
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
