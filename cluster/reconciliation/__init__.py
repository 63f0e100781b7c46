"""Rows and files compared, and differences settled."""
