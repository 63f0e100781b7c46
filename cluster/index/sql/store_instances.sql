-- store_instances --
-- Everything that a batch of instances changes in the index; see schema/sql/cluster_store_instances.sql. The function has
-- ended when its first row comes out, so each row says how long it took, and what is left of a round trip is the commit.
-- Locks: Resources rows by level and public id, Metadata rows by internal id, then the change lock until commit.
SELECT outcome, name, extract(epoch FROM clock_timestamp() - statement_timestamp())::float8 AS seconds
  FROM cluster.store_instances(
           %(overwrite)s::text,
           %(resource_levels)s::integer[], %(resource_public_ids)s::text[], %(resource_parents)s::integer[],
           %(tag_resources)s::integer[], %(tag_groups)s::integer[], %(tag_elements)s::integer[],
           %(tag_values)s::text[],
           %(identifier_resources)s::integer[], %(identifier_groups)s::integer[], %(identifier_elements)s::integer[],
           %(identifier_values)s::text[],
           %(metadata_resources)s::integer[], %(metadata_types)s::integer[], %(metadata_values)s::text[],
           %(attachment_resources)s::integer[], %(attachment_types)s::integer[], %(attachment_uuids)s::text[],
           %(attachment_sizes)s::bigint[], %(attachment_hashes)s::text[],
           %(attachment_forms)s::integer[], %(attachment_stored_sizes)s::bigint[], %(attachment_stored_hashes)s::text[],
           %(expected_resources)s::integer[], %(expected_counts)s::integer[])

-- store_within_limits --
-- The same where the archive has limits, which may take old patients away; see schema/sql/cluster_recycling.sql.
-- Locks: an advisory lock, patients that are recycled, then as store_instances, until commit.
SELECT outcome, name, extract(epoch FROM clock_timestamp() - statement_timestamp())::float8 AS seconds
  FROM cluster.store_within_limits(
           %(maximum_size)s::bigint, %(maximum_patients)s::bigint, %(recycles)s::boolean, %(overwrite)s::text,
           %(resource_levels)s::integer[], %(resource_public_ids)s::text[], %(resource_parents)s::integer[],
           %(tag_resources)s::integer[], %(tag_groups)s::integer[], %(tag_elements)s::integer[],
           %(tag_values)s::text[],
           %(identifier_resources)s::integer[], %(identifier_groups)s::integer[], %(identifier_elements)s::integer[],
           %(identifier_values)s::text[],
           %(metadata_resources)s::integer[], %(metadata_types)s::integer[], %(metadata_values)s::text[],
           %(attachment_resources)s::integer[], %(attachment_types)s::integer[], %(attachment_uuids)s::text[],
           %(attachment_sizes)s::bigint[], %(attachment_hashes)s::text[],
           %(attachment_forms)s::integer[], %(attachment_stored_sizes)s::bigint[], %(attachment_stored_hashes)s::text[],
           %(expected_resources)s::integer[], %(expected_counts)s::integer[])
