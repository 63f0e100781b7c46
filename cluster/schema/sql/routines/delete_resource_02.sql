-- Deletion by the foreign key's cascade; revisions 2 to 5.

CREATE FUNCTION ResourceDeletedFunc() RETURNS trigger LANGUAGE plpgsql AS $$
-- Runs after the cascade to the row's own children, so those are recorded before it.
BEGIN
    INSERT INTO DeletedResources (resourceType, publicId) VALUES (OLD.resourceType, OLD.publicId);
    DELETE FROM Resources r
     WHERE r.internalId = OLD.parentId AND NOT EXISTS (SELECT FROM Resources c WHERE c.parentId = OLD.parentId);
    RETURN NULL;
END
$$;

CREATE FUNCTION DeleteResource(
    id bigint, OUT remaining_ancestor_resource_type integer, OUT remaining_anncestor_public_id text)
    LANGUAGE plpgsql AS $$
-- Locks: the parent FOR UPDATE, then what is deleted.
DECLARE
    own_parent bigint;
BEGIN
    PERFORM CreateDeletedFilesTemporaryTable();
    CREATE TEMPORARY TABLE IF NOT EXISTS DeletedResources (
        resourceType integer NOT NULL,
        publicId varchar(64) NOT NULL
    );
    DELETE FROM DeletedResources;

    SELECT r.parentId INTO own_parent FROM Resources r WHERE r.internalId = DeleteResource.id;
    PERFORM 1 FROM Resources r WHERE r.internalId = own_parent FOR UPDATE;
    DELETE FROM Resources r WHERE r.internalId = DeleteResource.id;

    SELECT r.resourceType, r.publicId INTO remaining_ancestor_resource_type, remaining_anncestor_public_id
      FROM Resources r
     WHERE r.internalId = own_parent AND EXISTS (SELECT FROM Resources c WHERE c.parentId = own_parent);
END
$$;

CREATE TRIGGER ResourceDeleted AFTER DELETE ON Resources
    FOR EACH ROW EXECUTE FUNCTION ResourceDeletedFunc();
