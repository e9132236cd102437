//! What accounts make of the facts of their first case: taken in, and taken out again as if they had
//! never come.

use crate::domain::event::{Event, Person, SetHow, StoodIn};
use crate::domain::facts::{Amendment, Facts, flatten};
use crate::domain::id::{AlertId, CaseId, Reference};
use crate::domain::reading::{self, Readings};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;

/// Which case is an account of which, as the events of one case say it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accounts {
    /// The case that this one is an account of.
    pub of: Option<AccountOf>,
    /// Accounts of this case.
    pub held: Vec<Account>,
    /// The facts before the first account came, and everything taken in since: without an account
    /// they are what they would be had it never come.
    before: Option<Facts>,
    since: Vec<Telling>,
}

/// Whose account this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountOf {
    pub case: CaseId,
    pub reference: Reference,
    pub at: DateTime<Utc>,
    /// None if it was certain enough to be done without a person.
    pub by: Option<Person>,
    pub reason: String,
    /// Who would have been alerted by this report alone.
    pub told: Vec<StoodIn>,
    /// Alerts that were not followed up any more from then on.
    pub settled: Vec<AlertId>,
}

/// An account of this case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub case: CaseId,
    pub reference: Reference,
    pub at: DateTime<Utc>,
    pub by: Option<Person>,
    pub reason: String,
    /// Agencies that hold alerts of it.
    pub agencies: Vec<String>,
}

/// What was taken in while accounts are held.
#[derive(Clone, Debug, PartialEq)]
enum Telling {
    Amended { account: Option<CaseId>, patch: Box<Facts>, how: Amendment },
    Set { fields: Readings, how: SetHow },
}

impl Telling {
    fn is_of(&self, account: CaseId) -> bool {
        matches!(self, Self::Amended { account: Some(a), .. } if *a == account)
    }

    fn onto(&self, held: &Facts) -> Facts {
        match self {
            Self::Amended { patch, how, .. } => held.amended(patch, *how).0,
            Self::Set { fields, .. } => reading::with(held, fields),
        }
    }

    /// What was put, without what only this account had said: a choice of a person stands, but
    /// putting a field back as it was must not keep words of another child's report.
    fn without(&self, said: &BTreeMap<String, Vec<Value>>) -> Self {
        let Self::Set { fields, how } = self else { return self.clone() };
        let mut fields = fields.clone();
        for (path, r) in &mut fields {
            let Some(said) = said.get(path) else { continue };
            r.others.retain(|v| !said.contains(v));
            if matches!(how, SetHow::Undo { .. })
                && r.value.as_ref().is_some_and(|v| said.contains(v))
            {
                r.value = (!r.others.is_empty()).then(|| r.others.remove(0));
            }
        }
        Self::Set { fields, how: *how }
    }
}

impl Accounts {
    fn attached(&mut self, account: Account, facts: &Facts) {
        self.before.get_or_insert_with(|| facts.clone());
        self.held.push(account);
    }

    /// Remembers what is taken in while accounts are held.
    fn told(&mut self, telling: Telling) {
        if self.before.is_some() {
            self.since.push(telling);
        }
    }

    /// The facts without an account.
    pub(super) fn without(&self, account: CaseId, facts: &Facts) -> Facts {
        let Some(before) = &self.before else { return facts.clone() };
        let mut said: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut own = flatten(before);
        for t in &self.since {
            let Telling::Amended { patch, .. } = t else { continue };
            if t.is_of(account) {
                for (path, v) in flatten(patch) {
                    said.entry(path).or_default().push(v);
                }
            } else {
                own.extend(flatten(patch));
            }
        }
        // What the case says by itself too is not the account's alone.
        for (path, values) in &mut said {
            values.retain(|v| own.get(path) != Some(v));
        }
        let others = self.since.iter().filter(|t| !t.is_of(account));
        others.fold(before.clone(), |held, t| t.without(&said).onto(&held))
    }

    fn detached(&mut self, account: CaseId, facts: &mut Facts) {
        *facts = self.without(account, facts);
        self.held.retain(|a| a.case != account);
        self.since.retain(|t| !t.is_of(account));
        if self.held.is_empty() {
            self.before = None;
            self.since.clear();
        }
    }
}

/// What an event makes of the facts; the one place that says so, for the case and for the history
/// of its fields.
pub fn facts_after(facts: &mut Facts, accounts: &mut Accounts, at: DateTime<Utc>, event: &Event) {
    match event {
        Event::FactsAmended { patch, how, account, .. } => {
            *facts = facts.amended(patch, *how).0;
            let patch = patch.clone();
            accounts.told(Telling::Amended { account: *account, patch, how: *how });
        }
        Event::FactsSet { fields, how, .. } => {
            *facts = reading::with(facts, fields);
            accounts.told(Telling::Set { fields: fields.clone(), how: *how });
        }
        Event::AccountAttached { account, reference, by, reason, agencies } => {
            let (reference, by) = (reference.clone(), by.clone());
            let (reason, agencies) = (reason.clone(), agencies.clone());
            accounts
                .attached(Account { case: *account, reference, at, by, reason, agencies }, facts);
        }
        Event::AccountDetached { account, .. } => accounts.detached(*account, facts),
        _ => {}
    }
}
