"""Attachments as bytes; knows no row."""
