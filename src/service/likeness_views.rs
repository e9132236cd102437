//! What people see of cases that are alike: the list of pairs, two cases side by side, the accounts
//! of a case. Nobody sees a case here that they could not open.

use super::Service;
use super::error::ServiceError;
use crate::auth::policy::{Action, Caller, Object, Who, may, over_for};
use crate::domain::case::CaseState;
use crate::domain::facts::Facts;
use crate::domain::id::{CaseId, Reference};
use crate::domain::likeness::{self, Traits, Verdict};
use crate::domain::ready::{Stage, stage};
use crate::store::{PairFilter, PairRow};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Pairs on one page.
const MOST: i64 = 100;

/// Two cases that are alike, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Likened {
    /// The case that was asked about, or the later one.
    pub reference: String,
    /// The other.
    pub other: String,
    pub verdict: &'static str,
    pub verdict_label: &'static str,
    pub agrees: Vec<&'static str>,
    pub differs: Vec<&'static str>,
    /// Empty while it waits for a person; `related` once one has said so.
    pub decided: String,
    pub at: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    pub other_received_at: DateTime<Utc>,
}

/// One fact of two cases.
#[derive(Clone, Debug, Serialize)]
pub struct FactLine {
    pub name: String,
    pub one: String,
    pub other: String,
}

/// One of two cases side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    pub reference: String,
    pub received_at: DateTime<Utc>,
    pub stage: &'static str,
    pub standing: &'static str,
    /// Agencies that have not acknowledged yet.
    pub waiting: Vec<String>,
}

/// Two cases side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub one: Side,
    pub other: Side,
    pub verdict: &'static str,
    pub verdict_label: &'static str,
    pub agrees: Vec<&'static str>,
    pub differs: Vec<&'static str>,
    /// Said differently by both.
    pub differ: Vec<FactLine>,
    /// Said by one of them only.
    pub only_one: Vec<FactLine>,
    pub same: Vec<FactLine>,
    pub decided: String,
    /// The first case, if one of the two is an account of the other.
    pub first: Option<String>,
    pub may_merge: bool,
}

/// A second account, as its case's page shows it.
#[derive(Clone, Debug, Serialize)]
pub struct AccountLine {
    pub reference: String,
    pub at: DateTime<Utc>,
    /// Nobody, if it was attached because nothing contradicted it.
    pub by: String,
    pub reason: String,
    pub received_at: Option<DateTime<Utc>>,
    /// Who told of it, and how to call back.
    pub notifier: String,
}

impl Service {
    fn pair_filter(&self, caller: &Caller) -> PairFilter {
        let sees_all = matches!(caller.who, Who::Operator);
        PairFilter {
            areas: self.areas_of(caller),
            open_to: (!sees_all).then(|| (caller.person().unwrap_or_default(), self.now())),
            ..PairFilter::default()
        }
    }

    /// How many pairs of cases wait for somebody to say whether they are of one death.
    ///
    /// # Errors
    /// The database is away.
    pub async fn count_likenesses(&self, caller: &Caller) -> Result<i64, ServiceError> {
        if !may(caller, Action::ListCases, Object::default()) {
            return Ok(0);
        }
        let filter = PairFilter { waiting: true, ..self.pair_filter(caller) };
        Ok(self.store.count_pairs(&filter).await?)
    }

    /// Pairs of cases that wait for a person, the latest found first.
    ///
    /// # Errors
    /// Not allowed, or the database is away.
    pub async fn likenesses(&self, caller: &Caller) -> Result<Vec<Likened>, ServiceError> {
        Self::allow(caller, Action::ListCases, Object::default())?;
        let filter = PairFilter { waiting: true, ..self.pair_filter(caller) };
        self.note(caller, "list_likenesses", None).await?;
        let mut out = Vec::new();
        for row in self.store.pairs(&filter, MOST).await? {
            if !self.is_over_for(caller, &row).await? {
                out.extend(self.likened(&row, CaseId(row.case_id)).await?);
            }
        }
        Ok(out)
    }

    /// Cases that may be of the same death as one, or of a twin, a sibling, one incident.
    ///
    /// # Errors
    /// Not found, not allowed, or the database is away.
    pub async fn likenesses_of(
        &self,
        caller: &Caller,
        reference: &Reference,
    ) -> Result<Vec<Likened>, ServiceError> {
        let id = self.find(caller, reference, Action::ReadCase).await?;
        self.likenesses_of_case(caller, id).await
    }

    /// The same for a case that was opened.
    ///
    /// # Errors
    /// The database is away.
    pub async fn likenesses_of_case(
        &self,
        caller: &Caller,
        id: CaseId,
    ) -> Result<Vec<Likened>, ServiceError> {
        // Who lists no cases sees no other than theirs.
        if !may(caller, Action::ListCases, Object::default()) || caller.agency.is_some() {
            return Ok(Vec::new());
        }
        let filter = PairFilter { case: Some(id), ..self.pair_filter(caller) };
        let mut out = Vec::new();
        for row in self.store.pairs(&filter, MOST).await? {
            if !self.is_over_for(caller, &row).await? {
                out.extend(self.likened(&row, id).await?);
            }
        }
        Ok(out)
    }

    /// Whether either case of a pair is none of the caller's business any more.
    async fn is_over_for(&self, caller: &Caller, row: &PairRow) -> Result<bool, ServiceError> {
        let over = over_for(caller);
        if over.is_empty() {
            return Ok(false);
        }
        for id in [row.case_id, row.other_id] {
            let stands = self.store.case_row(CaseId(id)).await?;
            if stands.is_some_and(|c| over.iter().any(|s| s.word() == c.stage)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A pair as it stands today; none if the two are not alike any more.
    async fn likened(&self, row: &PairRow, of: CaseId) -> Result<Option<Likened>, ServiceError> {
        let other = if row.case_id == of.0 { row.other_id } else { row.case_id };
        let (Some(a), Some(b)) =
            (self.store.as_kin(of).await?, self.store.as_kin(CaseId(other)).await?)
        else {
            return Ok(None);
        };
        let (Some(x), Some(y)) = (self.store.facts_of_kin(&a)?, self.store.facts_of_kin(&b)?)
        else {
            return Ok(None);
        };
        let l = likeness::compare(&Traits::of(&x), &Traits::of(&y));
        if l.verdict == Verdict::Different && row.decided.is_empty() {
            return Ok(None);
        }
        Ok(Some(Likened {
            reference: a.reference,
            other: b.reference,
            verdict: l.verdict.word(),
            verdict_label: l.verdict.label(),
            agrees: l.agrees,
            differs: l.differs,
            decided: row.decided.clone(),
            at: row.at,
            received_at: a.received_at,
            other_received_at: b.received_at,
        }))
    }

    /// Two cases side by side. The look is recorded for both before anything is shown.
    ///
    /// # Errors
    /// Either not found or not the caller's, or the database is away.
    pub async fn compare(
        &self,
        caller: &Caller,
        one: &Reference,
        other: &Reference,
    ) -> Result<Comparison, ServiceError> {
        let a = self.open_itself(caller, one, Action::ReadCase).await?;
        let b = self.open_itself(caller, other, Action::ReadCase).await?;
        if a.id == b.id {
            return Err(ServiceError::NotFound);
        }
        let looks = [&a, &b].map(|o| self.audit_row(caller, "compare_cases", o.id, o.purpose));
        self.store.audit_all(looks.into()).await?;
        let x = self.store.load(a.id).await?.ok_or(ServiceError::NotFound)?.state;
        let y = self.store.load(b.id).await?.ok_or(ServiceError::NotFound)?.state;
        let l = likeness::compare(&Traits::of(&x.facts), &Traits::of(&y.facts));
        let decided = self.store.pair(a.id, b.id).await?.map(|p| p.decided);
        let is_account =
            |s: &CaseState, of: &CaseState| s.accounts.of.as_ref().is_some_and(|o| o.case == of.id);
        let first = if is_account(&y, &x) {
            Some(x.reference.to_string())
        } else {
            is_account(&x, &y).then(|| y.reference.to_string())
        };
        let lines = lines(&x.facts, &y.facts);
        let (both, only_one): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|l| !l.one.is_empty() && !l.other.is_empty());
        let (same, differ) = both.into_iter().partition(|l| l.one == l.other);
        let object = Object { area: Some(&x.area), ..Object::default() };
        Ok(Comparison {
            may_merge: may(caller, Action::Merge, object),
            one: side(&x),
            other: side(&y),
            verdict: l.verdict.word(),
            verdict_label: l.verdict.label(),
            agrees: l.agrees,
            differs: l.differs,
            differ,
            only_one,
            same,
            decided: decided.unwrap_or_default(),
            first,
        })
    }

    /// The accounts of a case. Each look at one is recorded like a look at the case.
    ///
    /// # Errors
    /// The database is away.
    pub async fn accounts(
        &self,
        caller: &Caller,
        s: &CaseState,
    ) -> Result<Vec<AccountLine>, ServiceError> {
        let held = &s.accounts.held;
        let look = |a: &crate::domain::case::Account| {
            self.audit_row(caller, "read_case", a.case, "second_account")
        };
        if !held.is_empty() {
            self.store.audit_all(held.iter().map(look).collect()).await?;
        }
        let mut out = Vec::new();
        for a in held {
            let kin = self.store.as_kin(a.case).await?;
            let facts = match &kin {
                Some(k) => self.store.facts_of_kin(k)?.unwrap_or_default(),
                None => Facts::default(),
            };
            let n = facts.notifier;
            let parts = [n.name, n.role, n.organisation, n.telephone, n.email];
            out.push(AccountLine {
                reference: a.reference.to_string(),
                at: a.at,
                by: a.by.as_ref().map(|p| p.name.clone()).unwrap_or_default(),
                reason: a.reason.clone(),
                received_at: kin.map(|k| k.received_at),
                notifier: parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
            });
        }
        Ok(out)
    }
}

fn side(s: &CaseState) -> Side {
    let open = s.alerts.values().filter(|a| a.progress.is_unanswered());
    let waiting: BTreeSet<String> = open.map(|a| a.agency_name.clone()).collect();
    Side {
        reference: s.reference.to_string(),
        received_at: s.received_at,
        stage: Stage::label(stage(s)),
        standing: s.standing.word(),
        waiting: waiting.into_iter().collect(),
    }
}

/// Every fact that either knows, with both readings.
fn lines(one: &Facts, other: &Facts) -> Vec<FactLine> {
    let (a, b) = (one.leaves(), other.leaves());
    let mut paths: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    paths.extend(one.other_accounts.keys());
    paths.extend(other.other_accounts.keys());
    let said = |facts: &Facts, held: Option<&Value>, path: &str| {
        let others = facts.other_accounts.get(path).into_iter().flatten();
        held.into_iter().chain(others).map(shown).collect::<Vec<_>>().join("; also: ")
    };
    paths
        .into_iter()
        .map(|p| FactLine {
            name: name(p),
            one: said(one, a.get(p), p),
            other: said(other, b.get(p), p),
        })
        .collect()
}

/// A path as people read it: `child.date_of_birth` is "Child: date of birth".
fn name(path: &str) -> String {
    let (of, what) = path.split_once('.').unwrap_or(("", path));
    let what = what.replace('.', ", ").replace('_', " ").replace("nhs", "NHS");
    let of = of.replace('_', " ");
    let of = of.replacen("jar", "JAR", 1);
    let mut text = if of.is_empty() { what } else { format!("{of}: {what}") };
    if let Some(first) = text.get(..1) {
        let first = first.to_uppercase();
        text.replace_range(..1, &first);
    }
    text
}

/// A day as people write it, a word of a list without its underscores, anything else as it came.
fn said_plainly(text: &str) -> String {
    if let Ok(day) = text.parse::<chrono::NaiveDate>() {
        return day.format("%-d %B %Y").to_string();
    }
    let is_word = text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if is_word { text.replace('_', " ") } else { text.to_owned() }
}

fn shown(v: &Value) -> String {
    match v {
        Value::String(s) => said_plainly(s),
        Value::Array(all) => all.iter().map(shown).collect::<Vec<_>>().join("; "),
        Value::Object(o) => o.values().map(shown).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_said_as_people_say_them() {
        for (path, said) in [
            ("child.date_of_birth", "Child: date of birth"),
            ("child.nhs_number", "Child: NHS number"),
            ("death.place.type", "Death: place, type"),
            ("jar_answers.external_cause", "JAR answers: external cause"),
            ("household", "Household"),
        ] {
            assert_eq!(name(path), said);
        }
        for (value, said) in [
            ("2026-02-01", "1 February 2026"),
            ("emergency_department", "emergency department"),
            ("Found by_her sister", "Found by_her sister"),
        ] {
            assert_eq!(shown(&value.into()), said);
        }
        let member = serde_json::json!([{ "relationship": "mother", "name": "Orla Vexley" }]);
        assert_eq!(shown(&member), "mother, Orla Vexley");
    }
}
