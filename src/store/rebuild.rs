//! Making the read tables anew from what is never changed: the journal and the attempts.

use super::changes::{CaseRow, ChangeSet, Entry};
use super::engine::on;
use super::journal::{open_entry, seal_facts};
use super::{Store, StoreError, apply, project};
use crate::domain::alert::AlertState;
use crate::domain::case::{CaseState, apply as apply_event};
use crate::domain::id::CaseId;
use crate::platform::crypt::CryptError;
use uuid::Uuid;

/// Alerts of which nothing is left to try.
pub(super) const FAILED: &str = "UPDATE alert SET state = 'failed', rank = 2 WHERE rank < 2 AND EXISTS (SELECT 1 FROM delivery WHERE alert_id = alert.id AND state = 'dead') AND NOT EXISTS (SELECT 1 FROM delivery WHERE alert_id = alert.id AND state IN ('due', 'leased', 'done'))";

/// What was rebuilt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    pub cases: u64,
    /// Cases whose key was destroyed: nothing of them can be shown any more.
    pub erased: u64,
}

#[derive(sqlx::FromRow)]
struct StreamKey {
    id: Uuid,
    key_name: Option<String>,
    wrapped_key: Option<Vec<u8>>,
}

impl Store {
    /// Empties and refills `cases`, `case_line`, `case_lookup`, `alert`, `panel_case`, `case_person`, `glass` and `likeness` in one transaction, so
    /// that readers see the old rows or the new ones. Run it while nothing serves.
    ///
    /// # Errors
    /// The database failed or an entry cannot be read; then nothing was changed.
    pub async fn rebuild(&self) -> Result<Rebuilt, StoreError> {
        let mut conn = self.inner.target.connect().await?;
        conn.begin().await?;
        match self.rebuild_in(&mut conn).await {
            Ok(done) => {
                conn.commit().await?;
                Ok(done)
            }
            Err(e) => {
                conn.rollback().await;
                Err(e)
            }
        }
    }

    async fn rebuild_in(&self, conn: &mut super::engine::Conn) -> Result<Rebuilt, StoreError> {
        let mut done = Rebuilt::default();
        for sql in [
            "DELETE FROM cases",
            "DELETE FROM case_line",
            "DELETE FROM case_lookup",
            "DELETE FROM alert",
            "DELETE FROM panel_case",
            "DELETE FROM case_person",
            "DELETE FROM glass",
            "DELETE FROM likeness",
        ] {
            conn.run(sql).await?;
        }
        let mut after = Uuid::nil();
        loop {
            const STREAMS: &str =
                "SELECT id, key_name, wrapped_key FROM stream WHERE id > $1 ORDER BY id LIMIT 200";
            let streams: Vec<StreamKey> = on!(conn &mut *conn, |c| sqlx::query_as(STREAMS)
                .bind(after)
                .fetch_all(c)
                .await?);
            let Some(last) = streams.last() else { break };
            after = last.id;
            for s in streams {
                match self.rebuild_case(conn, &s).await {
                    Ok(()) => done.cases += 1,
                    Err(StoreError::Crypt(CryptError::Destroyed)) => done.erased += 1,
                    Err(e) => return Err(e),
                }
            }
        }
        // What is left of destroyed cases: that they were.
        conn.run(super::destroy::STONES).await?;
        conn.run(super::lines::STONES).await?;
        // What the attempts show, on top of what people did.
        for state in
            [AlertState::Sending, AlertState::Accepted, AlertState::Delivered, AlertState::Opened]
        {
            const SQL: &str = "UPDATE alert SET state = $1, rank = $2 WHERE rank < $2 AND id IN (SELECT alert_id FROM attempt WHERE state = $1)";
            on!(conn &mut *conn, |c| sqlx::query(SQL).bind(state.word()).bind(state.rank()).execute(c).await?.rows_affected());
            if state == AlertState::Sending {
                conn.run(FAILED).await?;
            }
        }
        Ok(done)
    }

    async fn rebuild_case(
        &self,
        conn: &mut super::engine::Conn,
        s: &StreamKey,
    ) -> Result<(), StoreError> {
        const ENTRIES: &str = "SELECT stream_id, version, name, at, actor, payload, hash FROM journal WHERE stream_id = $1 ORDER BY version";
        let key = self.unwrap_case_key(s.id, s.key_name.as_deref(), s.wrapped_key.as_deref())?;
        let entries: Vec<Entry> = on!(conn &mut *conn, |c| sqlx::query_as(ENTRIES)
            .bind(s.id)
            .fetch_all(c)
            .await?);
        let id = CaseId(s.id);
        let mut state: Option<CaseState> = None;
        for e in &entries {
            let recorded = open_entry(&key, e)?;
            let mut set = ChangeSet::default();
            self.project_event(&mut set, id, state.as_ref(), &recorded);
            // Contents are not made of the journal, and were never taken away.
            set.documents.clear();
            state = apply_event(id, state, recorded);
            apply::apply(conn, std::slice::from_ref(&set)).await.map_err(|f| match f {
                apply::Fault::Sql(e) => StoreError::Sql(e),
                apply::Fault::Conflict => StoreError::Corrupt("two rows for one thing"),
            })?;
        }
        let state = state.ok_or(StoreError::Corrupt("a case starts with its notification"))?;
        let row: CaseRow = project::case_row(&state, seal_facts(&state, &key)?);
        let lines = vec![self.line_of(&state)];
        let set = ChangeSet { cases: vec![row], lines, ..ChangeSet::default() };
        apply::apply(conn, &[set]).await.map_err(|f| match f {
            apply::Fault::Sql(e) => StoreError::Sql(e),
            apply::Fault::Conflict => StoreError::Corrupt("two cases of one reference"),
        })
    }
}
