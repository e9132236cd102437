-- Notifications that somebody has begun, and for a while those that were sent.

-- The content is sealed under a key of the draft's own; the resume code is kept as a keyed digest.
CREATE TABLE draft (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    code       BLOB    NOT NULL UNIQUE CHECK (length(code) = 32),
    area       TEXT    NOT NULL,
    -- The page that was saved last.
    step       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    started_at TEXT    NOT NULL,
    changed_at TEXT    NOT NULL,
    expires_at TEXT    NOT NULL,
    sent_at    TEXT,
    case_id    BLOB    CHECK (length(case_id) = 16),
    sealed     BLOB    NOT NULL
) STRICT;
CREATE INDEX draft_waiting ON draft (started_at) WHERE sent_at IS NULL;
CREATE INDEX draft_expires ON draft (expires_at);
