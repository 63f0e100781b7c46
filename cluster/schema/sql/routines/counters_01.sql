-- Statistics kept in GlobalIntegers directly, so that all writers wait for each other; revision 1.

CREATE FUNCTION AttachedFileIncrementSizeFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE GlobalIntegers SET value = value + NEW.compressedSize WHERE key = 0;
    UPDATE GlobalIntegers SET value = value + NEW.uncompressedSize WHERE key = 1;
    RETURN NULL;
END
$$;

CREATE FUNCTION AttachedFileDecrementSizeFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE GlobalIntegers SET value = value - OLD.compressedSize WHERE key = 0;
    UPDATE GlobalIntegers SET value = value - OLD.uncompressedSize WHERE key = 1;
    RETURN NULL;
END
$$;

CREATE FUNCTION CountResourcesTrackerFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE GlobalIntegers SET value = value + 1 WHERE key = NEW.resourceType + 2;
    ELSE
        UPDATE GlobalIntegers SET value = value - 1 WHERE key = OLD.resourceType + 2;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER AttachedFileIncrementSize AFTER INSERT ON AttachedFiles
    FOR EACH ROW EXECUTE FUNCTION AttachedFileIncrementSizeFunc();
CREATE TRIGGER AttachedFileDecrementSize AFTER DELETE ON AttachedFiles
    FOR EACH ROW EXECUTE FUNCTION AttachedFileDecrementSizeFunc();
CREATE TRIGGER CountResourcesTracker AFTER INSERT OR DELETE ON Resources
    FOR EACH ROW EXECUTE FUNCTION CountResourcesTrackerFunc();
