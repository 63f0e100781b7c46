"""What functions in the database do for PostgreSQL is done here for SQLite, statement by statement.

Each procedure runs inside the transaction of whoever executes the query of its name, and is the only writer.
"""
