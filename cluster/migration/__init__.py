"""Moves an index from SQLite to PostgreSQL; the files of the storage area stay where they are.

Invariants: the source is locked and only read. Rows keep their internal ids, changes their numbers. Each batch commits
together with the cursor that says how far it came, so a migration that was killed goes on where it was. Until the last
transaction the target calls itself unfinished (property 1), so that neither a node nor an Orthanc serves half of it.
"""
