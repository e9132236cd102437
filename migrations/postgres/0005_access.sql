-- Restricted cases, break-glass, the reasons of looks, legal holds and destruction.

-- Read columns, remade from the journal.
ALTER TABLE cases ADD COLUMN restricted boolean NOT NULL DEFAULT FALSE;
ALTER TABLE cases ADD COLUMN held boolean NOT NULL DEFAULT FALSE;

-- Who may open a restricted case. Read table, remade from the journal.
CREATE TABLE case_person (
    case_id uuid NOT NULL,
    user_id uuid NOT NULL,
    PRIMARY KEY (case_id, user_id)
);
CREATE INDEX case_person_user ON case_person (user_id);

-- Who opened a restricted case without being on its list. The reason is in the journal, sealed.
-- Read table, remade from the journal.
CREATE TABLE glass (
    case_id     uuid NOT NULL,
    user_id     uuid NOT NULL,
    at          timestamptz NOT NULL,
    until_at    timestamptz NOT NULL,
    role        text NOT NULL,
    reviewed_at timestamptz,
    PRIMARY KEY (case_id, user_id, at)
);
CREATE INDEX glass_user ON glass (user_id, until_at);
CREATE INDEX glass_open ON glass (at) WHERE reviewed_at IS NULL;

-- In which role somebody looked, and why where that is known: a word, never free text.
ALTER TABLE audit ADD COLUMN role text NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN purpose text NOT NULL DEFAULT '';
CREATE INDEX audit_actor ON audit (actor, at);

-- A case's key was destroyed, or is to be: asked for by one person, done by another.
CREATE TABLE destruction (
    case_id      uuid NOT NULL PRIMARY KEY,
    reference    text NOT NULL,
    area         text NOT NULL,
    rule         text NOT NULL,
    received_at  timestamptz NOT NULL,
    asked_at     timestamptz NOT NULL,
    asked_by     text NOT NULL,
    confirmed_at timestamptz,
    confirmed_by text,
    -- Length and end of the journal that stays, unreadable.
    version      bigint,
    head         bytea
);
