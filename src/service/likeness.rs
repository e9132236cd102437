//! Cases that may be about one death. While a notification is taken in, only those with its NHS
//! number are looked for; all others once it is stored, and again whenever a case changes. Looking
//! never fails a notification and never holds it up.

use super::Service;
use super::error::ServiceError;
use super::notify::spoken;
use super::outbox::Handover;
use crate::config::OnArrival;
use crate::domain::alert::AlertState;
use crate::domain::case::{self, CaseState, Joining, Report};
use crate::domain::event::Event;
use crate::domain::facts::Facts;
use crate::domain::id::{AlertId, CaseId, Reference};
use crate::domain::jar::Decision;
use crate::domain::likeness::{self, Likeness, Traits, Verdict};
use crate::store::Kin;
use crate::store::changes::ChangeSet;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use std::collections::{BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::sync::mpsc;

/// Cases compared at most, the likeliest first.
const MOST: i64 = 50;
/// How long a notification waits for the look; after that it is a case of its own, and the pair is
/// found later.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long one case is compared behind the scenes.
const LONG_PATIENCE: Duration = Duration::from_secs(30);
/// Changed cases looked at again in one go.
const AT_ONCE: i64 = 100;

/// A case that is alike.
#[derive(Clone, Debug)]
pub(super) struct Alike {
    pub case: CaseId,
    pub area: String,
    pub likeness: Likeness,
    pub seen: String,
}

/// A new report taken into its first case, ready to be committed with the report itself.
pub(super) struct Joined {
    pub first: CaseState,
    pub set: ChangeSet,
    pub handover: Handover,
    pub reason: String,
}

/// Takes notifications that are stored and not compared yet.
pub type Arrivals = Option<mpsc::Sender<CaseId>>;

/// Where the look at changed cases has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    pub at: DateTime<Utc>,
    pub case: uuid::Uuid,
}

/// Within the time that a notification may wait, and whatever happens inside: whether a report is a
/// second one must never cost the report.
async fn in_bounds<T>(patience: Duration, look: impl Future<Output = T>) -> Option<T> {
    match tokio::time::timeout(patience, AssertUnwindSafe(look).catch_unwind()).await {
        Ok(Ok(looked)) => Some(looked),
        Ok(Err(_)) => {
            tracing::error!("the look for second reports broke; the case stands for itself");
            None
        }
        Err(_) => {
            tracing::warn!("the look for second reports took too long; the case stands for itself");
            None
        }
    }
}

impl Service {
    /// Cases that may be about the same death as these facts, whatever their area.
    pub(super) async fn alike(
        &self,
        facts: &Facts,
        besides: Option<CaseId>,
    ) -> Result<Vec<Alike>, ServiceError> {
        let mine = Traits::of(facts);
        let wanted = mine.wanted();
        self.alike_by(&mine, &wanted, besides).await
    }

    /// Those of them that share one of these keys.
    async fn alike_by(
        &self,
        mine: &Traits,
        keys: &[(&'static str, String)],
        besides: Option<CaseId>,
    ) -> Result<Vec<Alike>, ServiceError> {
        let digests = self.store.key_digests(keys);
        let mut out = Vec::new();
        let mut had: HashSet<uuid::Uuid> = besides.into_iter().map(|c| c.0).collect();
        for found in self.store.kin(&digests, besides, MOST).await? {
            // What is like an account is like the case that it is an account of.
            let kin = match found.account_of {
                Some(first) => match self.store.as_kin(CaseId(first)).await? {
                    Some(k) => k,
                    None => continue,
                },
                None => found,
            };
            if !had.insert(kin.id) {
                continue;
            }
            let Some(theirs) = self.readable(&kin) else { continue };
            let theirs = Traits::of(&theirs);
            let likeness = likeness::compare(mine, &theirs);
            if likeness.verdict > Verdict::Different {
                let seen = self.store.seen(mine, &theirs);
                out.push(Alike { case: CaseId(kin.id), area: kin.area, likeness, seen });
            }
        }
        Ok(out)
    }

    /// The facts of a case; none if it has none any more, or if they cannot be read, which must not
    /// keep those beside it from being compared.
    fn readable(&self, kin: &Kin) -> Option<Facts> {
        self.store.facts_of_kin(kin).unwrap_or_else(|e| {
            tracing::error!(case = %kin.id, error = %e, "a case cannot be compared");
            None
        })
    }

    /// Cases with the NHS number of a notification that is being taken in: only they can be certain
    /// enough to change what it does. Within a time, and without failing. All others that are alike
    /// are looked for once it is safe ([`Service::has_arrived`]).
    pub(super) async fn same_number(&self, facts: &Facts) -> Vec<Alike> {
        let mine = Traits::of(facts);
        let numbers = mine.numbers();
        if self.duplicates == OnArrival::Off || numbers.is_empty() {
            return Vec::new();
        }
        match in_bounds(PATIENCE, self.alike_by(&mine, &numbers, None)).await {
            Some(Ok(found)) => found,
            Some(Err(e)) => {
                tracing::warn!(error = %e, "no look for second reports; the notification stands for itself");
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// A stored notification is to be compared with all that is like it. In a rush it waits for the
    /// look at cases that changed.
    pub(super) fn has_arrived(&self, id: CaseId) {
        if let Some(arrivals) = &self.arrivals {
            let _ = arrivals.try_send(id);
        }
    }

    /// The one case of the area that a new report is certainly about; none if two are, or a person
    /// has to look.
    pub(super) fn certain<'a>(&self, area: &str, alike: &'a [Alike]) -> Option<&'a Alike> {
        if self.duplicates != OnArrival::Attach {
            return None;
        }
        let mut same = alike.iter().filter(|a| a.likeness.verdict == Verdict::Same);
        let only = same.next()?;
        (same.next().is_none() && only.area == area).then_some(only)
    }

    /// Takes a new report into its first case; nothing if that cannot be done without a person.
    pub(super) async fn join(
        &self,
        first: &Alike,
        (id, reference): (CaseId, &Reference),
        events: &[Event],
        actor: &str,
    ) -> Option<Joined> {
        match in_bounds(PATIENCE, self.try_join(first, id, reference, events, actor)).await {
            Some(Ok(joined)) => joined,
            Some(Err(e)) => {
                tracing::warn!(error = %e, "a second report could not be attached; it stands for itself");
                None
            }
            None => None,
        }
    }

    async fn try_join(
        &self,
        alike: &Alike,
        id: CaseId,
        reference: &Reference,
        events: &[Event],
        actor: &str,
    ) -> Result<Option<Joined>, ServiceError> {
        let Some(loaded) = self.store.load(alike.case).await? else { return Ok(None) };
        if !case::takes_accounts(&loaded.state) {
            return Ok(None);
        }
        let Some((facts, standing)) = told(events) else { return Ok(None) };
        // What was found may have changed since.
        let now_alike = likeness::compare(&Traits::of(facts), &Traits::of(&loaded.state.facts));
        if now_alike.verdict != Verdict::Same {
            return Ok(None);
        }
        let lost = self.lost(alike.case).await?;
        let now = self.now().max(loaded.state.changed_at);
        let reason = format!("{}, and nothing differs", now_alike.agrees.join(", "));
        let report = Report { case: id, reference, facts, standing, agencies: Vec::new() };
        let how = Joining { by: None, reason: reason.clone(), now, lost };
        let area = loaded.state.area.clone();
        let state = &loaded.state;
        let events = self.with_context(&area, now, &BTreeSet::new(), |ctx| {
            case::attach(state, report, &how, ctx)
        })?;
        let planned = spoken(&events);
        let (mut set, first) = self.store.continue_case(loaded, events, actor, now)?;
        let handover = self.plan_messages(&mut set, &first, &planned, self.now());
        Ok(Some(Joined { first, set, handover, reason }))
    }

    /// Alerts of a case of which nothing is left to try.
    pub(super) async fn lost(&self, case: CaseId) -> Result<BTreeSet<AlertId>, ServiceError> {
        let over = [AlertState::Failed, AlertState::NoContact, AlertState::Expired];
        let rows = self.store.alerts(case).await?;
        let lost = rows.iter().filter(|a| over.iter().any(|s| s.word() == a.state));
        Ok(lost.map(|a| AlertId(a.id)).collect())
    }

    /// What a new case writes down of those it is like. A pair belongs to the later of the two.
    pub(super) fn found(id: CaseId, alike: &[Alike]) -> Vec<Event> {
        let earlier = alike.iter().filter(|a| a.case < id);
        earlier.map(|a| case::likeness_found(a.case, &a.likeness, a.seen.clone())).collect()
    }

    /// Looks again at cases that changed after `from` and before `until`, and writes down what is
    /// alike and was not known to be: two reports that came at once, a name that became known.
    /// `from` is where it has come to, also when it fails.
    ///
    /// # Errors
    /// The database failed.
    pub async fn look_again(
        &self,
        from: &mut Looked,
        until: DateTime<Utc>,
    ) -> Result<(), ServiceError> {
        for (id, at) in self.store.changed_since(from.at, from.case, until, AT_ONCE).await? {
            match self.look_at(CaseId(id)).await {
                Ok(()) => {}
                // The same may go well in the next round.
                Err(e @ (ServiceError::Unavailable(_) | ServiceError::Busy)) => return Err(e),
                // A case that cannot be read must not keep all after it from being compared.
                Err(e) => tracing::error!(case = %id, error = %e, "a case cannot be compared"),
            }
            *from = Looked { at, case: id };
        }
        Ok(())
    }

    /// Compares a case with those like it, and writes down what was not known.
    ///
    /// # Errors
    /// The database failed.
    pub async fn look_at(&self, id: CaseId) -> Result<(), ServiceError> {
        // A case that breaks it must not keep others from being compared.
        in_bounds(LONG_PATIENCE, self.try_look_at(id)).await.unwrap_or(Ok(()))
    }

    async fn try_look_at(&self, id: CaseId) -> Result<(), ServiceError> {
        let Some(kin) = self.store.as_kin(id).await? else { return Ok(()) };
        if kin.account_of.is_some() {
            return Ok(());
        }
        let Some(facts) = self.store.facts_of_kin(&kin)? else { return Ok(()) };
        let mut alike = self.alike(&facts, Some(id)).await?;
        self.gone(id, &facts, &mut alike).await?;
        for a in alike {
            if self.is_known(id, &a).await? {
                continue;
            }
            let (later, earlier) = (id.max(a.case), id.min(a.case));
            let event = case::likeness_found(earlier, &a.likeness, a.seen.clone());
            self.write_down(later, event).await?;
        }
        Ok(())
    }

    /// Pairs that wait for a person and are not alike any more.
    async fn gone(
        &self,
        id: CaseId,
        facts: &Facts,
        alike: &mut Vec<Alike>,
    ) -> Result<(), ServiceError> {
        let mine = Traits::of(facts);
        for row in self.store.waiting_pairs_of(id).await? {
            let other = CaseId(if row.case_id == id.0 { row.other_id } else { row.case_id });
            if alike.iter().any(|a| a.case == other) {
                continue;
            }
            let Some(kin) = self.store.as_kin(other).await? else { continue };
            if kin.account_of.is_some() {
                continue;
            }
            let Some(theirs) = self.readable(&kin) else { continue };
            let theirs = Traits::of(&theirs);
            let likeness = likeness::compare(&mine, &theirs);
            let seen = self.store.seen(&mine, &theirs);
            alike.push(Alike { case: other, area: kin.area, likeness, seen });
        }
        Ok(())
    }

    async fn is_known(&self, id: CaseId, a: &Alike) -> Result<bool, ServiceError> {
        let row = self.store.pair(id, a.case).await?;
        Ok(row.is_some_and(|r| {
            let word = a.likeness.verdict.word();
            // A person's decision stands until what it was about has changed.
            if r.decided.is_empty() {
                r.verdict == word
            } else {
                r.seen == a.seen || r.verdict == word
            }
        }))
    }

    /// Writes an event of the service itself into a case.
    pub(super) async fn write_down(&self, id: CaseId, event: Event) -> Result<(), ServiceError> {
        let caller = crate::auth::policy::Caller::operator();
        let decide = |_: &CaseState, _: &mut case::Context<'_>| Ok(vec![event.clone()]);
        let none = BTreeSet::new();
        self.decide(&caller, id, None, &none, decide, |_| serde_json::Value::Null).await?;
        Ok(())
    }
}

/// What a new report says, and what stands for it alone.
fn told(events: &[Event]) -> Option<(&Facts, Decision)> {
    let facts = events.iter().find_map(|e| match e {
        Event::NotificationReceived { facts, .. } => Some(&**facts),
        _ => None,
    })?;
    let standing = events.iter().find_map(|e| match e {
        Event::JarAssessed { standing, .. } => Some(*standing),
        _ => None,
    })?;
    Some((facts, standing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_that_breaks_or_hangs_costs_the_look_only() {
        let soon = Duration::from_millis(50);
        assert_eq!(in_bounds(PATIENCE, async { 7 }).await, Some(7));
        assert_eq!(in_bounds(soon, std::future::pending::<u8>()).await, None);
        #[allow(clippy::panic)] // what it is about
        let broken = async { if true { panic!("a look that breaks") } else { 7_u8 } };
        assert_eq!(in_bounds(PATIENCE, broken).await, None);
    }
}
