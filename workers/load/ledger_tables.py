"""The tables of a ledger, in SQLite."""

SCHEMA = """
CREATE TABLE deliveries (
    sop_instance_uid TEXT PRIMARY KEY,
    patient_id TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    public_id TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    data_set_md5 TEXT NOT NULL,
    second_md5 TEXT,
    second_acknowledged INTEGER,
    size INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    target TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    status INTEGER,
    acknowledged_at REAL,
    latency_seconds REAL
);
CREATE TABLE failures (sop_instance_uid TEXT NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE deletions (public_id TEXT PRIMARY KEY, began REAL NOT NULL, seconds REAL, failure TEXT);
CREATE TABLE searches (began REAL NOT NULL, seconds REAL NOT NULL, failure TEXT NOT NULL);
CREATE TABLE metrics (at REAL NOT NULL, url TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL);
CREATE TABLE sendings (began REAL NOT NULL, ended REAL);
CREATE TABLE run (options TEXT NOT NULL, epoch REAL NOT NULL);
CREATE INDEX latencies ON deliveries (latency_seconds) WHERE acknowledged_at IS NOT NULL;
"""
TIMES = {
    "deliveries": ("acknowledged_at",),
    "failures": ("at",),
    "deletions": ("began",),
    "searches": ("began",),
    "metrics": ("at",),
    "sendings": ("began", "ended"),
}
"""Columns that are moved when a ledger is read by another clock."""
