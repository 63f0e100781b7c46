"""A fresh install equals the sum of the upgrades, and a downgrade ends where the older revision begins.

Two independent ends hold the chain: `sql/install.sql` at revision 10 and the hand-written revision 1 of the tests.
"""

import pytest

from cluster.schema.downgrade import downgrade
from cluster.schema.upgrade import upgrade_offline
from tests.support.catalogue import catalogue

OLDER = [0, 1, 2, 3, 4, 5, 6]

KEYS_ADDED_LAST = {
    "order": [
        "globalintegerschanges: key, value, pk",
        "invalidchildcounts: id, updatedat, pk",
        "- globalintegerschanges: pk, key, value",
        "- invalidchildcounts: pk, id, updatedat",
    ]
}
"""The only difference: columns that were added later are the last ones, as with Orthanc's own upgrade."""

WRITTEN_BY_OTHERS = ("body", "trigger level")
"""Functions of the hand-written revision 1 have their own words, and its triggers are all row-level."""


@pytest.mark.parametrize("revision", OLDER)
def test_fresh_install_is_the_sum_of_the_upgrades(index, revision):
    upgraded = index(revision)
    upgrade_offline(upgraded, "public", "test")
    assert catalogue(upgraded) - catalogue(index(10, fresh=True)) == KEYS_ADDED_LAST


@pytest.mark.parametrize("revision", [2, 3, 4, 5, 6])
def test_both_ways_lead_to_the_same_revision(index, revision):
    from_10 = index(10, fresh=True)
    downgrade(from_10, "public", revision)
    assert catalogue(from_10) - catalogue(index(revision)) == {}


def test_downgrade_to_1_equals_a_fresh_1(index):
    from_10 = index(10, fresh=True)
    downgrade(from_10, "public", 1)
    difference = catalogue(from_10) - catalogue(index(1))
    assert {kind: lines for kind, lines in difference.items() if kind not in WRITTEN_BY_OTHERS} == {}


def test_the_difference_would_be_seen(index):
    changed, other = index(6), index(6)
    for statement in (
        "ALTER TABLE Resources ALTER COLUMN publicId DROP NOT NULL",
        "DROP INDEX AuditLogsAction",
        "ALTER TABLE Resources DROP CONSTRAINT resources_parentid_fkey",
        "DROP TRIGGER InsertedChange ON Changes",
        "CREATE FUNCTION ProtectPatient(patient_id integer) RETURNS void LANGUAGE sql AS ''",
        "UPDATE GlobalProperties SET value = '0' WHERE property = 10",
        "CREATE SEQUENCE leftover",
    ):
        changed.execute(statement)
    found = catalogue(changed) - catalogue(other)
    assert set(found) >= {"column", "index", "constraint", "trigger", "function", "property", "sequence"}
