//! Looking at cases. Every look at a case's personal data is an audit line, committed before
//! anything is shown.

use super::Service;
use super::access::Opened;
use super::error::ServiceError;
use crate::auth::policy::{Action, Caller, Object};
use crate::domain::alert::{Channel, ContactPoint};
use crate::domain::case::{Alert, CaseState};
use crate::domain::deadline::{self, Clock};
use crate::domain::escalation::{Phase, Why};
use crate::domain::event::{Event, Means, Recorded, SetHow, Step};
use crate::domain::facts::Amendment;
use crate::domain::id::{CaseId, Reference};
use crate::platform::crypt::CryptError;
use crate::store::{AlertView, CaseFilter, Page, Sort, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// A case with everything its page shows.
pub struct CaseDetail {
    pub state: CaseState,
    pub clocks: Vec<Clock>,
    pub alerts: Vec<AlertDetail>,
}

/// One agency's line on the reached board.
#[derive(Clone, Debug, Serialize)]
pub struct AlertDetail {
    pub id: Uuid,
    pub agency: String,
    pub agency_name: String,
    pub kind: String,
    pub kind_label: String,
    pub acknowledge: bool,
    pub state: String,
    pub state_label: String,
    pub planned_at: DateTime<Utc>,
    pub attempts: i64,
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The number to ring, from the directory of today.
    pub ring: String,
    pub acknowledged_at: Option<DateTime<Utc>>,
    pub acknowledged_by: Option<String>,
    pub acknowledged_role: Option<String>,
    pub acknowledged_means: Option<Means>,
    /// Where the obligation stands: untracked, climbing, ringing, acting, settled.
    pub phase: String,
    /// Who or what was tried last, in words.
    pub tried: String,
    /// What happens next, in words; empty when nothing is owed.
    pub next_step: String,
    pub next_step_at: Option<DateTime<Utc>>,
    /// Minutes since it began, while nobody has acknowledged.
    pub waiting_minutes: Option<i64>,
    /// Who rings when nothing else has worked, and where they are reached.
    pub human: Option<String>,
    pub human_number: Option<String>,
    pub human_told_at: Option<DateTime<Utc>>,
    /// When they were last told by a message that a provider has taken; the others are on their way.
    pub human_reached_at: Option<DateTime<Utc>>,
    /// Who could not attend, and whom they named.
    pub handed_on: Option<String>,
    /// It had been opened when it was recalled.
    pub opened_before_recall: bool,
    pub drill: bool,
    /// The second account whose alert this is, if it is not the case's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// One case on the board of all open alerts.
#[derive(Clone, Debug, Serialize)]
pub struct BoardCase {
    pub reference: String,
    pub area: String,
    pub drill: bool,
    pub received_at: DateTime<Utc>,
    /// Restricted and not open to whoever looks: the reference and nothing else.
    pub restricted: bool,
    pub alerts: Vec<AlertDetail>,
}

/// One line of what happened, as a sentence.
#[derive(Clone, Debug, Serialize)]
pub struct TimelineItem {
    pub at: DateTime<Utc>,
    pub kind: String,
    pub text: String,
    pub actor: String,
}

impl Service {
    /// A case as its page shows it; the look is recorded first.
    ///
    /// # Errors
    /// Not found (also when it is not the caller's), or the database is away.
    pub async fn case(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<CaseDetail, ServiceError> {
        let opened = self.open(caller, reference, Action::ReadCase).await?;
        self.note(caller, "read_case", Some(&opened)).await?;
        let Opened { id, .. } = opened;
        let state = self.store.load(id).await?.ok_or(ServiceError::NotFound)?.state;
        let lengths = self.directory().area(&state.area).map(|a| a.deadlines).unwrap_or_default();
        let clocks = deadline::clocks(&state, &lengths, self.now());
        let alerts = self.all_alerts(&state).await?;
        Ok(CaseDetail { state, clocks, alerts })
    }

    /// Who has been reached for a case and who has not. Nothing about the child, so no audit line.
    ///
    /// # Errors
    /// Not found, or the database is away.
    pub async fn case_alerts(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<Vec<AlertDetail>, ServiceError> {
        let id = self.find(caller, reference, Action::ReadCase).await?;
        let state = self.store.load(id).await?.ok_or(ServiceError::NotFound)?.state;
        self.all_alerts(&state).await
    }

    /// The alerts of a case and of its accounts: what is awaited on any of them is seen here.
    async fn all_alerts(&self, state: &CaseState) -> Result<Vec<AlertDetail>, ServiceError> {
        let mut all = self.alert_details(state, self.store.alerts(state.id).await?);
        for account in &state.accounts.held {
            let Some(loaded) = self.store.load(account.case).await? else { continue };
            let rows = self.store.alerts(account.case).await?;
            let theirs = self.alert_details(&loaded.state, rows).into_iter();
            let reference = account.reference.to_string();
            all.extend(theirs.map(|a| AlertDetail { account: Some(reference.clone()), ..a }));
        }
        Ok(all)
    }

    /// An area's open cases with who has been reached, for the daily copy.
    ///
    /// # Errors
    /// The database is away.
    pub async fn open_cases(&self, area: &str) -> Result<Vec<serde_json::Value>, ServiceError> {
        let mut out = Vec::new();
        let mut after = None;
        loop {
            let filter = CaseFilter { areas: vec![area.to_owned()], ..CaseFilter::default() };
            let rows = self.store.list(&filter, &Page::newest(after, 200)).await?;
            let Some(last) = rows.last() else { return Ok(out) };
            after = Some(last.mark(Sort::Received));
            for r in rows
                .iter()
                .filter(|r| !matches!(r.stage.as_str(), "closed" | "withdrawn" | "destroyed"))
            {
                let id = CaseId(r.id);
                if r.restricted {
                    out.push(serde_json::json!({ "reference": r.reference, "restricted": true }));
                    continue;
                }
                self.store.audit(self.now(), "system", "copy_case", Some(id)).await?;
                let Some(loaded) = self.store.load(id).await? else { continue };
                let alerts = self.all_alerts(&loaded.state).await?;
                out.push(serde_json::json!({
                    "reference": r.reference,
                    "stage": r.stage,
                    "jar": r.jar,
                    "received_at": r.received_at,
                    "facts": loaded.state.facts,
                    "partners": alerts,
                }));
            }
        }
    }

    /// Every case of the caller's areas that waits for somebody, newest first.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn board(&self, caller: &Caller) -> Result<Vec<BoardCase>, ServiceError> {
        Self::allow(caller, Action::ListCases, Object::default())?;
        let areas = self.areas_of(caller);
        let open = self.opened_to(caller).await?;
        let mut out = Vec::new();
        for id in self.store.cases_with_open(&areas, MOST_ON_BOARD).await? {
            let id = CaseId(id);
            let loaded = match self.store.load(id).await {
                Ok(Some(l)) => l,
                // Destroyed meanwhile: nobody waits for it any more.
                Ok(None) | Err(StoreError::Crypt(CryptError::Destroyed)) => continue,
                Err(e) => return Err(e.into()),
            };
            let s = loaded.state;
            // A second account is as secret as its case.
            let lead = s.accounts.of.as_ref().map_or(id, |o| o.case);
            let restricted = s.keeping.restricted.is_some()
                || (lead != id && self.store.case_row(lead).await?.is_some_and(|c| c.restricted));
            let shut = restricted && !open.contains(&lead.0);
            let alerts = if shut {
                Vec::new()
            } else {
                self.alert_details(&s, self.store.alerts(id).await?)
            };
            out.push(BoardCase {
                restricted: shut,
                reference: s.reference.to_string(),
                area: s.area.clone(),
                drill: s.drill,
                received_at: s.received_at,
                alerts,
            });
        }
        Ok(out)
    }

    pub(super) fn alert_details(
        &self,
        state: &CaseState,
        rows: Vec<AlertView>,
    ) -> Vec<AlertDetail> {
        use crate::domain::alert::{AlertKind, AlertState};
        let now = self.now();
        let directory = self.directory();
        let detail = |r: AlertView| {
            let held = state.alerts.get(&crate::domain::id::AlertId(r.id));
            let ack = held.and_then(|a| a.acknowledged.as_ref());
            let human = held.and_then(|a| a.ladder.as_ref()).map(|l| &l.human);
            let unanswered = held.is_some_and(|a| a.progress.is_unanswered());
            let ring = directory.agency(&state.area, &r.agency).map(|a| a.ring.clone());
            AlertDetail {
                id: r.id,
                phase: r.phase,
                tried: held.map(|a| points_said(&a.last_points)).unwrap_or_default(),
                next_step: held.map(next_step).unwrap_or_default(),
                next_step_at: held.and_then(|a| a.progress.next_at),
                waiting_minutes: unanswered.then(|| (now - r.planned_at).num_minutes()),
                human: human.map(|h| h.name.clone()),
                human_number: human.map(|h| h.number.clone()),
                human_told_at: held.and_then(|a| a.human_told),
                human_reached_at: held.and_then(|a| a.human_told).and(r.human_reached_at),
                handed_on: held.and_then(|a| a.handed_on.as_ref()).map(|(p, to)| {
                    if to.is_empty() {
                        p.name.clone()
                    } else {
                        format!("{}, who named {to}", p.name)
                    }
                }),
                opened_before_recall: held.is_some_and(|a| a.opened_before_recall),
                drill: r.drill,
                account: None,
                ring: ring.unwrap_or_default(),
                kind_label: AlertKind::parse(&r.kind).map_or("", AlertKind::label).to_owned(),
                state_label: AlertState::parse(&r.state).map_or("", AlertState::label).to_owned(),
                agency: r.agency,
                agency_name: r.agency_name,
                kind: r.kind,
                acknowledge: r.acknowledge,
                state: r.state,
                planned_at: r.planned_at,
                attempts: r.attempts,
                next_attempt_at: r.next_at,
                acknowledged_at: ack.map(|a| a.at),
                acknowledged_by: ack.map(|a| a.person.name.clone()),
                acknowledged_role: ack.map(|a| a.person.role.clone()),
                acknowledged_means: ack.map(|a| a.means),
            }
        };
        rows.into_iter().map(detail).collect()
    }

    /// What happened to a case, oldest first, in plain sentences.
    ///
    /// # Errors
    /// Not found, or the database is away.
    pub async fn timeline(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<Vec<TimelineItem>, ServiceError> {
        let opened = self.open(caller, reference, Action::ReadCase).await?;
        self.note(caller, "read_timeline", Some(&opened)).await?;
        self.timeline_of(opened.id).await
    }

    pub(super) async fn timeline_of(&self, id: CaseId) -> Result<Vec<TimelineItem>, ServiceError> {
        let history = self.store.history(id).await?;
        let mut names = std::collections::HashMap::new();
        let mut items: Vec<TimelineItem> = Vec::new();
        for (Recorded { at, event }, actor) in history {
            if let Event::AlertsPlanned { alerts } = &event {
                names.extend(alerts.iter().map(|a| (a.id.0, a.agency_name.clone())));
            }
            items.push(TimelineItem {
                at,
                kind: event.name().to_owned(),
                text: sentence(&event, &names),
                actor,
            });
        }
        for t in self.store.attempts(id).await? {
            let agency = names.get(&t.alert_id).map_or("An agency", String::as_str);
            let by = match t.channel.as_str() {
                "email" => "e-mail",
                "sms" => "text",
                "voice" => "call",
                _ => "webhook",
            };
            let code = t.code.map(|c| format!(" ({c})")).unwrap_or_default();
            let text = match t.outcome.as_str() {
                "accepted" => format!("{agency}: {by} accepted by the receiving system{code}."),
                "opened" => format!("{agency}: the link in the message was opened."),
                "delivered" => format!(
                    "{agency}: {by} delivered, says the carrier; not yet seen by anybody we know of."
                ),
                why if t.n == 0 => {
                    format!("{agency}: {by}: the carrier says: {}.", why.replace('_', " "))
                }
                why => format!("{agency}: {by} attempt {} did not go through: {why}{code}.", t.n),
            };
            items.push(TimelineItem {
                at: t.at,
                kind: "attempt".to_owned(),
                text,
                actor: "system".to_owned(),
            });
        }
        items.sort_by_key(|i| i.at);
        Ok(items)
    }
}

#[allow(clippy::too_many_lines)] // one arm for each event
fn sentence(event: &Event, names: &std::collections::HashMap<Uuid, String>) -> String {
    match event {
        Event::NotificationReceived { warnings, .. } => match warnings.len() {
            0 => "Notification received.".to_owned(),
            1 => "Notification received, with one point to check.".to_owned(),
            n => format!("Notification received, with {n} points to check."),
        },
        Event::JarAssessed { assessment, standing, .. } if assessment.decision < *standing => {
            format!(
                "Assessed by {}: {} ({}). The response stands until a person stands it down.",
                assessment.ruleset,
                assessment.decision.word().replace('_', " "),
                assessment.reason
            )
        }
        Event::JarAssessed { assessment, .. } => format!(
            "Assessed by {}: {} ({})",
            assessment.ruleset,
            assessment.decision.word().replace('_', " "),
            assessment.reason
        ),
        Event::AlertsPlanned { alerts } => {
            let to: Vec<&str> = alerts.iter().map(|a| a.agency_name.as_str()).collect();
            format!("Alerts planned to: {}.", to.join("; "))
        }
        Event::FactsAmended { how, changed, reason, .. } => {
            let what = match how {
                Amendment::Correction => "Corrected or added",
                Amendment::FurtherAccount => "Further account",
            };
            let why = if reason.is_empty() { String::new() } else { format!(" Reason: {reason}") };
            let names: Vec<String> = changed.iter().map(|p| plain(p)).collect();
            format!("{what}: {}.{why}", names.join(", "))
        }
        Event::FactsSet { fields, how, reason } => {
            let what = match how {
                SetHow::Undo { .. } => "Put back as it was before",
                SetHow::Settled => "Accounts settled",
            };
            let names: Vec<String> = fields.keys().map(|p| plain(p)).collect();
            let why = if reason.is_empty() { String::new() } else { format!(" Reason: {reason}") };
            format!("{what}: {}.{why}", names.join(", "))
        }
        Event::JarStoodDown { reason, consulted, decided_by, .. } => format!(
            "Response stood down by {}. Reason: {reason} Consulted: {}.",
            decided_by.name,
            people(consulted)
        ),
        Event::JarCalled { reason, consulted, decided_by } => format!(
            "Response called by {}. Reason: {reason} Consulted: {}.",
            decided_by.name,
            people(consulted)
        ),
        Event::NotificationWithdrawn { reason, decided_by, recalled, opened } => format!(
            "Notification withdrawn by {}. Reason: {reason} {} recalled, {} of them opened before.",
            decided_by.name,
            recalled.len(),
            opened.len()
        ),
        Event::AlertStepped { alert, step, why, points, .. } => {
            let agency = names.get(&alert.0).map_or("An agency", String::as_str);
            let to = points_said(points);
            let because = match why {
                Why::Due => "Nobody had acknowledged",
                Why::NothingSent => "Nothing of the step before could be sent",
                Why::CannotAttend => "They could not attend",
                Why::NotActedOn => "Acknowledged, but nothing in the response plan",
            };
            match step {
                Step::Rung => format!("{agency}: {because}; tried {to}."),
                Step::ComeBack => format!("{agency}: {because}; asked again: {to}."),
                Step::Ring { human, number, .. } => format!(
                    "{agency}: {because}; {human} ({number}) told to ring them; tried again {to}."
                ),
            }
        }
        Event::AlertHandedOn { alert, person, means, to, note, points, .. } => {
            let agency = names.get(&alert.0).map_or("An agency", String::as_str);
            let to = match (to.is_empty(), points.is_empty()) {
                (true, true) => "nobody named".to_owned(),
                (false, true) => format!("named {to}"),
                (true, false) => format!("tried {}", points_said(points)),
                (false, false) => format!("named {to}, tried {}", points_said(points)),
            };
            let note = if note.is_empty() { String::new() } else { format!(" Note: {note}") };
            format!("{agency}: {} cannot attend ({}); {to}.{note}", person.name, means.label())
        }
        Event::ObligationMended { alert, .. } => {
            let agency = names.get(&alert.0).map_or("An agency", String::as_str);
            format!("{agency}: the watcher put the next step right.")
        }
        Event::JarPlanEntered { agency, person, entry } => {
            format!(
                "Response plan, {}: {entry} (entered by {})",
                agency.replace('_', " "),
                person.name
            )
        }
        Event::AlertAcknowledged { alert, person, means, note, .. } => {
            let agency = names.get(&alert.0).map_or("An agency", String::as_str);
            let how = match means {
                Means::Telephone => "Spoken to by telephone".to_owned(),
                Means::Themselves => "Acknowledged".to_owned(),
                other => format!("Acknowledged {}", other.label()),
            };
            let note = if note.is_empty() { String::new() } else { format!(" Note: {note}") };
            format!("{agency}: {how} by {}.{note}", person.name)
        }
        Event::MilestoneRecorded { record, note } => {
            let on = record.on.map(|d| format!(", {}", d.format("%-d %B %Y"))).unwrap_or_default();
            let note = if note.is_empty() { String::new() } else { format!(" Note: {note}") };
            format!("{}: {}{on}.{note}", record.milestone.label(), record.standing.label())
        }
        Event::ListedForPanel { panel_name, despite, .. } => match despite {
            Some(why) => format!("Put on the list of {panel_name} although not ready: {why}"),
            None => format!("Put on the list of {panel_name}."),
        },
        Event::TakenOffPanel { reason, .. } => format!("Taken off the panel list: {reason}"),
        event @ (Event::CaseAssigned { .. } | Event::HandOverTaken { .. }) => {
            super::assign::sentence(event)
        }
        Event::DocumentAdded { name, by, .. } => {
            format!("Document added by {}: {name}.", by.name)
        }
        Event::DocumentWithdrawn { reason, by, .. } => {
            format!("Document withdrawn by {}. Reason: {reason}", by.name)
        }
        event @ (Event::CaseRestricted { .. }
        | Event::CaseUnrestricted { .. }
        | Event::GlassBroken { .. }
        | Event::GlassReviewed { .. }
        | Event::LegalHoldPlaced { .. }
        | Event::LegalHoldLifted { .. }) => access_sentence(event),
        event => super::likeness_words::sentence(event),
    }
}

/// A field's name as a sentence says it.
fn plain(path: &str) -> String {
    let words = |p: &str| p.replace(['.', '_'], " ");
    match path.split_once('.') {
        Some(("child", rest)) => format!("the child's {}", words(rest)),
        Some(("notifier", rest)) => format!("the notifier's {}", words(rest)),
        Some(("death", rest)) => format!("{} of the death", words(rest)),
        Some(("jar_answers", rest)) => format!("the answer to \"{}\"", words(rest)),
        _ => words(path),
    }
}

/// The same, of who may open a case.
fn access_sentence(event: &Event) -> String {
    match event {
        Event::CaseRestricted { reason, people, by } => {
            let names: Vec<&str> = people.iter().map(|p| p.name.as_str()).collect();
            format!("Restricted by {} to: {}. Reason: {reason}", by.name, names.join(", "))
        }
        Event::CaseUnrestricted { reason, by } => {
            format!("Restriction lifted by {}. Reason: {reason}", by.name)
        }
        Event::GlassBroken { who, role, reason, .. } => format!(
            "Opened by break-glass by {} ({}). Reason: {reason}",
            who.name,
            role.replace('_', " ")
        ),
        Event::GlassReviewed { by, note, .. } => {
            format!("Break-glass reviewed by {}. {note}", by.name)
        }
        Event::LegalHoldPlaced { reason, by } => {
            format!("Legal hold placed by {}. Reason: {reason}", by.name)
        }
        Event::LegalHoldLifted { reason, by } => {
            format!("Legal hold lifted by {}. Reason: {reason}", by.name)
        }
        // Each has its sentence above.
        other => other.name().replace('_', " "),
    }
}

/// Cases on the board at most: more than that is a disaster that one page does not show.
const MOST_ON_BOARD: i64 = 200;

/// What an obligation does next, in words.
fn next_step(a: &Alert) -> String {
    let Some(l) = &a.ladder else { return String::new() };
    let human = format!("{} ({}) is told to ring", l.human.name, l.human.number);
    match a.progress.phase {
        Phase::Climbing => match l.rungs.get(a.progress.rung as usize) {
            Some(r) => points_said(&r.points),
            None => human,
        },
        Phase::Ringing => format!("{human} again"),
        Phase::Acting => "asked again, unless their part stands in the response plan".to_owned(),
        Phase::Untracked | Phase::Settled => String::new(),
    }
}

/// Who was tried and how, without a number or address.
fn points_said(points: &[ContactPoint]) -> String {
    let mut said: Vec<String> = Vec::new();
    for p in points {
        let by = match p.channel {
            Channel::Email => "e-mail",
            Channel::Webhook => "their system",
            Channel::Sms => "text",
            Channel::Voice => "call",
        };
        let one = if p.who.is_empty() { by.to_owned() } else { format!("{} ({by})", p.who) };
        if !said.contains(&one) {
            said.push(one);
        }
    }
    if said.is_empty() { "nobody (no contact point)".to_owned() } else { said.join(", ") }
}

fn people(list: &[crate::domain::event::Person]) -> String {
    list.iter()
        .map(
            |p| if p.role.is_empty() { p.name.clone() } else { format!("{} ({})", p.name, p.role) },
        )
        .collect::<Vec<_>>()
        .join(", ")
}
