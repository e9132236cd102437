//! Two cases of one death made one by a person, and parted again; and changes that belong to both a
//! second account and its first case. Both get their events in one commit.

use super::Service;
use super::answer::short;
use super::change::signed_in;
use super::error::{ServiceError, invalid};
use super::notify::spoken;
use crate::auth::policy::{Action, Caller};
use crate::domain::case::{self, CaseState, Context, Joining, Refusal};
use crate::domain::event::{Event, Recorded, Settled};
use crate::domain::facts::{Amendment, Facts};
use crate::domain::id::{AlertId, CaseId, Reference};
use crate::domain::likeness::Traits;
use crate::store::CommitError;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeSet;

/// How often it is tried when others change the same cases.
const TRIES: u64 = 40;

/// Events for the first case and for the second.
type Both = (Vec<Event>, Vec<Event>);

impl Service {
    /// Makes `second` an account of `first`.
    ///
    /// # Errors
    /// Either not found or not the caller's, no reason, or one of them cannot be merged.
    pub async fn merge(
        &self,
        caller: &Caller,
        first: &Reference,
        second: &Reference,
        reason: &str,
    ) -> Result<(), ServiceError> {
        let (a, b) = self.two(caller, first, second, Action::Merge).await?;
        let reason = reasoned(reason)?;
        let by = signed_in(caller);
        self.decide_both(caller, a, b, |first, second, lost, now, ctx| {
            let how =
                Joining { by: Some(by.clone()), reason: reason.clone(), now, lost: lost.clone() };
            case::merge(first, second, &how, ctx)
        })
        .await
    }

    /// Makes an account a case of its own again.
    ///
    /// # Errors
    /// Either not found or not the caller's, no reason, or it is not an account of that case.
    pub async fn unmerge(
        &self,
        caller: &Caller,
        first: &Reference,
        second: &Reference,
        reason: &str,
    ) -> Result<(), ServiceError> {
        let (a, b) = self.two(caller, first, second, Action::Merge).await?;
        let reason = reasoned(reason)?;
        let by = signed_in(caller);
        self.decide_both(caller, a, b, |first, second, lost, now, ctx| {
            let (mut of_first, mut of_second) =
                case::unmerge(first, second, &by, &reason, lost, ctx)?;
            // Whoever parts them says that they are two: they are not offered again as they stand.
            let alone = folded(first, &of_first, now);
            let seen = self.store.seen(&Traits::of(&alone.facts), &Traits::of(&second.facts));
            let (earlier, later) = if a < b { (a, &mut of_second) } else { (b, &mut of_first) };
            let settled = Settled::NotTheSame;
            later.push(case::likeness_settled(earlier, settled, by.clone(), reason.clone(), seen));
            Ok((of_first, of_second))
        })
        .await
    }

    /// Says of two cases that they are not of the same death, or of twins, siblings, one incident.
    ///
    /// # Errors
    /// Either not found or not the caller's, or no reason.
    pub async fn settle(
        &self,
        caller: &Caller,
        one: &Reference,
        other: &Reference,
        settled: Settled,
        reason: &str,
    ) -> Result<(), ServiceError> {
        let (a, b) = self.two(caller, one, other, Action::Merge).await?;
        let reason = reasoned(reason)?;
        let by = signed_in(caller);
        self.decide_both(caller, a, b, |x, y, _, _, _| {
            if x.accounts.of.is_some() || y.accounts.of.is_some() {
                return Err(Refusal::CannotMerge(
                    "one of the two is a second account: undo that first",
                ));
            }
            if a == b {
                return Err(Refusal::CannotMerge("it is one and the same case"));
            }
            let seen = self.store.seen(&Traits::of(&x.facts), &Traits::of(&y.facts));
            let said = |other| {
                vec![case::likeness_settled(other, settled, by.clone(), reason.clone(), seen)]
            };
            Ok(if a < b { (Vec::new(), said(a)) } else { (said(b), Vec::new()) })
        })
        .await
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
                .decide_both(caller, of.case, id, |first, second, lost, now, ctx| {
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
            let mut set = crate::store::changes::ChangeSet::default();
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
            if handovers.is_empty() {
                return Ok(());
            }
            match self.commit_all(set, handovers).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Conflict) => {}
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
