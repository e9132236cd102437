//! The statements behind a change set, for one or many sets at once.

use super::changes::{
    Advanced, AlertChange, AlertRow, AnswerRow, AttemptRow, CaseRow, ChangeSet, DeliveryResult,
    DeliveryRow, Entry, Lookup, NewStream, PointChange,
};
use super::engine::{Conn, on};
use super::rows::many;
use super::watch::AGAIN;
use crate::platform::failpoint::{Point, reach};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Why a batch was not applied.
#[derive(Debug)]
pub(super) enum Fault {
    /// Somebody else was first: a version has moved on, or a key or reference is taken.
    Conflict,
    Sql(sqlx::Error),
}

impl From<sqlx::Error> for Fault {
    fn from(e: sqlx::Error) -> Self {
        let unique =
            e.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation);
        if unique { Self::Conflict } else { Self::Sql(e) }
    }
}

/// Applies the sets inside the open transaction. Each kind of row of all sets goes in together.
pub(super) async fn apply(conn: &mut Conn, sets: &[ChangeSet]) -> Result<(), Fault> {
    reach(Point::AfterBegin);
    streams(conn, sets).await?;
    reach(Point::AfterJournal);
    read_tables(conn, sets).await?;
    reach(Point::AfterReadTables);
    alerts(conn, sets).await?;
    reach(Point::AfterAlerts);
    outbox(conn, sets).await?;
    reach(Point::AfterDeliveries);
    rest(conn, sets).await
}

fn all<'a, T>(sets: &'a [ChangeSet], of: impl Fn(&'a ChangeSet) -> &'a Vec<T>) -> Vec<&'a T> {
    sets.iter().flat_map(of).collect()
}

async fn streams(conn: &mut Conn, sets: &[ChangeSet]) -> Result<(), Fault> {
    let rows: Vec<&AnswerRow> = all(sets, |s| &s.answers);
    many!(
        conn,
        &rows,
        6,
        "INSERT INTO idempotency (digest, body, case_id, status, answer, at) VALUES ",
        "",
        |q, r| q
            .bind(&r.digest)
            .bind(&r.body)
            .bind(r.case_id)
            .bind(r.status)
            .bind(&r.answer)
            .bind(r.at)
    );
    let rows: Vec<&NewStream> = all(sets, |s| &s.new_streams);
    many!(
        conn,
        &rows,
        5,
        "INSERT INTO stream (id, version, head, key_name, wrapped_key) VALUES ",
        "",
        |q, r| q.bind(r.id).bind(r.version).bind(&r.head).bind(&r.key_name).bind(&r.wrapped_key)
    );
    let rows: Vec<&Advanced> = all(sets, |s| &s.advanced);
    let moved = many!(
        conn,
        &rows,
        4,
        "UPDATE stream SET version = v.column3, head = v.column4 FROM (VALUES ",
        ") AS v WHERE stream.id = v.column1 AND stream.version = v.column2 AND stream.wrapped_key IS NOT NULL",
        |q, r| q.bind(r.id).bind(r.from).bind(r.to).bind(&r.head)
    );
    if moved != rows.len() as u64 {
        return Err(Fault::Conflict);
    }
    let rows: Vec<&Entry> = all(sets, |s| &s.entries);
    many!(
        conn,
        &rows,
        7,
        "INSERT INTO journal (stream_id, version, name, at, actor, payload, hash) VALUES ",
        "",
        |q, r| q
            .bind(r.stream_id)
            .bind(r.version)
            .bind(&r.name)
            .bind(r.at)
            .bind(&r.actor)
            .bind(&r.payload)
            .bind(&r.hash)
    );
    Ok(())
}

async fn read_tables(conn: &mut Conn, sets: &[ChangeSet]) -> Result<(), Fault> {
    let rows: Vec<&CaseRow> = all(sets, |s| &s.cases);
    many!(
        conn,
        &rows,
        19,
        "INSERT INTO cases (id, reference, area, stage, jar, in_scope, ready, event, age_band, category, received_at, died_on, blockers, version, changed_at, sealed_facts, restricted, held, account_of) VALUES ",
        " ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, jar = excluded.jar, in_scope = excluded.in_scope, ready = excluded.ready, event = excluded.event, age_band = excluded.age_band, category = excluded.category, died_on = excluded.died_on, blockers = excluded.blockers, version = excluded.version, changed_at = excluded.changed_at, sealed_facts = excluded.sealed_facts, restricted = excluded.restricted, held = excluded.held, account_of = excluded.account_of",
        |q, r| q
            .bind(r.id)
            .bind(&r.reference)
            .bind(&r.area)
            .bind(&r.stage)
            .bind(&r.jar)
            .bind(r.in_scope)
            .bind(r.ready)
            .bind(&r.event)
            .bind(&r.age_band)
            .bind(r.category)
            .bind(r.received_at)
            .bind(r.died_on)
            .bind(&r.blockers)
            .bind(r.version)
            .bind(r.changed_at)
            .bind(&r.sealed_facts)
            .bind(r.restricted)
            .bind(r.held)
            .bind(r.account_of)
    );
    super::lines::put(conn, sets).await?;
    let rows: Vec<&Lookup> = all(sets, |s| &s.lookups);
    many!(
        conn,
        &rows,
        3,
        "INSERT INTO case_lookup (kind, digest, case_id) VALUES ",
        " ON CONFLICT DO NOTHING",
        |q, r| q.bind(r.kind).bind(&r.digest).bind(r.case_id)
    );
    Ok(())
}

async fn alerts(conn: &mut Conn, sets: &[ChangeSet]) -> Result<(), Fault> {
    let rows: Vec<&AlertRow> = all(sets, |s| &s.alerts);
    many!(
        conn,
        &rows,
        14,
        "INSERT INTO alert (id, case_id, agency, agency_name, kind, acknowledge, state, rank, planned_at, notice, phase, step_at, steps, drill) VALUES ",
        "",
        |q, r| q
            .bind(r.id)
            .bind(r.case_id)
            .bind(&r.agency)
            .bind(&r.agency_name)
            .bind(&r.kind)
            .bind(r.acknowledge)
            .bind(&r.state)
            .bind(r.rank)
            .bind(r.planned_at)
            .bind(&r.notice)
            .bind(&r.phase)
            .bind(r.step_at)
            .bind(r.steps)
            .bind(r.drill)
    );
    // One row per alert, its highest: a statement must not meet the same row twice.
    let mut highest: BTreeMap<Uuid, &AlertChange> = BTreeMap::new();
    for c in sets.iter().flat_map(|s| &s.alert_changes) {
        let held = highest.entry(c.id).or_insert(c);
        if held.rank < c.rank {
            *held = c;
        }
    }
    let rows: Vec<&AlertChange> = highest.into_values().collect();
    many!(
        conn,
        &rows,
        3,
        "UPDATE alert SET state = v.column2, rank = v.column3 FROM (VALUES ",
        ") AS v WHERE alert.id = v.column1 AND alert.rank < v.column3",
        |q, r| q.bind(r.id).bind(r.state).bind(r.rank)
    );
    for p in sets.iter().flat_map(|s| &s.progress) {
        const SQL: &str =
            "UPDATE alert SET phase = $2, step_at = $3, steps = $4, hurry = FALSE WHERE id = $1";
        on!(conn conn, |c| sqlx::query(SQL).bind(p.id).bind(p.phase).bind(p.step_at).bind(p.steps).execute(c).await?.rows_affected());
        if p.reopened {
            // Not acknowledged any more; what the attempts prove still stands, and no more.
            const BACK: &str =
                "UPDATE alert SET state = 'planned', rank = 0 WHERE id = $1 AND rank NOT IN (1, 7)";
            on!(conn conn, |c| sqlx::query(BACK).bind(p.id).execute(c).await?.rows_affected());
            for (state, rank) in
                [("sending", 1_i64), ("accepted", 3), ("delivered", 4), ("opened", 5)]
            {
                const PROVEN: &str = "UPDATE alert SET state = $2, rank = $3 WHERE id = $1 AND rank < $3 AND EXISTS (SELECT 1 FROM attempt t WHERE t.alert_id = $1 AND t.state = $2)";
                on!(conn conn, |c| sqlx::query(PROVEN).bind(p.id).bind(state).bind(rank).execute(c).await?.rows_affected());
            }
        }
    }
    Ok(())
}

async fn outbox(conn: &mut Conn, sets: &[ChangeSet]) -> Result<(), Fault> {
    let rows: Vec<&DeliveryRow> = all(sets, |s| &s.deliveries);
    many!(
        conn,
        &rows,
        13,
        "INSERT INTO delivery (id, alert_id, lane, channel, address, urgent, state, next_at, lease_until, lease_token, created_at, step, kind) VALUES ",
        "",
        |q, r| q
            .bind(r.id)
            .bind(r.alert_id)
            .bind(&r.lane)
            .bind(r.channel)
            .bind(&r.address)
            .bind(r.urgent)
            .bind(r.state)
            .bind(r.next_at)
            .bind(r.lease_until)
            .bind(r.lease_token)
            .bind(r.created_at)
            .bind(r.step)
            .bind(r.kind)
    );
    for b in sets.iter().flat_map(|s| &s.bulletins) {
        const SQL: &str = "INSERT INTO bulletin (id, area, kind, alert_id, notice, at) VALUES ($1, $2, $3, $4, $5, $6)";
        on!(conn conn, |c| sqlx::query(SQL).bind(b.id).bind(&b.area).bind(&b.kind).bind(b.alert_id).bind(&b.notice).bind(b.at).execute(c).await?.rows_affected());
    }
    let rows: Vec<&AttemptRow> = all(sets, |s| &s.attempts);
    many!(
        conn,
        &rows,
        8,
        "INSERT INTO attempt (delivery_id, alert_id, n, at, outcome, code, took_ms, state) VALUES ",
        "",
        |q, r| q
            .bind(r.delivery_id)
            .bind(r.alert_id)
            .bind(r.n)
            .bind(r.at)
            .bind(&r.outcome)
            .bind(r.code)
            .bind(r.took_ms)
            .bind(&r.state)
    );
    let rows: Vec<&DeliveryResult> = all(sets, |s| &s.results);
    // A worker that lost its lease meanwhile hits no row: the new owner's word counts.
    many!(
        conn,
        &rows,
        9,
        "UPDATE delivery SET state = v.column3, next_at = v.column4, attempts = v.column5, last_outcome = v.column6, provider = v.column7, provider_id = v.column8, ask_at = v.column9, lease_until = NULL FROM (VALUES ",
        ") AS v WHERE delivery.id = v.column1 AND delivery.lease_token = v.column2 AND delivery.state = 'leased'",
        |q, r| q
            .bind(r.id)
            .bind(r.lease_token)
            .bind(r.state)
            .bind(r.next_at)
            .bind(r.attempts)
            .bind(&r.outcome)
            .bind(r.provider)
            .bind(&r.provider_id)
            .bind(r.ask_at)
    );
    for r in sets.iter().flat_map(|s| &s.receipts) {
        // "Delivered" and the final failures are last words: a late "sending" does not undo them.
        const SQL: &str = "UPDATE delivery SET receipt = $2, ask_at = $3 WHERE id = $1 AND (receipt IS NULL OR receipt NOT IN ('delivered', 'permanent_failure', 'temporary_failure', 'technical_failure'))";
        on!(conn conn, |c| sqlx::query(SQL).bind(r.delivery_id).bind(&r.receipt).bind(r.ask_at).execute(c).await?.rows_affected());
    }
    for alert in sets.iter().flat_map(|s| &s.cancelled) {
        const SQL: &str = "UPDATE delivery SET state = 'cancelled', lease_until = NULL WHERE alert_id = $1 AND state IN ('due', 'leased')";
        on!(conn conn, |c| sqlx::query(SQL).bind(alert).execute(c).await?.rows_affected());
        const HUMAN: &str = "UPDATE delivery SET state = 'cancelled', lease_until = NULL WHERE state IN ('due', 'leased') AND alert_id IN (SELECT id FROM bulletin WHERE alert_id = $1 AND kind = 'ring_them')";
        on!(conn conn, |c| sqlx::query(HUMAN).bind(alert).execute(c).await?.rows_affected());
        // One message may name several agencies: it is kept under whichever came first.
        const ALL: &str = "UPDATE delivery SET state = 'cancelled', lease_until = NULL WHERE state IN ('due', 'leased') AND alert_id IN (SELECT b.id FROM bulletin b JOIN alert a ON a.id = b.alert_id WHERE b.kind = 'ring_all' AND a.case_id = (SELECT case_id FROM alert WHERE id = $1))";
        on!(conn conn, |c| sqlx::query(ALL).bind(alert).execute(c).await?.rows_affected());
    }
    for alert in sets.iter().flat_map(|s| &s.quieted) {
        const SQL: &str = "UPDATE delivery SET state = 'cancelled', lease_until = NULL WHERE alert_id = $1 AND channel <> 'webhook' AND state IN ('due', 'leased')";
        on!(conn conn, |c| sqlx::query(SQL).bind(alert).execute(c).await?.rows_affected());
        // And the human who was told to ring them.
        const HUMAN: &str = "UPDATE delivery SET state = 'cancelled', lease_until = NULL WHERE state IN ('due', 'leased') AND alert_id IN (SELECT id FROM bulletin WHERE alert_id = $1 AND kind = 'ring_them')";
        on!(conn conn, |c| sqlx::query(HUMAN).bind(alert).execute(c).await?.rows_affected());
        // Once the last of a case has answered, also the message that names several.
        const ALL: &str = "UPDATE delivery SET state = 'cancelled', lease_until = NULL WHERE state IN ('due', 'leased') AND alert_id IN (SELECT b.id FROM bulletin b JOIN alert a ON a.id = b.alert_id WHERE b.kind = 'ring_all' AND a.case_id = (SELECT case_id FROM alert WHERE id = $1)) AND NOT EXISTS (SELECT 1 FROM alert o WHERE o.phase = 'ringing' AND o.case_id = (SELECT case_id FROM alert WHERE id = $1))";
        on!(conn conn, |c| sqlx::query(ALL).bind(alert).execute(c).await?.rows_affected());
    }
    for alert in sets.iter().flat_map(|s| &s.maybe_failed) {
        const SQL: &str = "UPDATE alert SET state = 'failed', rank = 2 WHERE id = $1 AND rank < 2 AND NOT EXISTS (SELECT 1 FROM delivery WHERE alert_id = $1 AND state IN ('due', 'leased', 'done'))";
        on!(conn conn, |c| sqlx::query(SQL).bind(alert).execute(c).await?.rows_affected());
    }
    let hurried: BTreeSet<Uuid> = sets.iter().flat_map(|s| &s.maybe_hurry).copied().collect();
    if let Conn::Pg(c) = &mut *conn
        && !hurried.is_empty()
    {
        // Two messages of one rung that fail at the same moment on two writers: the second looks when
        // the first is written, or neither would see that nothing is on its way any more.
        const ALONE: &str = "SELECT id FROM alert WHERE id = ANY($1) ORDER BY id FOR UPDATE";
        let ids: Vec<Uuid> = hurried.iter().copied().collect();
        sqlx::query(ALONE).bind(ids).execute(c).await?;
    }
    for alert in &hurried {
        // Only while nothing of the last step is on its way, has been taken, or may still go.
        const SQL: &str = "UPDATE alert SET hurry = TRUE WHERE id = $1 AND phase = 'climbing' AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.alert_id = $1 AND d.step = alert.steps AND ((d.state IN ('leased', 'done') AND (d.receipt IS NULL OR d.receipt NOT LIKE '%failure')) OR (d.state = 'due' AND (d.last_outcome IS NULL OR d.last_outcome NOT LIKE 'held back%'))))";
        on!(conn conn, |c| sqlx::query(SQL).bind(alert).execute(c).await?.rows_affected());
    }
    Ok(())
}

async fn rest(conn: &mut Conn, sets: &[ChangeSet]) -> Result<(), Fault> {
    for a in sets.iter().flat_map(|s| &s.audit) {
        const SQL: &str = "INSERT INTO audit (at, actor, action, case_id, role, purpose) VALUES ($1, $2, $3, $4, $5, $6)";
        on!(conn conn, |c| sqlx::query(SQL).bind(a.at).bind(&a.actor).bind(a.action).bind(a.case_id).bind(a.role).bind(a.purpose).execute(c).await?.rows_affected());
    }
    for d in sets.iter().flat_map(|s| &s.sent_drafts) {
        const SQL: &str = "UPDATE draft SET sent_at = $2, changed_at = $2, case_id = $3, expires_at = $4, sealed = $5, version = version + 1 WHERE id = $1 AND sent_at IS NULL AND version = $6";
        let n = on!(conn conn, |c| sqlx::query(SQL).bind(d.id).bind(d.at).bind(d.case_id).bind(d.expires_at).bind(&d.sealed).bind(d.version).execute(c).await?.rows_affected());
        if n != 1 {
            return Err(Fault::Conflict);
        }
    }
    for d in sets.iter().flat_map(|s| &s.done) {
        const SQL: &str = "INSERT INTO done (what, day, at) VALUES ($1, $2, $3)";
        on!(conn conn, |c| sqlx::query(SQL).bind(&d.what).bind(&d.day).bind(d.at).execute(c).await?.rows_affected());
    }
    for r in sets.iter().flat_map(|s| &s.raised) {
        const SQL: &str = "UPDATE finding SET raised_at = $2 WHERE what = $1 AND (raised_at IS NULL OR raised_at <= $3)";
        let told = on!(conn conn, |c| sqlx::query(SQL).bind(&r.what).bind(r.at).bind(r.at - AGAIN).execute(c).await?.rows_affected());
        if told == 0 {
            return Err(Fault::Conflict);
        }
    }
    for d in sets.iter().flat_map(|s| &s.directories) {
        const SQL: &str = "INSERT INTO directory (area, version, at, actor, what, sealed) VALUES ($1, $2, $3, $4, $5, $6)";
        on!(conn conn, |c| sqlx::query(SQL).bind(&d.area).bind(d.version).bind(d.at).bind(&d.actor).bind(&d.what).bind(&d.sealed).execute(c).await?.rows_affected());
    }
    for p in points(sets) {
        point(conn, p).await?;
    }
    for p in sets.iter().flat_map(|s| &s.panels) {
        const SQL: &str =
            "INSERT INTO panel (id, area, name, held_on, created_at) VALUES ($1, $2, $3, $4, $5)";
        on!(conn conn, |c| sqlx::query(SQL).bind(p.id).bind(&p.area).bind(&p.name).bind(p.held_on).bind(p.created_at).execute(c).await?.rows_affected());
    }
    for l in sets.iter().flat_map(|s| &s.listed) {
        const SQL: &str = "INSERT INTO panel_case (panel_id, case_id, anonymous_reference, listed_at) VALUES ($1, $2, $3, $4)";
        on!(conn conn, |c| sqlx::query(SQL).bind(l.panel_id).bind(l.case_id).bind(&l.anonymous_reference).bind(l.listed_at).execute(c).await?.rows_affected());
    }
    for (panel, case) in sets.iter().flat_map(|s| &s.unlisted) {
        const SQL: &str = "DELETE FROM panel_case WHERE panel_id = $1 AND case_id = $2";
        on!(conn conn, |c| sqlx::query(SQL).bind(panel).bind(case).execute(c).await?.rows_affected());
    }
    for d in sets.iter().flat_map(|s| &s.documents) {
        super::documents::change(conn, d).await?;
    }
    for a in sets.iter().flat_map(|s| &s.access) {
        super::access::change(conn, a).await?;
    }
    for l in sets.iter().flat_map(|s| &s.likenesses) {
        super::likeness::change(conn, l).await?;
    }
    Ok(())
}

/// What became known of contact points: in one order for every writer, so that none waits for
/// another in a circle, and once each where a later word of the batch says the same.
fn points(sets: &[ChangeSet]) -> Vec<&PointChange> {
    let mut rows: Vec<&PointChange> = all(sets, |s| &s.points);
    rows.sort_by(|a, b| a.lane.cmp(&b.lane));
    let said = |p: &PointChange| (p.worked_at.is_some(), p.failed_at.is_some());
    let mut kept: Vec<&PointChange> = Vec::with_capacity(rows.len());
    for p in rows {
        let same = |k: &&mut &PointChange| {
            k.lane == p.lane
                && k.address == p.address
                && said(k) == said(p)
                && k.unusable == p.unusable
        };
        match kept.last_mut().filter(same) {
            Some(last) => *last = p,
            None => kept.push(p),
        }
    }
    kept
}

/// What became known of a contact point; a changed address starts anew.
/// What is news of a contact point. Since when one does not work stands still while it does not: the
/// office is told once, not with every message that fails there.
async fn point(conn: &mut Conn, p: &PointChange) -> Result<(), Fault> {
    const NEW: &str = "INSERT INTO point (lane, area, address, worked_at, failed_at, unusable) VALUES ($1, $2, $3, $4, $5, NULLIF($6, '')) ON CONFLICT (lane) DO UPDATE SET verified_at = CASE WHEN point.address = excluded.address THEN point.verified_at END, worked_at = CASE WHEN excluded.worked_at IS NOT NULL THEN excluded.worked_at WHEN point.address = excluded.address THEN point.worked_at END, failed_at = CASE WHEN point.address = excluded.address AND point.unusable IS NOT NULL THEN point.failed_at WHEN excluded.failed_at IS NOT NULL THEN excluded.failed_at WHEN point.address = excluded.address THEN point.failed_at END, unusable = CASE WHEN $7 THEN excluded.unusable WHEN point.address = excluded.address THEN point.unusable END, address = excluded.address";
    let says = p.unusable.is_some();
    let unusable = p.unusable.clone().unwrap_or_default();
    on!(conn conn, |c| sqlx::query(NEW).bind(&p.lane).bind(&p.area).bind(&p.address).bind(p.worked_at).bind(p.failed_at).bind(&unusable).bind(says).execute(c).await?.rows_affected());
    Ok(())
}
