-- The first schema. The same names stand in migrations/postgres; a test compares the two.

-- One stream of events per case, with its head and the case's wrapped data key. Destroying the key
-- (NULL) makes everything of the case unreadable and breaks no chain.
CREATE TABLE stream (
    id             BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    version        INTEGER NOT NULL,
    head           BLOB    NOT NULL CHECK (length(head) = 32),
    sealed_version INTEGER NOT NULL DEFAULT 0,
    key_name       TEXT,
    wrapped_key    BLOB
) STRICT;
CREATE INDEX stream_unsealed ON stream (id) WHERE version > sealed_version;
CREATE INDEX stream_key_name ON stream (key_name);

-- The source of truth. `payload` is sealed under the case's key; `hash` chains what is stored.
CREATE TABLE journal (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id BLOB    NOT NULL CHECK (length(stream_id) = 16),
    version   INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    at        TEXT    NOT NULL,
    actor     TEXT    NOT NULL,
    payload   BLOB    NOT NULL,
    hash      BLOB    NOT NULL CHECK (length(hash) = 32),
    UNIQUE (stream_id, version)
) STRICT;
CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- Seals over the heads of all streams that changed, each over the one before.
CREATE TABLE seal (
    n        INTEGER NOT NULL PRIMARY KEY,
    at       TEXT    NOT NULL,
    previous BLOB    NOT NULL CHECK (length(previous) = 32),
    root     BLOB    NOT NULL CHECK (length(root) = 32),
    heads    INTEGER NOT NULL
) STRICT;
CREATE TABLE seal_head (
    seal_n    INTEGER NOT NULL,
    stream_id BLOB    NOT NULL CHECK (length(stream_id) = 16),
    version   INTEGER NOT NULL,
    head      BLOB    NOT NULL CHECK (length(head) = 32),
    PRIMARY KEY (seal_n, stream_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX seal_head_stream ON seal_head (stream_id, version);
CREATE TRIGGER seal_no_update BEFORE UPDATE ON seal BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
CREATE TRIGGER seal_no_delete BEFORE DELETE ON seal BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
CREATE TRIGGER seal_head_no_update BEFORE UPDATE ON seal_head BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
CREATE TRIGGER seal_head_no_delete BEFORE DELETE ON seal_head BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;

-- Read table: one row per case, remade from the journal by `cdr journal rebuild`.
CREATE TABLE cases (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    reference    TEXT    NOT NULL UNIQUE,
    area         TEXT    NOT NULL,
    stage        TEXT    NOT NULL,
    jar          TEXT    NOT NULL,
    in_scope     INTEGER NOT NULL CHECK (in_scope IN (0, 1)),
    ready        INTEGER NOT NULL CHECK (ready IN (0, 1)),
    event        TEXT,
    age_band     TEXT,
    category     INTEGER,
    received_at  TEXT    NOT NULL,
    died_on      TEXT,
    blockers     TEXT    NOT NULL CHECK (json_valid(blockers)),
    version      INTEGER NOT NULL,
    changed_at   TEXT    NOT NULL,
    sealed_facts BLOB    NOT NULL
) STRICT;
CREATE INDEX cases_received ON cases (area, received_at, id);
CREATE INDEX cases_stage ON cases (area, stage, received_at, id);
CREATE INDEX cases_jar ON cases (area, jar, received_at, id);
CREATE INDEX cases_died ON cases (area, died_on);

-- Keyed digests of values that people search by (NHS number, family name). Never the values.
CREATE TABLE case_lookup (
    kind    TEXT NOT NULL,
    digest  BLOB NOT NULL,
    case_id BLOB NOT NULL CHECK (length(case_id) = 16),
    PRIMARY KEY (kind, digest, case_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_lookup_case ON case_lookup (case_id);

-- Read table: what each agency is owed. `rank` only ever rises.
CREATE TABLE alert (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    case_id         BLOB    NOT NULL CHECK (length(case_id) = 16),
    agency          TEXT    NOT NULL,
    agency_name     TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    acknowledge     INTEGER NOT NULL CHECK (acknowledge IN (0, 1)),
    state           TEXT    NOT NULL,
    rank            INTEGER NOT NULL,
    planned_at      TEXT    NOT NULL,
    notice          TEXT    NOT NULL CHECK (json_valid(notice))
) STRICT;
CREATE INDEX alert_case ON alert (case_id);
CREATE INDEX alert_open ON alert (planned_at) WHERE acknowledge = 1 AND rank < 6;

-- The outbox: one message to one contact point. due -> leased -> done | dead | cancelled, or back.
CREATE TABLE delivery (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    alert_id     BLOB    NOT NULL CHECK (length(alert_id) = 16),
    lane         TEXT    NOT NULL,
    channel      TEXT    NOT NULL,
    address      TEXT    NOT NULL,
    urgent       INTEGER NOT NULL CHECK (urgent IN (0, 1)),
    state        TEXT    NOT NULL CHECK (state IN ('due', 'leased', 'done', 'dead', 'cancelled')),
    next_at      TEXT    NOT NULL,
    lease_until  TEXT,
    lease_token  INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    created_at   TEXT    NOT NULL,
    last_outcome TEXT
) STRICT;
CREATE INDEX delivery_alert ON delivery (alert_id);
CREATE INDEX delivery_due ON delivery (lane, urgent DESC, next_at) WHERE state = 'due';
CREATE INDEX delivery_leased ON delivery (lease_until) WHERE state = 'leased';
CREATE INDEX delivery_dead ON delivery (created_at) WHERE state = 'dead';

-- Every attempt, kept for ever: the proof of who was tried when.
CREATE TABLE attempt (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id BLOB    NOT NULL CHECK (length(delivery_id) = 16),
    alert_id    BLOB    NOT NULL CHECK (length(alert_id) = 16),
    n           INTEGER NOT NULL,
    at          TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    code        INTEGER,
    took_ms     INTEGER NOT NULL,
    state       TEXT    NOT NULL
) STRICT;
CREATE INDEX attempt_alert ON attempt (alert_id);
CREATE TRIGGER attempt_no_update BEFORE UPDATE ON attempt BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
CREATE TRIGGER attempt_no_delete BEFORE DELETE ON attempt BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;

-- The first answer to a key, given again to whoever repeats it. Key and body as keyed digests.
CREATE TABLE idempotency (
    digest BLOB    NOT NULL PRIMARY KEY,
    body   BLOB    NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT    NOT NULL,
    at     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);

-- Who looked at or did what, beside the journal.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    case_id BLOB
) STRICT;
CREATE INDEX audit_case ON audit (case_id, at);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TABLE panel (
    id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    area       TEXT NOT NULL,
    name       TEXT NOT NULL,
    held_on    TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX panel_area ON panel (area, held_on);

-- Read table, remade from the journal.
CREATE TABLE panel_case (
    panel_id            BLOB NOT NULL CHECK (length(panel_id) = 16),
    case_id             BLOB NOT NULL CHECK (length(case_id) = 16),
    anonymous_reference TEXT NOT NULL,
    listed_at           TEXT NOT NULL,
    PRIMARY KEY (panel_id, case_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX panel_case_case ON panel_case (case_id);

CREATE TABLE user_account (
    id            BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL,
    area          TEXT NOT NULL,
    agency        TEXT,
    password_hash TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    disabled_at   TEXT
) STRICT;

CREATE TABLE session (
    digest     BLOB NOT NULL PRIMARY KEY,
    user_id    BLOB NOT NULL REFERENCES user_account (id),
    csrf       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    seen_at    TEXT NOT NULL,
    ends_at    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of_user ON session (user_id);

CREATE TABLE api_token (
    id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    digest     BLOB NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    area       TEXT NOT NULL,
    agency     TEXT,
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT;

CREATE TABLE export (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at         TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    area       TEXT    NOT NULL,
    from_day   TEXT    NOT NULL,
    to_day     TEXT    NOT NULL,
    format     TEXT    NOT NULL,
    cases      INTEGER NOT NULL,
    sha256     TEXT    NOT NULL
) STRICT;
CREATE INDEX export_period ON export (area, from_day, to_day, format, at);

CREATE TABLE counter (
    name TEXT    NOT NULL PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys the service made for itself, wrapped by the master key.
CREATE TABLE service_key (
    name        TEXT NOT NULL PRIMARY KEY,
    key_name    TEXT NOT NULL,
    wrapped_key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
