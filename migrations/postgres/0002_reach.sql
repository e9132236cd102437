-- Obligations with a next step, several providers, a directory that people edit, and the watcher.

-- Where each obligation stands. The ladder itself is in the journal, sealed with the case.
ALTER TABLE alert ADD COLUMN phase text NOT NULL DEFAULT 'untracked';
ALTER TABLE alert ADD COLUMN step_at timestamptz;
-- Messages sent: 0 is the first rung.
ALTER TABLE alert ADD COLUMN steps bigint NOT NULL DEFAULT 0;
-- Nothing of the last step could be sent: the next one need not wait.
ALTER TABLE alert ADD COLUMN hurry boolean NOT NULL DEFAULT FALSE;
ALTER TABLE alert ADD COLUMN drill boolean NOT NULL DEFAULT FALSE;
-- Alerts of before were planned without a ladder: they are looked at once, at once.
UPDATE alert SET phase = 'climbing', step_at = planned_at WHERE acknowledge AND rank < 6;
CREATE INDEX alert_step ON alert (step_at) WHERE step_at IS NOT NULL;
CREATE INDEX alert_hurry ON alert (case_id) WHERE hurry;
CREATE INDEX alert_unanswered ON alert (planned_at) WHERE phase IN ('climbing', 'ringing');

-- Said instead of what the alert says: a reminder, word to whom it was handed on.
ALTER TABLE delivery ADD COLUMN kind text;
-- Which step a message belongs to, who carried it, and what the carrier said afterwards.
ALTER TABLE delivery ADD COLUMN step bigint NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN provider text;
ALTER TABLE delivery ADD COLUMN provider_id text;
ALTER TABLE delivery ADD COLUMN receipt text;
-- When the carrier is asked what became of it, if it has not said.
ALTER TABLE delivery ADD COLUMN ask_at timestamptz;
CREATE INDEX delivery_ask ON delivery (ask_at) WHERE ask_at IS NOT NULL;
CREATE INDEX delivery_number ON delivery (address) WHERE channel IN ('sms', 'voice');
CREATE INDEX delivery_provider ON delivery (provider, provider_id) WHERE provider_id IS NOT NULL;

-- The service's own messages: to the named human, gaps, tests, codes. Deliveries point here as
-- they point to an alert.
CREATE TABLE bulletin (
    id       uuid NOT NULL PRIMARY KEY,
    area     text NOT NULL,
    kind     text NOT NULL,
    -- The alert it is about, if it is about one.
    alert_id uuid,
    notice   text NOT NULL,
    at       timestamptz NOT NULL
);
CREATE INDEX bulletin_at ON bulletin (area, at);
CREATE INDEX bulletin_alert ON bulletin (alert_id) WHERE alert_id IS NOT NULL;

-- Texts and calls to one number within the last hour, by keyed digests: carriers block who sends
-- too many.
CREATE TABLE pace (
    number bytea NOT NULL,
    body   bytea NOT NULL,
    at     timestamptz NOT NULL,
    id     uuid NOT NULL,
    PRIMARY KEY (number, at, id)
);
CREATE INDEX pace_at ON pace (at);

-- Every version of an area's directory, sealed as a whole; the highest counts.
CREATE TABLE directory (
    area    text NOT NULL,
    version bigint NOT NULL,
    at      timestamptz NOT NULL,
    actor   text NOT NULL,
    what    text NOT NULL,
    sealed  bytea NOT NULL,
    PRIMARY KEY (area, version)
);

-- What is known of a contact point, by its lane; the address as a keyed digest, so that a changed
-- address starts anew.
CREATE TABLE point (
    lane         text NOT NULL PRIMARY KEY,
    area         text NOT NULL,
    address      bytea NOT NULL,
    verified_at  timestamptz,
    worked_at    timestamptz,
    failed_at    timestamptz,
    unusable     text,
    code_digest  bytea,
    code_until   timestamptz,
    code_tries   bigint NOT NULL DEFAULT 0
);
CREATE INDEX point_area ON point (area);
CREATE INDEX point_address ON point (address);

-- Call-backs already taken: a replay changes nothing.
CREATE TABLE hook_seen (
    digest bytea NOT NULL PRIMARY KEY,
    at     timestamptz NOT NULL
);
CREATE INDEX hook_seen_at ON hook_seen (at);

-- Call-backs that fit nothing we sent: kept without their content, for an operator to see.
CREATE TABLE stray (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL,
    provider text NOT NULL,
    what     text NOT NULL
);

-- Daily and weekly work, done once whoever does it.
CREATE TABLE done (
    what text NOT NULL,
    day  text NOT NULL,
    at   timestamptz NOT NULL,
    PRIMARY KEY (what, day)
);

-- What the watcher found and could not mend; open until it is gone.
CREATE TABLE finding (
    what      text NOT NULL PRIMARY KEY,
    area      text NOT NULL,
    words     text NOT NULL,
    since     timestamptz NOT NULL,
    seen_at   timestamptz NOT NULL,
    raised_at timestamptz
);
