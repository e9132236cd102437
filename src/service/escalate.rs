//! Steps that are due. Each is an event of its case, committed with the messages it sends, under
//! the version it was decided on: two nodes that step at once, or one that was frozen, cannot both.

use super::Service;
use super::error::ServiceError;
use crate::auth::policy::Caller;
use crate::domain::case::{self, CaseState, Context};
use crate::domain::id::{AlertId, CaseId};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a look at one case led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escalated {
    Stepped,
    /// Somebody else had done it, or it was not yet time.
    Nothing,
}

impl Service {
    /// Takes every step of a case that is due.
    ///
    /// # Errors
    /// The case cannot be read, or nothing can be stored.
    pub async fn escalate(&self, case: CaseId) -> Result<Escalated, ServiceError> {
        if self.is_over_with_first(case).await? {
            return Ok(Escalated::Stepped);
        }
        let hurried = self.store.hurried(case).await?;
        let now = self.now();
        let decide = |s: &CaseState, _: &mut Context<'_>| {
            // Only while that step is still the last: if another node has taken the next one since
            // the look, its messages are on their way and nothing hurries.
            let still = |(id, steps): &(uuid::Uuid, i64)| {
                let id = AlertId(*id);
                let same = s.alerts.get(&id).is_some_and(|a| i64::from(a.steps) == *steps);
                same.then_some(id)
            };
            let hurried: BTreeSet<AlertId> = hurried.iter().filter_map(still).collect();
            Ok(case::escalate(s, now, &hurried))
        };
        let none = BTreeSet::new();
        let (done, _) =
            self.decide(&Caller::operator(), case, None, &none, decide, |_| Value::Null).await?;
        if done.unchanged {
            // The table said that something was due and the journal says not: it is the journal
            // that counts.
            self.store.align(&done.state).await?;
            return Ok(Escalated::Nothing);
        }
        Ok(Escalated::Stepped)
    }

    /// A second account whose first case's response is over climbs no further: it is ended instead.
    async fn is_over_with_first(&self, case: CaseId) -> Result<bool, ServiceError> {
        let row = self.store.case_row(case).await?;
        let Some(first) = row.and_then(|r| r.account_of) else { return Ok(false) };
        let Some(first) = self.store.load(CaseId(first)).await? else { return Ok(false) };
        let Some(account) = self.store.load(case).await? else { return Ok(false) };
        // What had ended before they were merged was decided without this report: it calls on.
        if !case::ended_since(&first.state, &account.state) {
            return Ok(false);
        }
        self.over_with(&Caller::operator(), &first.state, case).await
    }

    /// Puts next steps right that are missing or impossibly far ahead. Whether any was.
    ///
    /// # Errors
    /// The case cannot be read, or nothing can be stored.
    pub async fn mend(&self, case: CaseId) -> Result<bool, ServiceError> {
        let now = self.now();
        let decide = |s: &CaseState, _: &mut Context<'_>| Ok(case::mend(s, now));
        let none = BTreeSet::new();
        let (done, _) =
            self.decide(&Caller::operator(), case, None, &none, decide, |_| Value::Null).await?;
        self.store.align(&done.state).await?;
        Ok(!done.unchanged)
    }

    /// Cases of which something is due at `now`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn cases_due(
        &self,
        now: DateTime<Utc>,
        most: i64,
    ) -> Result<Vec<CaseId>, ServiceError> {
        Ok(self.store.cases_due(now, most).await?.into_iter().map(CaseId).collect())
    }
}
