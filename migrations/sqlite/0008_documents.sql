-- Documents of cases. What they are called and hold is in the journal and in the parts, sealed under
-- the case's key.

-- Content that arrives or has arrived. What is not kept yet is shown nowhere and swept away.
CREATE TABLE document (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    case_id    BLOB    NOT NULL CHECK (length(case_id) = 16),
    started_at TEXT    NOT NULL,
    kept       INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1))
) STRICT;
CREATE INDEX document_case ON document (case_id);
CREATE INDEX document_arriving ON document (started_at) WHERE NOT kept;

CREATE TABLE document_part (
    document_id BLOB    NOT NULL CHECK (length(document_id) = 16),
    n           INTEGER NOT NULL,
    sealed      BLOB    NOT NULL,
    PRIMARY KEY (document_id, n)
) STRICT;
