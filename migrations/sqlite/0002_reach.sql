-- Obligations with a next step, several providers, a directory that people edit, and the watcher.

-- Where each obligation stands. The ladder itself is in the journal, sealed with the case.
ALTER TABLE alert ADD COLUMN phase TEXT NOT NULL DEFAULT 'untracked';
ALTER TABLE alert ADD COLUMN step_at TEXT;
-- Messages sent: 0 is the first rung.
ALTER TABLE alert ADD COLUMN steps INTEGER NOT NULL DEFAULT 0;
-- Nothing of the last step could be sent: the next one need not wait.
ALTER TABLE alert ADD COLUMN hurry INTEGER NOT NULL DEFAULT 0 CHECK (hurry IN (0, 1));
ALTER TABLE alert ADD COLUMN drill INTEGER NOT NULL DEFAULT 0 CHECK (drill IN (0, 1));
-- Alerts of before were planned without a ladder: they are looked at once, at once.
UPDATE alert SET phase = 'climbing', step_at = planned_at WHERE acknowledge = 1 AND rank < 6;
CREATE INDEX alert_step ON alert (step_at) WHERE step_at IS NOT NULL;
CREATE INDEX alert_hurry ON alert (case_id) WHERE hurry;
CREATE INDEX alert_unanswered ON alert (planned_at) WHERE phase IN ('climbing', 'ringing');

-- Said instead of what the alert says: a reminder, word to whom it was handed on.
ALTER TABLE delivery ADD COLUMN kind TEXT;
-- Which step a message belongs to, who carried it, and what the carrier said afterwards.
ALTER TABLE delivery ADD COLUMN step INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN provider TEXT;
ALTER TABLE delivery ADD COLUMN provider_id TEXT;
ALTER TABLE delivery ADD COLUMN receipt TEXT;
-- When the carrier is asked what became of it, if it has not said.
ALTER TABLE delivery ADD COLUMN ask_at TEXT;
CREATE INDEX delivery_ask ON delivery (ask_at) WHERE ask_at IS NOT NULL;
CREATE INDEX delivery_number ON delivery (address) WHERE channel IN ('sms', 'voice');
CREATE INDEX delivery_provider ON delivery (provider, provider_id) WHERE provider_id IS NOT NULL;

-- The service's own messages: to the named human, gaps, tests, codes. Deliveries point here as
-- they point to an alert.
CREATE TABLE bulletin (
    id       BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    area     TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    -- The alert it is about, if it is about one.
    alert_id BLOB,
    notice   TEXT    NOT NULL CHECK (json_valid(notice)),
    at       TEXT    NOT NULL
) STRICT;
CREATE INDEX bulletin_at ON bulletin (area, at);
CREATE INDEX bulletin_alert ON bulletin (alert_id) WHERE alert_id IS NOT NULL;

-- Texts and calls to one number within the last hour, by keyed digests: carriers block who sends
-- too many.
CREATE TABLE pace (
    number BLOB NOT NULL,
    body   BLOB NOT NULL,
    at     TEXT NOT NULL,
    id     BLOB NOT NULL,
    PRIMARY KEY (number, at, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pace_at ON pace (at);

-- Every version of an area's directory, sealed as a whole; the highest counts.
CREATE TABLE directory (
    area    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    at      TEXT    NOT NULL,
    actor   TEXT    NOT NULL,
    what    TEXT    NOT NULL,
    sealed  BLOB    NOT NULL,
    PRIMARY KEY (area, version)
) STRICT, WITHOUT ROWID;

-- What is known of a contact point, by its lane; the address as a keyed digest, so that a changed
-- address starts anew.
CREATE TABLE point (
    lane         TEXT NOT NULL PRIMARY KEY,
    area         TEXT NOT NULL,
    address      BLOB NOT NULL,
    verified_at  TEXT,
    worked_at    TEXT,
    failed_at    TEXT,
    unusable     TEXT,
    code_digest  BLOB,
    code_until   TEXT,
    code_tries   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX point_area ON point (area);
CREATE INDEX point_address ON point (address);

-- Call-backs already taken: a replay changes nothing.
CREATE TABLE hook_seen (
    digest BLOB NOT NULL PRIMARY KEY,
    at     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hook_seen_at ON hook_seen (at);

-- Call-backs that fit nothing we sent: kept without their content, for an operator to see.
CREATE TABLE stray (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       TEXT NOT NULL,
    provider TEXT NOT NULL,
    what     TEXT NOT NULL
) STRICT;

-- Daily and weekly work, done once whoever does it.
CREATE TABLE done (
    what TEXT NOT NULL,
    day  TEXT NOT NULL,
    at   TEXT NOT NULL,
    PRIMARY KEY (what, day)
) STRICT, WITHOUT ROWID;

-- What the watcher found and could not mend; open until it is gone.
CREATE TABLE finding (
    what      TEXT NOT NULL PRIMARY KEY,
    area      TEXT NOT NULL,
    words     TEXT NOT NULL,
    since     TEXT NOT NULL,
    seen_at   TEXT NOT NULL,
    raised_at TEXT
) STRICT, WITHOUT ROWID;
