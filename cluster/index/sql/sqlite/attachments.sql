-- dicom_attachment --
SELECT a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, a.uncompressedMD5
  FROM Resources r
  JOIN AttachedFiles a ON a.id = r.internalId AND a.fileType = 1
 WHERE r.publicId = :public_id AND +r.resourceType = 4
