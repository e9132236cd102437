//! Journal entries: sealing, chaining, loading a case from them.

use super::changes::{Advanced, ChangeSet, Entry, NewStream};
use super::engine::on;
use super::keys::case_aad;
use super::{Store, StoreError, project};
use crate::domain::case::{CaseState, apply};
use crate::domain::event::{Event, Recorded};
use crate::domain::id::{CaseId, Reference};
use crate::platform::crypt::{Key, sha256};
use crate::platform::fresh;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What every chain starts from.
pub(super) const GENESIS: [u8; 32] = [0; 32];

/// A case as loaded, with what is needed to append to it.
pub struct Loaded {
    pub state: CaseState,
    pub(super) head: Vec<u8>,
    pub(super) key: Key,
}

/// A case about to be born.
pub struct New {
    id: CaseId,
    key: Key,
    key_name: String,
    wrapped_key: Vec<u8>,
}

impl New {
    #[must_use]
    pub fn id(&self) -> CaseId {
        self.id
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct StreamRow {
    pub version: i64,
    pub head: Vec<u8>,
    pub key_name: Option<String>,
    pub wrapped_key: Option<Vec<u8>>,
}

/// The hash of an entry: over the one before and everything stored of this one.
#[must_use]
pub(super) fn entry_hash(previous: &[u8], e: &Entry) -> [u8; 32] {
    let sized = |n: usize| (n as u64).to_be_bytes();
    sha256(&[
        b"cdr-journal-1",
        previous,
        e.stream_id.as_bytes(),
        &e.version.to_be_bytes(),
        &e.at.timestamp_micros().to_be_bytes(),
        &sized(e.name.len()),
        e.name.as_bytes(),
        &sized(e.actor.len()),
        e.actor.as_bytes(),
        &sized(e.payload.len()),
        &e.payload,
    ])
}

/// What ties a sealed payload to its place.
pub(super) fn payload_aad(stream: Uuid, version: i64, name: &str) -> Vec<u8> {
    format!("journal/{stream}/{version}/{name}").into_bytes()
}

pub(super) fn facts_aad(case: Uuid) -> Vec<u8> {
    format!("cases/{case}/facts").into_bytes()
}

impl Store {
    /// A fresh identity and key for a case.
    ///
    /// # Errors
    /// No randomness.
    pub fn new_case(&self) -> Result<New, StoreError> {
        let id = CaseId(fresh::id());
        let key = Key::random()?;
        let (key_name, wrapped_key) = self.inner.keyring.wrap(&case_aad(id.0), &key)?;
        Ok(New { id, key, key_name, wrapped_key })
    }

    /// The change set that records the first events of a case, and the state they make.
    ///
    /// # Errors
    /// Sealing failed, or the first event is not a notification.
    pub fn begin_case(
        &self,
        new: New,
        events: Vec<Event>,
        actor: &str,
        at: DateTime<Utc>,
    ) -> Result<(ChangeSet, CaseState), StoreError> {
        let mut set = ChangeSet::default();
        let (state, head) =
            self.append_events(&mut set, new.id, None, &GENESIS, &new.key, events, actor, at)?;
        set.new_streams.push(NewStream {
            id: new.id.0,
            version: state.version,
            head,
            key_name: new.key_name,
            wrapped_key: new.wrapped_key,
        });
        Ok((set, state))
    }

    /// The change set that records more events of a loaded case, and the state they make.
    ///
    /// # Errors
    /// Sealing failed.
    pub fn continue_case(
        &self,
        loaded: Loaded,
        events: Vec<Event>,
        actor: &str,
        at: DateTime<Utc>,
    ) -> Result<(ChangeSet, CaseState), StoreError> {
        let mut set = ChangeSet::default();
        let Loaded { state, head, key } = loaded;
        let (id, from) = (state.id, state.version);
        let (state, head) =
            self.append_events(&mut set, id, Some(state), &head, &key, events, actor, at)?;
        set.advanced.push(Advanced { id: id.0, from, to: state.version, head });
        Ok((set, state))
    }

    #[allow(clippy::too_many_arguments)] // the one place where an append comes together
    fn append_events(
        &self,
        set: &mut ChangeSet,
        id: CaseId,
        mut state: Option<CaseState>,
        head: &[u8],
        key: &Key,
        events: Vec<Event>,
        actor: &str,
        at: DateTime<Utc>,
    ) -> Result<(CaseState, Vec<u8>), StoreError> {
        let mut head = head.to_vec();
        for event in events {
            let version = state.as_ref().map_or(0, |s| s.version) + 1;
            let plain = serde_json::to_vec(&event).map_err(|_| StoreError::Corrupt("event"))?;
            let name = event.name();
            let mut entry = Entry {
                stream_id: id.0,
                version,
                name: name.to_owned(),
                at,
                actor: actor.to_owned(),
                payload: key.seal(&payload_aad(id.0, version, name), &plain)?,
                hash: Vec::new(),
            };
            entry.hash = entry_hash(&head, &entry).to_vec();
            head.clone_from(&entry.hash);
            set.entries.push(entry);
            let recorded = Recorded { at, event };
            self.project_event(set, id, state.as_ref(), &recorded);
            state = apply(id, state, recorded);
        }
        let state = state.ok_or(StoreError::Corrupt("a case starts with its notification"))?;
        set.cases.push(project::case_row(&state, seal_facts(&state, key)?));
        set.lines.push(self.line_of(&state));
        Ok((state, head))
    }

    /// Loads a case by its events.
    ///
    /// # Errors
    /// The database failed, the case's key was destroyed, or an entry cannot be read.
    pub async fn load(&self, id: CaseId) -> Result<Option<Loaded>, StoreError> {
        const STREAM: &str =
            "SELECT version, head, key_name, wrapped_key FROM stream WHERE id = $1";
        let stream: Option<StreamRow> = on!(pool self.pool(), |p| sqlx::query_as(STREAM)
            .bind(id.0)
            .fetch_optional(p)
            .await?);
        let Some(stream) = stream else { return Ok(None) };
        let key =
            self.unwrap_case_key(id.0, stream.key_name.as_deref(), stream.wrapped_key.as_deref())?;
        // Entries committed after the stream was read belong to the next load.
        const ENTRIES: &str = "SELECT stream_id, version, name, at, actor, payload, hash FROM journal WHERE stream_id = $1 AND version <= $2 ORDER BY version";
        let entries: Vec<Entry> = on!(pool self.pool(), |p| sqlx::query_as(ENTRIES)
            .bind(id.0)
            .bind(stream.version)
            .fetch_all(p)
            .await?);
        let mut state = None;
        for e in &entries {
            state = apply(id, state, open_entry(&key, e)?);
        }
        let state = state.ok_or(StoreError::Corrupt("a case starts with its notification"))?;
        Ok(Some(Loaded { state, head: stream.head, key }))
    }

    /// The events of a case with who did them, oldest first.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub async fn history(&self, id: CaseId) -> Result<Vec<(Recorded, String)>, StoreError> {
        const STREAM: &str =
            "SELECT version, head, key_name, wrapped_key FROM stream WHERE id = $1";
        let stream: Option<StreamRow> = on!(pool self.pool(), |p| sqlx::query_as(STREAM)
            .bind(id.0)
            .fetch_optional(p)
            .await?);
        let Some(stream) = stream else { return Ok(Vec::new()) };
        let key =
            self.unwrap_case_key(id.0, stream.key_name.as_deref(), stream.wrapped_key.as_deref())?;
        const ENTRIES: &str = "SELECT stream_id, version, name, at, actor, payload, hash FROM journal WHERE stream_id = $1 ORDER BY version";
        let entries: Vec<Entry> = on!(pool self.pool(), |p| sqlx::query_as(ENTRIES)
            .bind(id.0)
            .fetch_all(p)
            .await?);
        entries.into_iter().map(|e| Ok((open_entry(&key, &e)?, e.actor))).collect()
    }

    /// Finds a case by its reference.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(
        &self,
        reference: &Reference,
    ) -> Result<Option<(CaseId, String)>, StoreError> {
        const SQL: &str = "SELECT id, area FROM cases WHERE reference = $1";
        let found: Option<(Uuid, String)> = on!(pool self.pool(), |p| sqlx::query_as(SQL)
            .bind(reference.as_str())
            .fetch_optional(p)
            .await?);
        Ok(found.map(|(id, area)| (CaseId(id), area)))
    }
}

pub(super) fn seal_facts(state: &CaseState, key: &Key) -> Result<Vec<u8>, StoreError> {
    let plain = serde_json::to_vec(&state.facts).map_err(|_| StoreError::Corrupt("facts"))?;
    Ok(key.seal(&facts_aad(state.id.0), &plain)?)
}

pub(super) fn open_entry(key: &Key, e: &Entry) -> Result<Recorded, StoreError> {
    let plain = key.open(&payload_aad(e.stream_id, e.version, &e.name), &e.payload)?;
    let event = serde_json::from_slice(&plain).map_err(|_| StoreError::Corrupt("event"))?;
    Ok(Recorded { at: e.at, event })
}
