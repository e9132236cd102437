-- Answers to requests that came with a key tell of a case: they go with it when it is destroyed. Those
-- of before are found by the reference that they name.
ALTER TABLE idempotency ADD COLUMN case_id BLOB;
