-- The coordinator's desk: one narrow row per case for lists, and what each person chose.

-- Read table, remade from the journal. Lists filter, sort and count here: the rows of `cases` hold
-- sealed facts and are many times as long.
CREATE TABLE case_line (
    id            uuid NOT NULL PRIMARY KEY,
    reference     text    NOT NULL,
    area          text    NOT NULL,
    stage         text    NOT NULL,
    stage_rank    bigint NOT NULL,
    jar           text    NOT NULL,
    ready         boolean NOT NULL,
    age_rank      bigint,
    category      bigint,
    received_at   timestamptz    NOT NULL,
    died_on       date,
    restricted    boolean NOT NULL,
    -- One bit for each thing that a case can wait for.
    waits         bigint NOT NULL,
    -- The last day on which something it waits for is expected.
    next_date     date,
    -- The next clock that runs; overdue is what lies before now, never stored.
    next_due      timestamptz,
    next_due_kind text,
    assigned_to   uuid,
    -- While a hand-over has not been taken.
    handed_at     timestamptz,
    handed_by     uuid,
    -- By which rules the row was made; rows made by others are made anew.
    rule          text    NOT NULL
);
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
    user_id      uuid NOT NULL PRIMARY KEY,
    seen_at      timestamptz,
    columns      text    NOT NULL DEFAULT '',
    keys_on      boolean NOT NULL DEFAULT TRUE,
    default_view uuid
);

-- Filters, order and columns under a name. Names are somebody's words and sealed.
CREATE TABLE saved_view (
    id         uuid NOT NULL PRIMARY KEY,
    owner      uuid NOT NULL,
    area       text    NOT NULL,
    shared     boolean NOT NULL,
    name       text    NOT NULL,
    query      text    NOT NULL,
    created_at timestamptz    NOT NULL
);
CREATE INDEX saved_view_owner ON saved_view (owner);
