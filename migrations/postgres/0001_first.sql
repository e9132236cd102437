-- The first schema. The same names stand in migrations/sqlite; a test compares the two.

-- One stream of events per case, with its head and the case's wrapped data key. Destroying the key
-- (NULL) makes everything of the case unreadable and breaks no chain.
CREATE TABLE stream (
    id             uuid NOT NULL PRIMARY KEY,
    version        bigint NOT NULL,
    head           bytea NOT NULL CHECK (length(head) = 32),
    sealed_version bigint NOT NULL DEFAULT 0,
    key_name       text,
    wrapped_key    bytea
);
CREATE INDEX stream_unsealed ON stream (id) WHERE version > sealed_version;
CREATE INDEX stream_key_name ON stream (key_name);

-- The source of truth. `payload` is sealed under the case's key; `hash` chains what is stored.
CREATE TABLE journal (
    seq       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id uuid NOT NULL,
    version   bigint NOT NULL,
    name      text NOT NULL,
    at        timestamptz NOT NULL,
    actor     text NOT NULL,
    payload   bytea NOT NULL,
    hash      bytea NOT NULL CHECK (length(hash) = 32),
    UNIQUE (stream_id, version)
);

-- Seals over the heads of all streams that changed, each over the one before.
CREATE TABLE seal (
    n        bigint NOT NULL PRIMARY KEY,
    at       timestamptz NOT NULL,
    previous bytea NOT NULL CHECK (length(previous) = 32),
    root     bytea NOT NULL CHECK (length(root) = 32),
    heads    bigint NOT NULL
);
CREATE TABLE seal_head (
    seal_n    bigint NOT NULL,
    stream_id uuid NOT NULL,
    version   bigint NOT NULL,
    head      bytea NOT NULL CHECK (length(head) = 32),
    PRIMARY KEY (seal_n, stream_id)
);
CREATE INDEX seal_head_stream ON seal_head (stream_id, version);

-- Read table: one row per case, remade from the journal by `cdr journal rebuild`.
CREATE TABLE cases (
    id           uuid NOT NULL PRIMARY KEY,
    reference    text NOT NULL UNIQUE,
    area         text NOT NULL,
    stage        text NOT NULL,
    jar          text NOT NULL,
    in_scope     boolean NOT NULL,
    ready        boolean NOT NULL,
    event        text,
    age_band     text,
    category     bigint,
    received_at  timestamptz NOT NULL,
    died_on      date,
    blockers     text NOT NULL,
    version      bigint NOT NULL,
    changed_at   timestamptz NOT NULL,
    sealed_facts bytea NOT NULL
);
CREATE INDEX cases_received ON cases (area, received_at, id);
CREATE INDEX cases_stage ON cases (area, stage, received_at, id);
CREATE INDEX cases_jar ON cases (area, jar, received_at, id);
CREATE INDEX cases_died ON cases (area, died_on);

-- Keyed digests of values that people search by (NHS number, family name). Never the values.
CREATE TABLE case_lookup (
    kind    text NOT NULL,
    digest  bytea NOT NULL,
    case_id uuid NOT NULL,
    PRIMARY KEY (kind, digest, case_id)
);
CREATE INDEX case_lookup_case ON case_lookup (case_id);

-- Read table: what each agency is owed. `rank` only ever rises.
CREATE TABLE alert (
    id              uuid NOT NULL PRIMARY KEY,
    case_id         uuid NOT NULL,
    agency          text NOT NULL,
    agency_name     text NOT NULL,
    kind            text NOT NULL,
    acknowledge     boolean NOT NULL,
    state           text NOT NULL,
    rank            bigint NOT NULL,
    planned_at      timestamptz NOT NULL,
    notice          text NOT NULL
);
CREATE INDEX alert_case ON alert (case_id);
CREATE INDEX alert_open ON alert (planned_at) WHERE acknowledge AND rank < 6;

-- The outbox: one message to one contact point. due -> leased -> done | dead | cancelled, or back.
CREATE TABLE delivery (
    id           uuid NOT NULL PRIMARY KEY,
    alert_id     uuid NOT NULL,
    lane         text NOT NULL,
    channel      text NOT NULL,
    address      text NOT NULL,
    urgent       boolean NOT NULL,
    state        text NOT NULL CHECK (state IN ('due', 'leased', 'done', 'dead', 'cancelled')),
    next_at      timestamptz NOT NULL,
    lease_until  timestamptz,
    lease_token  bigint NOT NULL DEFAULT 0,
    attempts     bigint NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL,
    last_outcome text
);
CREATE INDEX delivery_alert ON delivery (alert_id);
CREATE INDEX delivery_due ON delivery (lane, urgent DESC, next_at) WHERE state = 'due';
CREATE INDEX delivery_leased ON delivery (lease_until) WHERE state = 'leased';
CREATE INDEX delivery_dead ON delivery (created_at) WHERE state = 'dead';

-- Every attempt, kept for ever: the proof of who was tried when.
CREATE TABLE attempt (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id uuid NOT NULL,
    alert_id    uuid NOT NULL,
    n           bigint NOT NULL,
    at          timestamptz NOT NULL,
    outcome     text NOT NULL,
    code        bigint,
    took_ms     bigint NOT NULL,
    state       text NOT NULL
);
CREATE INDEX attempt_alert ON attempt (alert_id);

-- The first answer to a key, given again to whoever repeats it. Key and body as keyed digests.
CREATE TABLE idempotency (
    digest bytea NOT NULL PRIMARY KEY,
    body   bytea NOT NULL,
    status bigint NOT NULL,
    answer text NOT NULL,
    at     timestamptz NOT NULL
);
CREATE INDEX idempotency_at ON idempotency (at);

-- Who looked at or did what, beside the journal.
CREATE TABLE audit (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    actor   text NOT NULL,
    action  text NOT NULL,
    case_id uuid
);
CREATE INDEX audit_case ON audit (case_id, at);

CREATE TABLE panel (
    id         uuid NOT NULL PRIMARY KEY,
    area       text NOT NULL,
    name       text NOT NULL,
    held_on    date NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX panel_area ON panel (area, held_on);

-- Read table, remade from the journal.
CREATE TABLE panel_case (
    panel_id            uuid NOT NULL,
    case_id             uuid NOT NULL,
    anonymous_reference text NOT NULL,
    listed_at           timestamptz NOT NULL,
    PRIMARY KEY (panel_id, case_id)
);
CREATE INDEX panel_case_case ON panel_case (case_id);

CREATE TABLE user_account (
    id            uuid NOT NULL PRIMARY KEY,
    email         text NOT NULL UNIQUE,
    name          text NOT NULL,
    role          text NOT NULL,
    area          text NOT NULL,
    agency        text,
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL,
    disabled_at   timestamptz
);

CREATE TABLE session (
    digest     bytea NOT NULL PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES user_account (id),
    csrf       text NOT NULL,
    created_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL
);
CREATE INDEX session_of_user ON session (user_id);

CREATE TABLE api_token (
    id         uuid NOT NULL PRIMARY KEY,
    digest     bytea NOT NULL UNIQUE,
    name       text NOT NULL,
    scopes     text NOT NULL,
    area       text NOT NULL,
    agency     text,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE TABLE export (
    id         uuid NOT NULL PRIMARY KEY,
    at         timestamptz NOT NULL,
    actor      text NOT NULL,
    area       text NOT NULL,
    from_day   date NOT NULL,
    to_day     date NOT NULL,
    format     text NOT NULL,
    cases      bigint NOT NULL,
    sha256     text NOT NULL
);
CREATE INDEX export_period ON export (area, from_day, to_day, format, at);

CREATE TABLE counter (
    name text NOT NULL PRIMARY KEY,
    next bigint NOT NULL
);

-- Keys the service made for itself, wrapped by the master key.
CREATE TABLE service_key (
    name        text NOT NULL PRIMARY KEY,
    key_name    text NOT NULL,
    wrapped_key bytea NOT NULL
);

CREATE TABLE setting (
    name  text NOT NULL PRIMARY KEY,
    value text NOT NULL
);

-- Rows of these tables are never changed or removed.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER journal_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON journal FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER seal_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON seal FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER seal_head_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON seal_head FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER attempt_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON attempt FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
