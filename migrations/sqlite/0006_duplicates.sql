-- Second reports of one death, and cases that may be about the same one.

-- The case that this one is an account of. Read column, remade from the journal.
ALTER TABLE cases ADD COLUMN account_of BLOB CHECK (account_of IS NULL OR length(account_of) = 16);
CREATE INDEX cases_account_of ON cases (account_of) WHERE account_of IS NOT NULL;
CREATE INDEX cases_changed ON cases (changed_at);

-- Cases are found by any of many digests, whatever their kind.
CREATE INDEX case_lookup_digest ON case_lookup (digest, case_id);

-- Pairs of cases that are alike, and what a person decided about them; `case_id` is the later of
-- the two. Read table, remade from the journal. Why they are alike is not in it.
CREATE TABLE likeness (
    case_id  BLOB NOT NULL CHECK (length(case_id) = 16),
    other_id BLOB NOT NULL CHECK (length(other_id) = 16),
    verdict  TEXT NOT NULL,
    decided  TEXT NOT NULL,
    at       TEXT NOT NULL,
    -- Keyed digest of what was compared: a pair that was decided is not offered again while it stands.
    seen     TEXT NOT NULL,
    PRIMARY KEY (case_id, other_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX likeness_other ON likeness (other_id);
CREATE INDEX likeness_open ON likeness (at) WHERE decided = '';
