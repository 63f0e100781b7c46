-- Deletion without a cascade among resources; revision 6 and later.

CREATE FUNCTION DeleteResource(
    id bigint, OUT remaining_ancestor_resource_type integer, OUT remaining_anncestor_public_id text)
    LANGUAGE plpgsql AS $$
-- Deletes a resource, what is below it, and every ancestor that is left without children. Afterwards the session's
-- DeletedFiles and DeletedResources list what went.
-- Locks: the parent, then the resource, FOR UPDATE.
DECLARE
    own_parent bigint;
    ancestor bigint;
    next_ancestor bigint;
    level_ids bigint[];
BEGIN
    PERFORM CreateDeletedFilesTemporaryTable();
    CREATE TEMPORARY TABLE IF NOT EXISTS DeletedResources (
        resourceType integer NOT NULL,
        publicId varchar(64) NOT NULL
    );
    DELETE FROM DeletedResources;

    SELECT r.parentId INTO own_parent FROM Resources r WHERE r.internalId = DeleteResource.id;
    PERFORM 1 FROM Resources r WHERE r.internalId = own_parent FOR UPDATE;
    PERFORM 1 FROM Resources r WHERE r.internalId = DeleteResource.id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE not_null_violation USING MESSAGE = format('resource %s does not exist', DeleteResource.id);
    END IF;

    -- Deepest level first: the foreign key does not cascade.
    FOR depth IN REVERSE 3..0 LOOP
        level_ids := ARRAY[DeleteResource.id];
        FOR step IN 1..depth LOOP
            level_ids := ARRAY(SELECT r.internalId FROM Resources r WHERE r.parentId = ANY (level_ids));
        END LOOP;
        WITH gone AS (
            DELETE FROM Resources r WHERE r.internalId = ANY (level_ids) RETURNING r.resourceType, r.publicId
        )
        INSERT INTO DeletedResources (resourceType, publicId) SELECT g.resourceType, g.publicId FROM gone g;
    END LOOP;

    SELECT r.resourceType, r.publicId INTO remaining_ancestor_resource_type, remaining_anncestor_public_id
      FROM Resources r
     WHERE r.internalId = own_parent AND EXISTS (SELECT FROM Resources c WHERE c.parentId = own_parent);

    ancestor := own_parent;
    WHILE ancestor IS NOT NULL LOOP
        SELECT r.parentId INTO next_ancestor FROM Resources r WHERE r.internalId = ancestor;
        WITH gone AS (
            DELETE FROM Resources r
             WHERE r.internalId = ancestor AND NOT EXISTS (SELECT FROM Resources c WHERE c.parentId = ancestor)
            RETURNING r.resourceType, r.publicId
        )
        INSERT INTO DeletedResources (resourceType, publicId) SELECT g.resourceType, g.publicId FROM gone g;
        EXIT WHEN NOT FOUND;
        ancestor := next_ancestor;
    END LOOP;
END
$$;

CREATE FUNCTION DeleteAttachment(resource_id bigint, file_type integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM CreateDeletedFilesTemporaryTable();
    DELETE FROM AttachedFiles a WHERE a.id = resource_id AND a.fileType = file_type;
END
$$;
