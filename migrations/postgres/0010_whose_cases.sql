-- A person's cases and hand-overs in the order of the list: without it, a list with nothing in it
-- walked every case of the area.
DROP INDEX case_line_assigned;
CREATE INDEX case_line_mine ON case_line (assigned_to, area, received_at, id);
CREATE INDEX case_line_handed_over ON case_line (area, received_at, id) WHERE handed_at IS NOT NULL;
