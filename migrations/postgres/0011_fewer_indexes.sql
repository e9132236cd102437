-- Each acceptance wrote these and nothing read them any more: lists have rows of their own
-- (`case_line`), and an export walks by id.
DROP INDEX cases_received;
DROP INDEX cases_stage;
DROP INDEX cases_jar;
DROP INDEX cases_died;

-- A digest covers its kind: one key by digest finds what the key by kind and the index by digest
-- found, with one random page to write for each value and not two.
ALTER TABLE case_lookup DROP CONSTRAINT case_lookup_pkey;
DROP INDEX case_lookup_digest;
ALTER TABLE case_lookup ADD PRIMARY KEY (digest, case_id);

-- The watcher each minute, and the board of all, want what is owed: a handful among all there ever was.
DROP INDEX alert_open;
CREATE INDEX alert_owed ON alert (id, case_id) WHERE phase IN ('climbing', 'ringing', 'acting');
