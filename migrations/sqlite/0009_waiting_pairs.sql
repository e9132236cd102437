-- Pairs that wait for a person, found without looking at those that do not: twins, siblings and
-- namesakes are many more.
DROP INDEX likeness_open;
CREATE INDEX likeness_waiting ON likeness (at) WHERE decided = '' AND verdict IN ('perhaps', 'same');
