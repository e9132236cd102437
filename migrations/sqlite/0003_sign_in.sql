-- Second factors, passkeys, sign-ins made elsewhere, invitations, and limits that hold on every node.

-- 'full', or 'enrol': may only set up how it signs in.
ALTER TABLE session ADD COLUMN stage TEXT NOT NULL DEFAULT 'full';
ALTER TABLE session ADD COLUMN how TEXT NOT NULL DEFAULT 'password';
-- A browser and a system, in two words; never the whole user agent.
ALTER TABLE session ADD COLUMN device TEXT NOT NULL DEFAULT '';
CREATE INDEX session_ends ON session (ends_at);

-- What an audit line is about, when that is no case: an account.
ALTER TABLE audit ADD COLUMN about TEXT;

-- The secret is sealed; the last step is kept so that a code works once.
CREATE TABLE totp (
    user_id      BLOB    NOT NULL PRIMARY KEY REFERENCES user_account (id),
    sealed       BLOB    NOT NULL,
    confirmed_at TEXT,
    last_step    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_code (
    user_id BLOB NOT NULL REFERENCES user_account (id),
    digest  BLOB NOT NULL,
    used_at TEXT,
    PRIMARY KEY (user_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE passkey (
    id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id    BLOB NOT NULL REFERENCES user_account (id),
    credential BLOB NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    -- Public key, counter and flags, as JSON.
    data       TEXT NOT NULL CHECK (json_valid(data)),
    created_at TEXT NOT NULL,
    used_at    TEXT
) STRICT;
CREATE INDEX passkey_of_user ON passkey (user_id);

-- Accounts elsewhere, by issuer and subject; never by address.
CREATE TABLE outside_account (
    issuer    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    user_id   BLOB NOT NULL REFERENCES user_account (id),
    provider  TEXT NOT NULL,
    linked_at TEXT NOT NULL,
    used_at   TEXT,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX outside_account_of_user ON outside_account (user_id);

-- One-time links to set up an account. The link is made from the id under the service's key, so a
-- copy of this table opens nothing.
CREATE TABLE invitation (
    id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id    BLOB NOT NULL REFERENCES user_account (id),
    invited_by TEXT NOT NULL,
    invited_at TEXT NOT NULL,
    ends_at    TEXT NOT NULL,
    used_at    TEXT
) STRICT;
CREATE INDEX invitation_of_user ON invitation (user_id);

-- Sign-ins half way through (a code, a passkey or another service is awaited), by a digest of the
-- cookie; what they need is sealed.
CREATE TABLE sign_in_step (
    digest  BLOB NOT NULL PRIMARY KEY,
    kind    TEXT NOT NULL,
    sealed  BLOB NOT NULL,
    ends_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_step_ends ON sign_in_step (ends_at);

-- Budgets of attempts, by keyed digests: the moment (in milliseconds) up to which each is spent.
CREATE TABLE throttle (
    key      BLOB    NOT NULL PRIMARY KEY,
    spent_to INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX throttle_spent ON throttle (spent_to);

-- Browsers that have signed in before have a budget of their own.
CREATE TABLE known_device (
    digest  BLOB NOT NULL,
    user_id BLOB NOT NULL REFERENCES user_account (id),
    seen_at TEXT NOT NULL,
    PRIMARY KEY (digest, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_device_of_user ON known_device (user_id, seen_at);
