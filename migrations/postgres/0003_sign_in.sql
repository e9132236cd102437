-- Second factors, passkeys, sign-ins made elsewhere, invitations, and limits that hold on every node.

-- 'full', or 'enrol': may only set up how it signs in.
ALTER TABLE session ADD COLUMN stage text NOT NULL DEFAULT 'full';
ALTER TABLE session ADD COLUMN how text NOT NULL DEFAULT 'password';
-- A browser and a system, in two words; never the whole user agent.
ALTER TABLE session ADD COLUMN device text NOT NULL DEFAULT '';
CREATE INDEX session_ends ON session (ends_at);

-- What an audit line is about, when that is no case: an account.
ALTER TABLE audit ADD COLUMN about text;

-- The secret is sealed; the last step is kept so that a code works once.
CREATE TABLE totp (
    user_id      uuid NOT NULL PRIMARY KEY REFERENCES user_account (id),
    sealed       bytea NOT NULL,
    confirmed_at timestamptz,
    last_step    bigint NOT NULL DEFAULT 0
);

CREATE TABLE recovery_code (
    user_id uuid NOT NULL REFERENCES user_account (id),
    digest  bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, digest)
);

CREATE TABLE passkey (
    id         uuid NOT NULL PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES user_account (id),
    credential bytea NOT NULL UNIQUE,
    name       text NOT NULL,
    -- Public key, counter and flags, as JSON.
    data       text NOT NULL,
    created_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX passkey_of_user ON passkey (user_id);

-- Accounts elsewhere, by issuer and subject; never by address.
CREATE TABLE outside_account (
    issuer    text NOT NULL,
    subject   text NOT NULL,
    user_id   uuid NOT NULL REFERENCES user_account (id),
    provider  text NOT NULL,
    linked_at timestamptz NOT NULL,
    used_at   timestamptz,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX outside_account_of_user ON outside_account (user_id);

-- One-time links to set up an account. The link is made from the id under the service's key, so a
-- copy of this table opens nothing.
CREATE TABLE invitation (
    id         uuid NOT NULL PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES user_account (id),
    invited_by text NOT NULL,
    invited_at timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX invitation_of_user ON invitation (user_id);

-- Sign-ins half way through (a code, a passkey or another service is awaited), by a digest of the
-- cookie; what they need is sealed.
CREATE TABLE sign_in_step (
    digest  bytea NOT NULL PRIMARY KEY,
    kind    text NOT NULL,
    sealed  bytea NOT NULL,
    ends_at timestamptz NOT NULL
);
CREATE INDEX sign_in_step_ends ON sign_in_step (ends_at);

-- Budgets of attempts, by keyed digests: the moment (in milliseconds) up to which each is spent.
CREATE TABLE throttle (
    key      bytea NOT NULL PRIMARY KEY,
    spent_to bigint NOT NULL
);
CREATE INDEX throttle_spent ON throttle (spent_to);

-- Browsers that have signed in before have a budget of their own.
CREATE TABLE known_device (
    digest  bytea NOT NULL,
    user_id uuid NOT NULL REFERENCES user_account (id),
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (digest, user_id)
);
CREATE INDEX known_device_of_user ON known_device (user_id, seen_at);
