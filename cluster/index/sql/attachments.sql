-- dicom_attachment --
-- Where the DICOM file of an instance is.
-- Locks: none that a writer would notice.
SELECT a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, a.uncompressedHash
  FROM Resources r
  JOIN AttachedFiles a ON a.id = r.internalId AND a.fileType = 1
 WHERE r.publicId = %(public_id)s AND r.resourceType = 3
