-- Documents of cases. What they are called and hold is in the journal and in the parts, sealed under
-- the case's key.

-- Content that arrives or has arrived. What is not kept yet is shown nowhere and swept away.
CREATE TABLE document (
    id         uuid        NOT NULL PRIMARY KEY,
    case_id    uuid        NOT NULL,
    started_at timestamptz NOT NULL,
    kept       boolean     NOT NULL DEFAULT FALSE
);
CREATE INDEX document_case ON document (case_id);
CREATE INDEX document_arriving ON document (started_at) WHERE NOT kept;

CREATE TABLE document_part (
    document_id uuid   NOT NULL,
    n           bigint NOT NULL,
    sealed      bytea  NOT NULL,
    PRIMARY KEY (document_id, n)
);
