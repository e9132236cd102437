-- Notifications that somebody has begun, and for a while those that were sent.

-- The content is sealed under a key of the draft's own; the resume code is kept as a keyed digest.
CREATE TABLE draft (
    id         uuid NOT NULL PRIMARY KEY,
    code       bytea NOT NULL UNIQUE,
    area       text NOT NULL,
    -- The page that was saved last.
    step       text NOT NULL,
    version    bigint NOT NULL,
    started_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    sent_at    timestamptz,
    case_id    uuid,
    sealed     bytea NOT NULL
);
CREATE INDEX draft_waiting ON draft (started_at) WHERE sent_at IS NULL;
CREATE INDEX draft_expires ON draft (expires_at);
