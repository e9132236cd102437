-- The coordinator's desk: one narrow row per case for lists, and what each person chose.

-- Read table, remade from the journal. Lists filter, sort and count here: the rows of `cases` hold
-- sealed facts and are many times as long.
CREATE TABLE case_line (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    reference     TEXT    NOT NULL,
    area          TEXT    NOT NULL,
    stage         TEXT    NOT NULL,
    stage_rank    INTEGER NOT NULL,
    jar           TEXT    NOT NULL,
    ready         INTEGER NOT NULL CHECK (ready IN (0, 1)),
    age_rank      INTEGER,
    category      INTEGER,
    received_at   TEXT    NOT NULL,
    died_on       TEXT,
    restricted    INTEGER NOT NULL CHECK (restricted IN (0, 1)),
    -- One bit for each thing that a case can wait for.
    waits         INTEGER NOT NULL,
    -- The last day on which something it waits for is expected.
    next_date     TEXT,
    -- The next clock that runs; overdue is what lies before now, never stored.
    next_due      TEXT,
    next_due_kind TEXT,
    assigned_to   BLOB,
    -- While a hand-over has not been taken.
    handed_at     TEXT,
    handed_by     BLOB,
    -- By which rules the row was made; rows made by others are made anew.
    rule          TEXT    NOT NULL
) STRICT;
CREATE INDEX case_line_received ON case_line (area, received_at, id);
CREATE INDEX case_line_died ON case_line (area, died_on, id);
CREATE INDEX case_line_age ON case_line (area, age_rank, id);
CREATE INDEX case_line_stage ON case_line (area, stage_rank, id);
CREATE INDEX case_line_due ON case_line (area, next_due, id);
CREATE INDEX case_line_assigned ON case_line (assigned_to);
CREATE INDEX case_line_handed ON case_line (handed_by) WHERE handed_by IS NOT NULL;
CREATE INDEX case_line_rule ON case_line (area, rule);
-- Until the service has made them anew, with what is sealed.
INSERT INTO case_line (id, reference, area, stage, stage_rank, jar, ready, category, received_at, died_on, restricted, waits, rule)
SELECT id, reference, area, stage, 0, jar, ready, category, received_at, died_on, restricted, 0, '' FROM cases;

-- What a person chose for their desk.
CREATE TABLE desk (
    user_id      BLOB    NOT NULL PRIMARY KEY CHECK (length(user_id) = 16),
    seen_at      TEXT,
    columns      TEXT    NOT NULL DEFAULT '',
    keys_on      INTEGER NOT NULL DEFAULT 1 CHECK (keys_on IN (0, 1)),
    default_view BLOB
) STRICT, WITHOUT ROWID;

-- Filters, order and columns under a name. Names are somebody's words and sealed.
CREATE TABLE saved_view (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner      BLOB    NOT NULL CHECK (length(owner) = 16),
    area       TEXT    NOT NULL,
    shared     INTEGER NOT NULL CHECK (shared IN (0, 1)),
    name       TEXT    NOT NULL,
    query      TEXT    NOT NULL,
    created_at TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX saved_view_owner ON saved_view (owner);
