-- add_objects --
-- Content that came in memory, in the transaction of its rows; see schema/sql/cluster_storage_area.sql.
-- Locks: the new rows of StorageArea, until commit.
SELECT cluster.add_objects(%(uuids)s::text[], %(types)s::integer[], %(contents)b::bytea[])

-- claim_streamed_objects --
-- Content that a transaction of its own wrote, in the transaction of its rows.
-- Locks: rows of StorageArea FOR KEY SHARE, until commit.
SELECT cluster.claim_streamed_objects(%(uuids)s::text[])

-- remove_unnamed_objects --
-- What was brought in vain.
-- Locks: rows of StorageArea that go, until commit.
SELECT cluster.remove_unnamed_objects(%(uuids)s::text[], %(owners)s::text[])

-- begin_object --
-- A new large object, open for writing until the transaction ends.
-- Locks: none that anybody could wait for.
SELECT n.object, lo_open(n.object, 131072) FROM (SELECT lo_create(0) AS object) n

-- write_object --
-- The next bytes.
-- Locks: none that anybody could wait for.
SELECT lowrite(%(descriptor)s, %(data)b)

-- note_streamed_object --
-- Makes the object an attachment that is to be claimed.
-- Locks: the new rows, until commit.
SELECT cluster.note_streamed_object(%(uuid)s::text, %(type)s::integer, %(object)s::oid)

-- remove_objects --
-- Objects and their rows; missing ones are no error.
-- Locks: rows of StorageArea that go, until commit.
SELECT cluster.remove_objects(%(uuids)s::text[])

-- age_of_object --
-- Seconds since it was streamed.
-- Locks: none.
SELECT cluster.age_of_object(%(uuid)s::text)

-- read_object --
-- A range of an object.
-- Locks: none.
SELECT cluster.read_object(%(uuid)s::text, %(start)s::bigint, %(wanted)s::integer)

-- size_of_object --
-- Locks: none.
SELECT cluster.size_of_object(%(uuid)s::text)
