"""Bulk import: what has to be imported, cut into chunks and remembered in PostgreSQL."""
