//! Changes to a case that exists: load, decide, commit; again if somebody else was quicker.

use super::answer::short;
use super::error::{ServiceError, invalid};
use super::notify::{jar_json, spoken};
use super::{Answer, Idempotency, Service};
use crate::auth::policy::{Action, Caller, Who};
use crate::domain::alert::AlertState;
use crate::domain::case::{self, CaseState, Context, Edit, Refusal};
use crate::domain::event::{Event, Person, Recorded};
use crate::domain::facts::{Amendment, Facts};
use crate::domain::history;
use crate::domain::id::{AlertId, CaseId, Reference};
use crate::domain::intake::{self, Need};
use crate::domain::milestone::Record;
use crate::domain::reading;
use crate::domain::ready::{blockers, stage};
use crate::store::CommitError;
use crate::store::changes::{AnswerRow, ChangeSet};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How often a change is tried when others change the same case.
const TRIES: u64 = 40;

/// A change as asked for, beside the caller and the case.
#[derive(Clone, Debug)]
pub enum Wish {
    Amend(Box<AmendmentRequest>),
    DecideJar(JarDecision),
    Withdraw {
        reason: String,
    },
    /// An agency's part of the response.
    Plan {
        agency: String,
        person: Person,
        entry: String,
    },
    Milestone {
        record: Record,
        note: String,
    },
}

#[derive(Clone, Debug)]
pub struct AmendmentRequest {
    /// A partial notification body.
    pub facts: Value,
    pub how: Amendment,
    pub reason: String,
    /// Fields that are not known after all.
    pub not_known: Vec<String>,
    /// The version of the case that the writer had before their eyes. A correction of a field that
    /// somebody else changed since is refused.
    pub version: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct JarDecision {
    /// Stand down, or (false) call a response.
    pub stand_down: bool,
    pub reason: String,
    pub consulted: Vec<Person>,
    /// Falls back to whoever is signed in.
    pub decided_by: Option<Person>,
}

/// Keyed digests of an idempotency key and of the body it came with.
type Digests = (Vec<u8>, Vec<u8>);

/// What a change led to.
#[derive(Debug)]
pub struct Decided {
    pub state: CaseState,
    /// Nothing was new.
    pub unchanged: bool,
    set: ChangeSet,
}

impl Service {
    /// Amends facts, decides about the response, or records a step.
    ///
    /// # Errors
    /// Not found, not allowed, refused by the rules, or not storable.
    pub async fn change(
        &self,
        caller: &Caller,
        reference: &Reference,
        wish: Wish,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, ServiceError> {
        let action = match wish {
            Wish::DecideJar(_) => Action::DecideJar,
            Wish::Withdraw { .. } => Action::Withdraw,
            Wish::Plan { .. } => Action::EnterPlan,
            Wish::Amend(_) | Wish::Milestone { .. } => Action::ChangeCase,
        };
        let id = self.find(caller, reference, action).await?;
        let what = format!("{}/{reference}", wish.name());
        let digests = idempotency.map(|i| self.digests(caller, &what, &i));
        if let Some((key, body)) = &digests
            && let Some(answer) = self.answered(key, body).await?
        {
            return Ok(answer);
        }
        let mut warnings = Vec::new();
        let seen = match &wish {
            Wish::Amend(a) => a.version,
            _ => None,
        };
        let mut wish = self.prepared(caller, wish, &mut warnings)?;
        if let (Prepared::Amend(edit), Some(version)) = (&mut wish, seen) {
            edit.base = Some(facts_at(&self.store.history(id).await?, version)?);
        }
        let now = self.now();
        let decide = |state: &CaseState, ctx: &mut Context<'_>| wish.events(state, now, ctx);
        let answer = |d: &Decided| {
            let held = intake::review(&d.state.facts, now).unwrap_or_default();
            let more = held.into_iter().filter(|w| !warnings.contains(w));
            summary(d, &warnings.iter().cloned().chain(more).collect::<Vec<_>>())
        };
        let opened = self.opened(id, &wish).await?;
        let decided = self.decide(caller, id, digests.as_ref(), &opened, decide, answer).await;
        match decided {
            Ok((d, body)) => {
                self.plan_of_accounts(caller, &d.state, &wish).await;
                if matches!(wish, Prepared::DecideJar { .. } | Prepared::Withdraw { .. }) {
                    self.over_on_accounts(caller, &d.state).await;
                }
                let body = body.unwrap_or_else(|| answer(&d).to_string());
                Ok(Answer { status: 200, body, repeated: false })
            }
            // Refused because the same request was just carried out: then its answer is ours.
            Err(e @ (ServiceError::Busy | ServiceError::Refused(_))) => match &digests {
                Some((key, body)) => self.answered(key, body).await?.ok_or(e),
                None => Err(e),
            },
            Err(e) => Err(e),
        }
    }

    /// An agency's part counts for what it was asked on a second account too: or it would be asked
    /// again. If that fails it is, which harms nobody.
    async fn plan_of_accounts(&self, caller: &Caller, s: &CaseState, wish: &Prepared) {
        let Prepared::Plan { agency, person, entry } = wish else { return };
        for account in s.accounts.held.iter().filter(|a| a.agencies.contains(agency)) {
            let decide = |s: &CaseState, _: &mut Context<'_>| {
                case::enter_plan(s, agency, person.clone(), entry.clone())
            };
            let none = BTreeSet::new();
            let done = self.decide(caller, account.case, None, &none, decide, |_| Value::Null);
            if let Err(e) = done.await {
                tracing::warn!(error = %e, "a plan was not entered on a second account");
            }
        }
    }

    /// The response is over: also for those whom a second account had called by itself. If that
    /// fails, the next step of its ladders makes it good.
    async fn over_on_accounts(&self, caller: &Caller, first: &CaseState) {
        for account in &first.accounts.held {
            if let Err(e) = self.over_with(caller, first, account.case).await {
                tracing::error!(error = %e, "a second account was not told that the response is over");
            }
        }
    }

    /// Ends what a second account still calls for when its first case's response is over. Whether
    /// there was anything.
    pub(super) async fn over_with(
        &self,
        caller: &Caller,
        first: &CaseState,
        account: CaseId,
    ) -> Result<bool, ServiceError> {
        let opened = self.opened_alerts(account).await?;
        let decide = |s: &CaseState, ctx: &mut Context<'_>| Ok(case::over_with(first, s, ctx));
        let done = self.decide(caller, account, None, &opened, decide, |_| Value::Null).await?;
        Ok(!done.0.unchanged)
    }

    async fn opened_alerts(&self, id: CaseId) -> Result<BTreeSet<AlertId>, ServiceError> {
        let rows = self.store.alerts(id).await?;
        let opened = rows.iter().filter(|a| a.state == AlertState::Opened.word());
        Ok(opened.map(|a| AlertId(a.id)).collect())
    }

    /// Alerts of a case that somebody has opened, where a wish recalls any.
    async fn opened(&self, id: CaseId, wish: &Prepared) -> Result<BTreeSet<AlertId>, ServiceError> {
        if !matches!(wish, Prepared::DecideJar { .. } | Prepared::Withdraw { .. }) {
            return Ok(BTreeSet::new());
        }
        self.opened_alerts(id).await
    }

    /// The one loop behind every change.
    pub(super) async fn decide(
        &self,
        caller: &Caller,
        id: CaseId,
        digests: Option<&Digests>,
        opened: &BTreeSet<AlertId>,
        decide: impl Fn(&CaseState, &mut Context<'_>) -> Result<Vec<Event>, Refusal>,
        answer: impl Fn(&Decided) -> Value,
    ) -> Result<(Decided, Option<String>), ServiceError> {
        for n in 0..TRIES {
            if n > 0 {
                // Out of step with the others who change this case.
                let wait = u64::from(fastrand::u8(1..20)) * n.min(8);
                tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
            }
            let loaded = self.store.load(id).await?.ok_or(ServiceError::NotFound)?;
            let now = self.now().max(loaded.state.changed_at);
            let area = loaded.state.area.clone();
            let events = self.with_context(&area, now, opened, |ctx| decide(&loaded.state, ctx))?;
            if events.is_empty() {
                let decided =
                    Decided { state: loaded.state, unchanged: true, set: ChangeSet::default() };
                let body = answer(&decided).to_string();
                // The key is used up all the same: with another body it must not act.
                if let Some(row) = AnswerRow::of(digests, Some(id.0), 200, &body, now) {
                    let set = ChangeSet { answers: vec![row], ..ChangeSet::default() };
                    match self.store.commit(set).await {
                        Ok(()) => {}
                        Err(CommitError::Conflict) => return Err(ServiceError::Busy),
                        Err(e) => return Err(e.into()),
                    }
                }
                return Ok((decided, Some(body)));
            }
            let planned = spoken(&events);
            let (mut set, state) =
                self.store.continue_case(loaded, events, &caller.actor(), now)?;
            // By the clock, not by the case's last entry: after a clock was set back, that lies ahead,
            // and so would the messages and their leases.
            let handover = self.plan_messages(&mut set, &state, &planned, self.now());
            let mut decided = Decided { state, unchanged: false, set };
            let body = digests.map(|_| answer(&decided).to_string());
            let mut set = decided.set.clone();
            let kept = |b: &String| AnswerRow::of(digests, Some(id.0), 200, b, now);
            set.answers.extend(body.as_ref().and_then(kept));
            match self.commit(set, handover).await {
                Ok(()) => {
                    decided.set.entries.clear();
                    return Ok((decided, body));
                }
                Err(CommitError::Conflict) => {
                    if let Some((key, digest)) = digests
                        && self.answered(key, digest).await?.is_some()
                    {
                        return Err(ServiceError::Busy);
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
        Err(ServiceError::Busy)
    }

    /// Checks a wish before any case is loaded.
    fn prepared(
        &self,
        caller: &Caller,
        wish: Wish,
        warnings: &mut Vec<intake::Warning>,
    ) -> Result<Prepared, ServiceError> {
        Ok(match wish {
            Wish::Amend(a) => {
                let accepted = intake::read(a.facts, Need::Nothing, self.now())
                    .map_err(ServiceError::Invalid)?;
                warnings.extend(accepted.warnings);
                let mut patch = accepted.facts;
                take_back(&mut patch, &a.not_known)?;
                let mut edit = Edit { reason: a.reason, ..Edit::default() };
                match a.how {
                    Amendment::Correction => edit.corrections = patch,
                    Amendment::FurtherAccount => edit.accounts = patch,
                }
                Prepared::Amend(Box::new(edit))
            }
            Wish::DecideJar(d) => {
                if d.reason.trim().is_empty() {
                    return Err(invalid("reason", "required", "say why"));
                }
                if !d.consulted.iter().any(|p| !p.name.trim().is_empty()) {
                    return Err(invalid(
                        "consulted",
                        "required",
                        "name at least one person you consulted",
                    ));
                }
                let decided_by = match (d.decided_by, &caller.who) {
                    (Some(p), _) if !p.name.trim().is_empty() => p,
                    (_, Who::Person { name, role, .. }) => Person {
                        name: name.clone(),
                        role: role.word().to_owned(),
                        agency: caller.agency.clone().unwrap_or_default(),
                    },
                    _ => return Err(invalid("decided_by.name", "required", "say who decided")),
                };
                Prepared::DecideJar { d: JarDecision { decided_by: None, ..d }, decided_by }
            }
            Wish::Withdraw { reason } => {
                if reason.trim().is_empty() {
                    return Err(invalid("reason", "required", "say why it is withdrawn"));
                }
                short("reason", &reason, 2000)?;
                Prepared::Withdraw { reason, decided_by: signed_in(caller) }
            }
            Wish::Plan { agency, mut person, entry } => {
                if entry.trim().is_empty() {
                    return Err(invalid("entry", "required", "say what your agency does"));
                }
                short("entry", &entry, 2000)?;
                short("person.name", &person.name, 200)?;
                if caller.agency.as_ref().is_some_and(|own| *own != agency) {
                    return Err(ServiceError::NotFound);
                }
                if person.name.trim().is_empty() {
                    person = signed_in(caller);
                }
                Prepared::Plan { agency, person, entry }
            }
            Wish::Milestone { record, note } => {
                if record.category.is_some_and(|c| !(1..=10).contains(&c)) {
                    return Err(invalid("category", "not_in_list", "must be 1 to 10"));
                }
                Prepared::Milestone { record, note }
            }
        })
    }
}

/// Says of fields that they are not known after all.
///
/// # Errors
/// There is no such field, or the same body gives a value for it.
pub(super) fn take_back(patch: &mut Facts, fields: &[String]) -> Result<(), ServiceError> {
    let given = reading::readings(patch);
    for f in fields {
        if !reading::FIELDS.contains(&f.as_str()) {
            let why = "names a field that there is not; name fields like child.date_of_birth";
            return Err(invalid("not_known", "not_in_list", why));
        }
        if given.get(f).is_some_and(|r| r.value.is_some()) {
            return Err(invalid(f, "contradiction", "is given and taken back at once"));
        }
        patch.not_known.insert(f.clone());
    }
    Ok(())
}

/// The facts of a case as they stood at one of its versions.
///
/// # Errors
/// It has no such version.
pub(super) fn facts_at(
    history: &[(Recorded, String)],
    version: i64,
) -> Result<Facts, ServiceError> {
    let last = i64::try_from(history.len()).unwrap_or(i64::MAX);
    if !(1..=last).contains(&version) {
        return Err(invalid("version", "no_such_version", "is no version of this case"));
    }
    Ok(history::facts_at(history, version))
}

/// Whoever is signed in, as somebody by name.
pub(super) fn signed_in(caller: &Caller) -> Person {
    let agency = caller.agency.clone().unwrap_or_default();
    match &caller.who {
        Who::Person { name, role, .. } => {
            Person { name: name.clone(), role: role.word().to_owned(), agency }
        }
        Who::Machine { name, .. } => Person { name: name.clone(), agency, ..Person::default() },
        Who::Public => Person::default(),
        Who::Operator => Person { name: "operator".to_owned(), ..Person::default() },
    }
}

enum Prepared {
    Amend(Box<Edit>),
    DecideJar { d: JarDecision, decided_by: Person },
    Withdraw { reason: String, decided_by: Person },
    Plan { agency: String, person: Person, entry: String },
    Milestone { record: Record, note: String },
}

impl Prepared {
    fn events(
        &self,
        s: &CaseState,
        now: DateTime<Utc>,
        ctx: &mut Context<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        match self {
            Self::Amend(edit) => case::edit(s, edit, now, ctx),
            Self::DecideJar { d, decided_by } => {
                let (why, who) = (d.reason.clone(), d.consulted.clone());
                if d.stand_down {
                    case::stand_down(s, why, who, decided_by.clone(), ctx)
                } else {
                    case::call_jar(s, why, who, decided_by.clone(), ctx)
                }
            }
            Self::Withdraw { reason, decided_by } => {
                case::withdraw(s, reason.clone(), decided_by.clone(), ctx)
            }
            Self::Plan { agency, person, entry } => {
                case::enter_plan(s, agency, person.clone(), entry.clone())
            }
            Self::Milestone { record, note } => {
                Ok(case::record_milestone(s, record.clone(), note.clone()))
            }
        }
    }
}

impl Wish {
    /// What an idempotency key is bound to, beside the case.
    fn name(&self) -> &'static str {
        match self {
            Self::Amend(_) => "amend",
            Self::DecideJar(_) => "decide_jar",
            Self::Withdraw { .. } => "withdraw",
            Self::Plan { .. } => "plan",
            Self::Milestone { .. } => "milestone",
        }
    }
}

fn summary(d: &Decided, warnings: &[intake::Warning]) -> Value {
    let s = &d.state;
    let alerts: Vec<Value> = d
        .set
        .alerts
        .iter()
        .map(|a| json!({ "id": a.id, "agency": a.agency, "kind": a.kind, "state": a.state }))
        .collect();
    json!({
        "reference": s.reference,
        "case_id": s.id,
        "changed": !d.unchanged,
        "at": DateTime::<Utc>::to_rfc3339(&s.changed_at),
        "version": s.version,
        "stage": stage(s).word(),
        "in_scope": s.scope.in_scope,
        "scope_reason": s.scope.reason,
        "standing": s.standing.word(),
        "jar": jar_json(&s.assessment),
        "blockers": blockers(s),
        "warnings": warnings,
        "alerts": alerts,
    })
}
