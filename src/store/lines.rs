//! One narrow row per case, for lists: what they filter, sort and count by. Made in the same commit
//! as the case's own row, and by a rebuild.

use super::changes::ChangeSet;
use super::engine::{Conn, on};
use super::rows::many;
use super::{Store, StoreError, apply};
use crate::domain::age;
use crate::domain::case::CaseState;
use crate::domain::deadline::{self, Lengths};
use crate::domain::id::CaseId;
use crate::domain::ready::{Stage, blockers, stage, waits};
use crate::platform::crypt::CryptError;
use chrono::{DateTime, NaiveDate, Utc};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use uuid::Uuid;

/// How long the clocks of each area are.
pub type AreaLengths = BTreeMap<String, Lengths>;

/// Rows made anew in one go.
const AT_ONCE: i64 = 100;

/// A case's line as stored.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct LineRow {
    pub id: Uuid,
    pub reference: String,
    pub area: String,
    pub stage: String,
    pub stage_rank: i64,
    pub jar: String,
    pub ready: bool,
    pub age_rank: Option<i64>,
    pub category: Option<i64>,
    pub received_at: DateTime<Utc>,
    pub died_on: Option<NaiveDate>,
    pub restricted: bool,
    pub waits: i64,
    pub next_date: Option<NaiveDate>,
    pub next_due: Option<DateTime<Utc>>,
    pub next_due_kind: Option<String>,
    pub assigned_to: Option<Uuid>,
    pub handed_at: Option<DateTime<Utc>>,
    pub handed_by: Option<Uuid>,
    pub rule: String,
}

/// What remains of a destroyed case's line; also how a rebuild puts it back.
pub(super) const STONES: &str = "INSERT INTO case_line (id, reference, area, stage, stage_rank, jar, ready, received_at, restricted, waits, rule) SELECT case_id, reference, area, 'destroyed', 99, '', FALSE, received_at, FALSE, 0, 'destroyed' FROM destruction WHERE confirmed_at IS NOT NULL";
pub(super) const STONE: &str = "INSERT INTO case_line (id, reference, area, stage, stage_rank, jar, ready, received_at, restricted, waits, rule) SELECT case_id, reference, area, 'destroyed', 99, '', FALSE, received_at, FALSE, 0, 'destroyed' FROM destruction WHERE case_id = $1";

/// By which rules a line is made: a row made by other ones is made anew.
fn rule(l: &Lengths) -> String {
    format!("1:{}/{}", l.cdr_meeting_months, l.review_months)
}

/// The bit of something that cases wait for; 0 for what is none.
#[must_use]
pub fn wait_bit(code: &str) -> i64 {
    waits().iter().position(|(c, _)| *c == code).map_or(0, |n| 1 << n)
}

/// Where a stage stands in the order of the work.
fn stage_rank(s: Stage) -> i64 {
    let at = Stage::WORDS.iter().position(|w| *w == s.word());
    at.and_then(|n| i64::try_from(n).ok()).unwrap_or_default()
}

fn line_row(s: &CaseState, lengths: &Lengths) -> LineRow {
    let blocked = blockers(s);
    let stage = stage(s);
    let band = s.facts.age().and_then(age::band);
    let age_rank = band.and_then(|b| age::BANDS.iter().position(|c| *c == b.code));
    let due = deadline::next(s, lengths);
    let waiting = s.assigned.waiting;
    LineRow {
        id: s.id.0,
        reference: s.reference.to_string(),
        area: s.area.clone(),
        stage: stage.word().to_owned(),
        stage_rank: stage_rank(stage),
        jar: s.standing.word().to_owned(),
        ready: stage == Stage::Ready,
        age_rank: age_rank.and_then(|n| i64::try_from(n).ok()),
        category: s.category().map(i64::from),
        received_at: s.received_at,
        died_on: s.facts.death.date,
        restricted: s.keeping.restricted.is_some(),
        waits: blocked.iter().fold(0, |bits, b| bits | wait_bit(&b.code)),
        next_date: blocked.iter().filter_map(|b| b.expected).max(),
        next_due: due.map(|(_, at)| at),
        next_due_kind: due.map(|(id, _)| id.to_owned()),
        assigned_to: s.assigned.to.as_ref().map(|p| p.id),
        handed_at: waiting.then_some(s.assigned.at),
        handed_by: s.assigned.by_id.filter(|_| waiting),
        rule: rule(lengths),
    }
}

/// Puts the lines of change sets in.
pub(super) async fn put(conn: &mut Conn, sets: &[ChangeSet]) -> Result<(), apply::Fault> {
    let rows: Vec<&LineRow> = sets.iter().flat_map(|s| &s.lines).collect();
    many!(
        conn,
        &rows,
        20,
        "INSERT INTO case_line (id, reference, area, stage, stage_rank, jar, ready, age_rank, category, received_at, died_on, restricted, waits, next_date, next_due, next_due_kind, assigned_to, handed_at, handed_by, rule) VALUES ",
        " ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, stage_rank = excluded.stage_rank, jar = excluded.jar, ready = excluded.ready, age_rank = excluded.age_rank, category = excluded.category, died_on = excluded.died_on, restricted = excluded.restricted, waits = excluded.waits, next_date = excluded.next_date, next_due = excluded.next_due, next_due_kind = excluded.next_due_kind, assigned_to = excluded.assigned_to, handed_at = excluded.handed_at, handed_by = excluded.handed_by, rule = excluded.rule",
        |q, r| q
            .bind(r.id)
            .bind(&r.reference)
            .bind(&r.area)
            .bind(&r.stage)
            .bind(r.stage_rank)
            .bind(&r.jar)
            .bind(r.ready)
            .bind(r.age_rank)
            .bind(r.category)
            .bind(r.received_at)
            .bind(r.died_on)
            .bind(r.restricted)
            .bind(r.waits)
            .bind(r.next_date)
            .bind(r.next_due)
            .bind(&r.next_due_kind)
            .bind(r.assigned_to)
            .bind(r.handed_at)
            .bind(r.handed_by)
            .bind(&r.rule)
    );
    Ok(())
}

impl Store {
    /// A case's line by the clock lengths that hold in its area.
    pub(super) fn line_of(&self, s: &CaseState) -> LineRow {
        let all = self.inner.lengths.read().unwrap_or_else(PoisonError::into_inner);
        line_row(s, &all.get(&s.area).copied().unwrap_or_default())
    }

    /// From now on lines are made by these lengths; those there are follow with
    /// [`Store::renew_lines`].
    pub fn set_lengths(&self, lengths: AreaLengths) {
        *self.inner.lengths.write().unwrap_or_else(PoisonError::into_inner) = lengths;
    }

    /// Makes lines anew that other rules made: after a migration, or when an area has set other
    /// lengths. How many were looked at; 0 when all are as they should be.
    ///
    /// # Errors
    /// The database failed, or a case cannot be read.
    pub async fn renew_lines(&self) -> Result<usize, StoreError> {
        const SQL: &str = "SELECT id FROM case_line WHERE area = $1 AND stage <> 'destroyed' AND (rule < $2 OR rule > $2) LIMIT $3";
        let areas = self.inner.lengths.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (area, lengths) in areas {
            let wanted = rule(&lengths);
            let ids: Vec<Uuid> = on!(pool self.pool(), |p| sqlx::query_scalar(SQL)
                .bind(&area)
                .bind(&wanted)
                .bind(AT_ONCE)
                .fetch_all(p)
                .await?);
            if ids.is_empty() {
                continue;
            }
            for id in &ids {
                self.renew_line(*id).await?;
            }
            return Ok(ids.len());
        }
        Ok(0)
    }

    async fn renew_line(&self, id: Uuid) -> Result<(), StoreError> {
        let state = match self.load(CaseId(id)).await {
            Ok(Some(l)) => l.state,
            // Destroyed meanwhile: its line is a stone by now.
            Ok(None) | Err(StoreError::Crypt(CryptError::Destroyed)) => return Ok(()),
            Err(e) => return Err(e),
        };
        let row = self.line_of(&state);
        let version = state.version;
        self.task(Box::new(move |conn| {
            Box::pin(async move {
                // Whoever changed the case since has made the line as well.
                const SAME: &str = "SELECT COUNT(*) FROM cases WHERE id = $1 AND version = $2";
                let same: i64 = on!(conn &mut *conn, |c| sqlx::query_scalar(SAME)
                    .bind(id)
                    .bind(version)
                    .fetch_one(c)
                    .await?);
                if same == 1 {
                    let set = ChangeSet { lines: vec![row], ..ChangeSet::default() };
                    put(conn, &[set]).await.map_err(|f| match f {
                        apply::Fault::Sql(e) => e,
                        apply::Fault::Conflict => sqlx::Error::RowNotFound,
                    })?;
                }
                Ok(())
            })
        }))
        .await?;
        Ok(())
    }

    /// Every line, for the test that a rebuild makes the same.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lines(&self) -> Result<Vec<LineRow>, StoreError> {
        const SQL: &str = "SELECT id, reference, area, stage, stage_rank, jar, ready, age_rank, category, received_at, died_on, restricted, waits, next_date, next_due, next_due_kind, assigned_to, handed_at, handed_by, rule FROM case_line ORDER BY id";
        Ok(on!(pool self.pool(), |p| sqlx::query_as(SQL).fetch_all(p).await?))
    }
}
