//! Two cases of one death made one by a person, and parted again; and changes that belong to both a
//! second account and its first case. Both get their events in one commit.

use super::answer::short;
use super::change::signed_in;
use super::error::{ServiceError, invalid};
use super::notify::spoken;
use super::{Answer, Idempotency, Service};
use crate::auth::policy::{Action, Caller};
use crate::domain::case::{self, CaseState, Context, Joining, Refusal};
use crate::domain::event::{Event, Person, Recorded, Settled};
use crate::domain::facts::{Amendment, Facts};
use crate::domain::id::{AlertId, CaseId, Reference};
use crate::domain::likeness::Traits;
use crate::store::CommitError;
use crate::store::changes::{AnswerRow, ChangeSet};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How often it is tried when others change the same cases.
const TRIES: u64 = 40;

/// Events for the first case and for the second.
type Both = (Vec<Event>, Vec<Event>);

/// What a person decides of two cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// The second is an account of the first.
    Merge,
    /// It is a case of its own again.
    Unmerge,
    /// They are of two deaths; or of twins, siblings, one incident.
    Settle(Settled),
}

impl Pairing {
    fn word(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Unmerge => "unmerge",
            Self::Settle(Settled::NotTheSame) => "not-the-same",
            Self::Settle(Settled::Related) => "related",
        }
    }
}

impl Service {
    /// Carries out what a person has decided of two cases; the same key and body again give the
    /// first answer.
    ///
    /// # Errors
    /// Either not found or not the caller's, no reason, refused by the rules (they cannot be merged,
    /// or are not merged), or a key used before with another body.
    pub async fn pair(
        &self,
        caller: &Caller,
        first: &Reference,
        second: &Reference,
        pairing: Pairing,
        reason: &str,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, ServiceError> {
        let (a, b) = self.two(caller, first, second, Action::Merge).await?;
        let what = format!("{}/{first}", pairing.word());
        let digests = idempotency.map(|i| self.digests(caller, &what, &i));
        if let Some((key, body)) = &digests
            && let Some(answer) = self.answered(key, body).await?
        {
            return Ok(answer);
        }
        let reason = reasoned(reason)?;
        let by = signed_in(caller);
        let body = json!({ "reference": first, "other": second }).to_string();
        let once = AnswerRow::of(digests.as_ref(), Some(a.0), 200, &body, self.now());
        let decide =
            |x: &CaseState, y: &CaseState, lost: &_, now, ctx: &mut Context<'_>| match pairing {
                Pairing::Merge => {
                    let (by, reason) = (Some(by.clone()), reason.clone());
                    case::merge(
                        x,
                        y,
                        &Joining { by, reason, now, lost: BTreeSet::clone(lost) },
                        ctx,
                    )
                }
                Pairing::Unmerge => self.parted((x, y), &by, &reason, lost, now, ctx),
                Pairing::Settle(settled) => self.settled((x, y), settled, &by, &reason),
            };
        match (self.decide_both(caller, a, b, once, decide).await, &digests) {
            (Ok(()), _) => Ok(Answer { status: 200, body, repeated: false }),
            // Refused because the same request was just carried out: then its answer is ours.
            (Err(e @ (ServiceError::Busy | ServiceError::Refused(_))), Some((key, body))) => {
                self.answered(key, body).await?.ok_or(e)
            }
            (Err(e), _) => Err(e),
        }
    }

    /// Whoever parts two cases says that they are two: they are not offered again as they stand.
    fn parted(
        &self,
        (first, second): (&CaseState, &CaseState),
        by: &Person,
        reason: &str,
        lost: &BTreeSet<AlertId>,
        now: DateTime<Utc>,
        ctx: &mut Context<'_>,
    ) -> Result<Both, Refusal> {
        let (a, b) = (first.id, second.id);
        let (mut of_first, mut of_second) = case::unmerge(first, second, by, reason, lost, ctx)?;
        let alone = folded(first, &of_first, now);
        let seen = self.store.seen(&Traits::of(&alone.facts), &Traits::of(&second.facts));
        let (earlier, later) = if a < b { (a, &mut of_second) } else { (b, &mut of_first) };
        let two = Settled::NotTheSame;
        later.push(case::likeness_settled(earlier, two, by.clone(), reason.to_owned(), seen));
        Ok((of_first, of_second))
    }

    fn settled(
        &self,
        (x, y): (&CaseState, &CaseState),
        settled: Settled,
        by: &Person,
        reason: &str,
    ) -> Result<Both, Refusal> {
        if x.accounts.of.is_some() || y.accounts.of.is_some() {
            return Err(Refusal::CannotMerge(
                "one of the two is a second account: undo that first",
            ));
        }
        if x.id == y.id {
            return Err(Refusal::CannotMerge("it is one and the same case"));
        }
        let seen = self.store.seen(&Traits::of(&x.facts), &Traits::of(&y.facts));
        let said = |other| {
            vec![case::likeness_settled(other, settled, by.clone(), reason.to_owned(), seen)]
        };
        Ok(if x.id < y.id { (Vec::new(), said(x.id)) } else { (said(y.id), Vec::new()) })
    }

    /// Takes further facts from whoever sent a report, which may be a second account by now: then
    /// the first case takes them in as well. Whether anything was new.
    pub(super) async fn told_further(
        &self,
        caller: &Caller,
        id: CaseId,
        patch: &Facts,
        reason: &str,
    ) -> Result<bool, ServiceError> {
        let now = self.now();
        for _ in 0..TRIES {
            let loaded = self.store.load(id).await?.ok_or(ServiceError::NotFound)?;
            let Some(of) = loaded.state.accounts.of else {
                let how = Amendment::FurtherAccount;
                let decide = |s: &CaseState, ctx: &mut Context<'_>| {
                    if s.accounts.of.is_some() {
                        return Err(MOVED);
                    }
                    case::amend(s, patch.clone(), how, reason.to_owned(), now, ctx)
                };
                let none = BTreeSet::new();
                match self.decide(caller, id, None, &none, decide, |_| Value::Null).await {
                    Ok((d, _)) => return Ok(!d.unchanged),
                    Err(ServiceError::Refused(r)) if r == MOVED => continue,
                    Err(e) => return Err(e),
                }
            };
            let new = std::sync::atomic::AtomicBool::new(false);
            let done = self
                .decide_both(caller, of.case, id, None, |first, second, lost, now, ctx| {
                    if second.accounts.of.as_ref().is_none_or(|o| o.case != first.id) {
                        return Err(MOVED);
                    }
                    let why = reason.to_owned();
                    let events = case::amend_account(second, patch.clone(), why, now, ctx)?;
                    new.store(!events.is_empty(), std::sync::atomic::Ordering::Relaxed);
                    let after = folded(second, &events, now);
                    let why = format!("{reason}, {}", second.reference);
                    let taken = case::told_more(first, &after, patch, why, now, lost, ctx)?;
                    Ok((taken, events))
                })
                .await;
            match done {
                Ok(()) => return Ok(new.into_inner()),
                Err(ServiceError::Refused(r)) if r == MOVED => {}
                Err(e) => return Err(e),
            }
        }
        Err(ServiceError::Busy)
    }

    /// The ids of two cases the caller may do this to, each by its own reference: that of a second
    /// account means the account itself.
    pub(super) async fn two(
        &self,
        caller: &Caller,
        one: &Reference,
        other: &Reference,
        action: Action,
    ) -> Result<(CaseId, CaseId), ServiceError> {
        let a = self.open_itself(caller, one, action).await?;
        let b = self.open_itself(caller, other, action).await?;
        Ok((a.id, b.id))
    }

    /// Whether the caller may decide about two cases: asked before a request is even read.
    ///
    /// # Errors
    /// Either not theirs or not there (the same), not allowed anywhere, or the database is away.
    pub async fn check_both(
        &self,
        caller: &Caller,
        one: &Reference,
        other: &Reference,
    ) -> Result<(), ServiceError> {
        self.two(caller, one, other, Action::Merge).await.map(drop)
    }

    /// The loop behind every change of two cases at once.
    async fn decide_both(
        &self,
        caller: &Caller,
        first: CaseId,
        second: CaseId,
        first_answer: Option<AnswerRow>,
        decide: impl Fn(
            &CaseState,
            &CaseState,
            &BTreeSet<AlertId>,
            DateTime<Utc>,
            &mut Context<'_>,
        ) -> Result<Both, Refusal>,
    ) -> Result<(), ServiceError> {
        for n in 0..TRIES {
            if n > 0 {
                let wait = u64::from(fastrand::u8(1..20)) * n.min(8);
                tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
            }
            let a = self.store.load(first).await?.ok_or(ServiceError::NotFound)?;
            let b = self.store.load(second).await?.ok_or(ServiceError::NotFound)?;
            let mut lost = self.lost(first).await?;
            lost.extend(self.lost(second).await?);
            let now = self.now().max(a.state.changed_at).max(b.state.changed_at);
            let area = a.state.area.clone();
            let (of_a, of_b) = self.with_context(&area, now, &BTreeSet::new(), |ctx| {
                decide(&a.state, &b.state, &lost, now, ctx)
            })?;
            let actor = caller.actor();
            let mut set = ChangeSet {
                answers: first_answer.iter().cloned().collect(),
                ..ChangeSet::default()
            };
            let mut handovers = Vec::new();
            for (loaded, events) in [(a, of_a), (b, of_b)] {
                if events.is_empty() {
                    continue;
                }
                let planned = spoken(&events);
                let (mut one, state) = self.store.continue_case(loaded, events, &actor, now)?;
                handovers.push(self.plan_messages(&mut one, &state, &planned, self.now()));
                set.absorb(one);
            }
            if handovers.is_empty() && first_answer.is_none() {
                return Ok(());
            }
            match self.commit_all(set, handovers).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Conflict) => {
                    // The same request was stored meanwhile: its answer is there.
                    if let Some(row) = &first_answer
                        && self.store.answered(&row.digest).await?.is_some()
                    {
                        return Err(ServiceError::Busy);
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
        Err(ServiceError::Busy)
    }
}

/// An account became a case or the other way round while somebody looked: look again.
const MOVED: Refusal = Refusal::CannotMerge("the two cases were parted or merged meanwhile");

fn folded(s: &CaseState, events: &[Event], at: DateTime<Utc>) -> CaseState {
    let mut state = Some(s.clone());
    for event in events {
        state = case::apply(s.id, state, Recorded { at, event: event.clone() });
    }
    state.unwrap_or_else(|| s.clone())
}

fn reasoned(reason: &str) -> Result<String, ServiceError> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(invalid("reason", "required", "say why"));
    }
    short("reason", reason, 2000)?;
    Ok(reason.to_owned())
}
