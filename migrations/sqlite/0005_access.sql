-- Restricted cases, break-glass, the reasons of looks, legal holds and destruction.

-- Read columns, remade from the journal.
ALTER TABLE cases ADD COLUMN restricted INTEGER NOT NULL DEFAULT 0 CHECK (restricted IN (0, 1));
ALTER TABLE cases ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));

-- Who may open a restricted case. Read table, remade from the journal.
CREATE TABLE case_person (
    case_id BLOB NOT NULL CHECK (length(case_id) = 16),
    user_id BLOB NOT NULL CHECK (length(user_id) = 16),
    PRIMARY KEY (case_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_person_user ON case_person (user_id);

-- Who opened a restricted case without being on its list. The reason is in the journal, sealed.
-- Read table, remade from the journal.
CREATE TABLE glass (
    case_id     BLOB NOT NULL CHECK (length(case_id) = 16),
    user_id     BLOB NOT NULL CHECK (length(user_id) = 16),
    at          TEXT NOT NULL,
    until_at    TEXT NOT NULL,
    role        TEXT NOT NULL,
    reviewed_at TEXT,
    PRIMARY KEY (case_id, user_id, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX glass_user ON glass (user_id, until_at);
CREATE INDEX glass_open ON glass (at) WHERE reviewed_at IS NULL;

-- In which role somebody looked, and why where that is known: a word, never free text.
ALTER TABLE audit ADD COLUMN role TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN purpose TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_actor ON audit (actor, at);

-- A case's key was destroyed, or is to be: asked for by one person, done by another.
CREATE TABLE destruction (
    case_id      BLOB    NOT NULL PRIMARY KEY CHECK (length(case_id) = 16),
    reference    TEXT    NOT NULL,
    area         TEXT    NOT NULL,
    rule         TEXT    NOT NULL,
    received_at  TEXT    NOT NULL,
    asked_at     TEXT    NOT NULL,
    asked_by     TEXT    NOT NULL,
    confirmed_at TEXT,
    confirmed_by TEXT,
    -- Length and end of the journal that stays, unreadable.
    version      INTEGER,
    head         BLOB
) STRICT, WITHOUT ROWID;
