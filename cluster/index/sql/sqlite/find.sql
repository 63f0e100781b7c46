-- same as PostgreSQL's: parent, tag, identifier_below, value_below, children, metadata, id, unlabelled, order_tag
-- same as PostgreSQL's: order_metadata, order_text, equal, at_least, at_most, lower

-- The plus keeps SQLite from an index of four values.

-- find_ids --
SELECT {found}.publicId
  FROM Resources {found}
       {joins}
 WHERE +{found}.resourceType = {level} + 1 AND {found}.publicId > {after}
       {conditions}
 ORDER BY {order} {found}.publicId
 LIMIT {limit} OFFSET {offset}

-- find_ids_lazily --
-- SQLite looks at one resource after the other in any case, in the order of PublicIndex.
SELECT {found}.publicId
  FROM Resources {found}
       {joins}
 WHERE +{found}.resourceType = {level} + 1 AND {found}.publicId > {after}
       {conditions}
       {late}
 ORDER BY {found}.publicId
 LIMIT {limit} OFFSET {offset}

-- count_ids --
SELECT count(*)
  FROM Resources {found}
       {joins}
 WHERE +{found}.resourceType = {level} + 1
       {conditions}

-- tag_below --
AND EXISTS (SELECT 1 FROM Resources c {joins}
                     JOIN MainDicomTags t
                       ON t.id = {below}.internalId AND t.tagGroup = {group} AND t.tagElement = {element}
             WHERE c.parentId = {resource}.internalId AND {test})

-- labels_all --
AND {resource}.internalId IN (SELECT l.id FROM Labels l WHERE l.label IN (SELECT value FROM json_each({labels}))
                               GROUP BY l.id HAVING count(*) = {number})

-- labels_any --
AND {resource}.internalId IN (SELECT l.id FROM Labels l WHERE l.label IN (SELECT value FROM json_each({labels})))

-- labels_none --
AND NOT EXISTS (SELECT 1 FROM Labels l
                 WHERE l.id = {resource}.internalId AND l.label IN (SELECT value FROM json_each({labels})))

-- order_integer --
integer_of({alias}.value) {direction} NULLS LAST,

-- order_float --
number_of({alias}.value) {direction} NULLS LAST,

-- one_of --
{value} IN (SELECT value FROM json_each({wanted}))

-- like --
{value} LIKE {wanted} ESCAPE '\'

-- either_case_one_of --
unicode_lower({value}) IN (SELECT unicode_lower(value) FROM json_each({texts}))

-- either_case_like --
unicode_lower({value}) LIKE unicode_lower({pattern}) ESCAPE '\'
