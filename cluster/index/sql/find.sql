-- find_ids --
-- Ids of one level behind `after` that fulfil the conditions, which are composed of the pieces below. Every value is
-- bound, numbers of tags too; what is put in between braces are names of tables, columns and other pieces only.
-- Locks: none that a writer would notice.
SELECT {found}.publicId
  FROM Resources {found}
       {joins}
 WHERE {found}.resourceType = {level} AND {found}.publicId > {after}
       {conditions}
 ORDER BY {order} {found}.publicId
 LIMIT {limit} OFFSET {offset}

-- find_ids_lazily --
-- The same where conditions are worth looking at one resource after the other, only until there are enough: `late` ones.
-- OFFSET 0 keeps the planner from looking at them first, for all resources.
-- Locks: none that a writer would notice.
SELECT {found}.publicId
  FROM (SELECT {found}.publicId, {found}.internalId
          FROM Resources {found}
               {joins}
         WHERE {found}.resourceType = {level} AND {found}.publicId > {after}
               {conditions}
         ORDER BY {found}.publicId OFFSET 0) AS {found}
 WHERE true
       {late}
 ORDER BY {found}.publicId
 LIMIT {limit} OFFSET {offset}

-- count_ids --
-- How many there are.
-- Locks: none that a writer would notice.
SELECT count(*)
  FROM Resources {found}
       {joins}
 WHERE {found}.resourceType = {level}
       {conditions}

-- parent --
-- Piece: the resource above.
JOIN Resources {parent} ON {parent}.internalId = {child}.parentId

-- tag --
-- Piece: a tag of a resource, of which there is at most one row, has a certain value. DicomIdentifiers and MainDicomTags
-- look alike.
JOIN {tags} {alias} ON {alias}.id = {resource}.internalId
     AND {alias}.tagGroup = {group} AND {alias}.tagElement = {element} AND {test}

-- identifier_below --
-- Piece: some resource below has an identifier with a certain value; `joins` leads from the children on, `value` may ask
-- for the main tag of the same resource.
AND EXISTS (SELECT 1 FROM Resources c {joins}
                     JOIN DicomIdentifiers t
                       ON t.id = {below}.internalId AND t.tagGroup = {group} AND t.tagElement = {element}
                     {value}
             WHERE c.parentId = {resource}.internalId AND {test})

-- value_below --
-- Piece: of the one before.
JOIN MainDicomTags v ON v.id = t.id AND v.tagGroup = {group} AND v.tagElement = {element} AND {test}

-- tag_below --
-- Piece: the same for other main tags, which have no index by value: LIMIT keeps the planner from reading all of them
-- before it looks at the first resource.
AND (SELECT true FROM Resources c {joins}
                 JOIN MainDicomTags t
                   ON t.id = {below}.internalId AND t.tagGroup = {group} AND t.tagElement = {element}
      WHERE c.parentId = {resource}.internalId AND {test} LIMIT 1)

-- children --
-- Piece: of the two before.
JOIN Resources {child} ON {child}.parentId = {parent}.internalId

-- metadata --
-- Piece: a metadata of a resource has a certain value.
JOIN Metadata {alias} ON {alias}.id = {resource}.internalId AND {alias}.type = {kind} AND {test}

-- id --
-- Piece: the resource, or one above, is this one.
AND {resource}.publicId = {wanted}

-- labels_all --
-- Piece: the resource has all of these labels, which are different ones.
AND {resource}.internalId IN (SELECT l.id FROM Labels l WHERE l.label = ANY ({labels}::text[])
                               GROUP BY l.id HAVING count(*) = {number})

-- labels_any --
-- Piece: the resource has one of these labels.
AND {resource}.internalId IN (SELECT l.id FROM Labels l WHERE l.label = ANY ({labels}::text[]))

-- labels_none --
-- Piece: the resource has none of these labels.
AND NOT EXISTS (SELECT 1 FROM Labels l WHERE l.id = {resource}.internalId AND l.label = ANY ({labels}::text[]))

-- unlabelled --
-- Piece: the resource has no label at all.
AND NOT EXISTS (SELECT 1 FROM Labels l WHERE l.id = {resource}.internalId)

-- order_tag --
-- Piece: the value of a tag, if there is one, to sort by.
LEFT JOIN MainDicomTags {alias} ON {alias}.id = {resource}.internalId
          AND {alias}.tagGroup = {group} AND {alias}.tagElement = {element}

-- order_metadata --
-- Piece: the value of a metadata, if there is one, to sort by.
LEFT JOIN Metadata {alias} ON {alias}.id = {resource}.internalId AND {alias}.type = {kind}

-- order_text --
-- Piece: sort as text.
{alias}.value {direction} NULLS LAST,

-- order_integer --
-- Piece: sort as integers; what is none comes last.
CASE WHEN {alias}.value ~ '^ *[+-]?[0-9]+ *$' THEN trim({alias}.value)::numeric END {direction} NULLS LAST,

-- order_float --
-- Piece: sort as numbers; what is none comes last.
CASE WHEN {alias}.value ~ '^ *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9][0-9]?[0-9]?)? *$'
     THEN trim({alias}.value)::numeric END {direction} NULLS LAST,

-- equal --
-- Piece: a test of a value.
{value} = {wanted}

-- one_of --
-- Piece: a test of a value.
{value} = ANY ({wanted}::text[])

-- at_least --
-- Piece: a test of a value, by the order of texts in this database.
{value} >= {wanted}

-- at_most --
-- Piece: a test of a value, by the order of texts in this database.
{value} <= {wanted}

-- like --
-- Piece: a test of a value; the pattern has its own special characters escaped by backslashes.
{value} LIKE {wanted}

-- either_case_one_of --
-- Piece: a test of a value, against an expression that matches both cases of its letters: lower() depends on the
-- locale of the database and may know ASCII only.
{value} ~ {wanted}

-- either_case_like --
-- Piece: the same where there are wildcards.
{value} ~ {wanted}

-- lower --
-- Piece: the value of a test that knows ASCII only.
lower({value})
