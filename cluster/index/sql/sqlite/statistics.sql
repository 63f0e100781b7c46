-- read_statistics --
-- Sizes are kept by triggers, numbers are counted.
SELECT g.key, g.value FROM GlobalIntegers g WHERE g.key IN (0, 1)
 UNION ALL
SELECT r.resourceType + 1, count(*) FROM Resources r GROUP BY r.resourceType

-- fold_statistics --
-- Nothing is pending here.
SELECT 0

-- recount_children --
-- Children are counted where they are asked for.
SELECT 0

-- count_missing_children --
SELECT 0

-- count_lock_waits --
-- Writers wait in this process, not for locks of the database.
SELECT 0
