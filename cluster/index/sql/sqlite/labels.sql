-- same as PostgreSQL's: add_label, remove_label, all_labels

-- list_labels --
SELECT l.label
  FROM Resources r LEFT JOIN Labels l ON l.id = r.internalId
 WHERE r.publicId = :public_id AND +r.resourceType = :level + 1
