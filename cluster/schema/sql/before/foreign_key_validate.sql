-- The rows that were there before the new constraint.
-- Locks: SHARE UPDATE EXCLUSIVE on Resources, which no writer notices, while every row is checked.
ALTER TABLE Resources VALIDATE CONSTRAINT resources_parentid_fkey_next
