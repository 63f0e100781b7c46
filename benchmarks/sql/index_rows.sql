-- last_ids --
-- Behind these, everything is new.
SELECT (SELECT coalesce(max(internalId), 0) FROM Resources), (SELECT coalesce(max(seq), 0) FROM Changes)

-- resources --
-- Parents before children.
COPY (SELECT internalId, resourceType, publicId, parentId, childCount
        FROM Resources WHERE internalId > %(last_id)s ORDER BY internalId) TO STDOUT

-- attached_files --
COPY (SELECT id, fileType, uuid, compressedSize, uncompressedSize, compressionType, uncompressedHash, compressedHash,
             revision
        FROM AttachedFiles WHERE id > %(last_id)s ORDER BY id, fileType) TO STDOUT

-- dicom_identifiers --
COPY (SELECT id, tagGroup, tagElement, value
        FROM DicomIdentifiers WHERE id > %(last_id)s ORDER BY id, tagGroup, tagElement) TO STDOUT

-- main_dicom_tags --
COPY (SELECT id, tagGroup, tagElement, value
        FROM MainDicomTags WHERE id > %(last_id)s ORDER BY id, tagGroup, tagElement) TO STDOUT

-- metadata --
COPY (SELECT id, type, value, revision FROM Metadata WHERE id > %(last_id)s ORDER BY id, type) TO STDOUT

-- changes --
COPY (SELECT seq, changeType, internalId, resourceType, date
        FROM Changes WHERE seq > %(last_change)s ORDER BY seq) TO STDOUT

-- load_resources --
COPY Resources (internalId, resourceType, publicId, parentId, childCount) FROM STDIN

-- load_attached_files --
COPY AttachedFiles (id, fileType, uuid, compressedSize, uncompressedSize, compressionType, uncompressedHash,
                    compressedHash, revision) FROM STDIN

-- load_dicom_identifiers --
COPY DicomIdentifiers (id, tagGroup, tagElement, value) FROM STDIN

-- load_main_dicom_tags --
COPY MainDicomTags (id, tagGroup, tagElement, value) FROM STDIN

-- load_metadata --
COPY Metadata (id, type, value, revision) FROM STDIN

-- load_changes --
COPY Changes (seq, changeType, internalId, resourceType, date) FROM STDIN

-- wal_position --
-- Bytes of write-ahead log since the cluster was made.
SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8
