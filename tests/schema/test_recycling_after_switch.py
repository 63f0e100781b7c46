"""The recycling order and protection while an upgrade has only switched, and after it."""

import pytest

from cluster.schema.downgrade import downgrade
from cluster.schema.online import UpgradeOptions, back_fill
from tests.schema.archive import RECYCLING_ORDER, contents, store
from tests.schema.upgrading import PUBLIC, online, switched


def test_who_gets_an_instance_before_the_back_fill_is_recycled_last(index, small_batches):
    connection = index(5, filled=True)
    switched(connection, 5)
    connection.execute(PUBLIC)
    # Nobody who is still to be placed can be recycled meanwhile, and who is protected is so already.
    assert contents(connection, 10)["recycling order"] == []
    assert contents(connection, 10)["protected"] == {"p2", "p4"}
    first, *others = RECYCLING_ORDER
    store(connection, first, f"{first}.0", f"{first}.0.0", "new")
    store(connection, "p9", "p9.0", "p9.0.0", "p9.0.0.0")
    assert back_fill(connection, "public", "test", UpgradeOptions()) == [
        "after: recycling order",
        "after: child counts",
    ]
    assert contents(connection, 10)["recycling order"] == [*others, first, "p9"]


@pytest.mark.parametrize("is_seen", [True, False])
def test_who_is_protected_or_not_between_the_look_and_the_switch(index, is_seen):
    connection = index(5, filled=True)
    before = contents(connection, 5)

    def meanwhile(step):
        if not step.startswith("switch"):
            return
        ids = dict(connection.execute("SELECT publicId, internalId FROM Resources WHERE resourceType = 0").fetchall())
        # p2 is protected no more, p5 is now, p9 came and is protected, p4, who was protected, is gone
        connection.execute("INSERT INTO PatientRecyclingOrder (patientId) VALUES (%s)", (ids["p2"],))
        store(connection, "p9", "p9.0", "p9.0.0", "p9.0.0.0")
        connection.execute("DELETE FROM PatientRecyclingOrder WHERE patientId = %s", (ids["p5"],))
        connection.execute(
            "DELETE FROM PatientRecyclingOrder USING Resources r WHERE patientId = r.internalId AND publicId = 'p9'"
        )
        connection.execute("SELECT * FROM DeleteResource(%s)", (ids["p4"],))
        if not is_seen:
            # One whose transaction was under way when the patients were looked at: its number is lower than others'
            connection.execute("DELETE FROM cluster.patients_before WHERE patient_id = %s", (ids["p5"],))

    online(connection, on_step=meanwhile)
    after = contents(connection, 10)
    assert after["protected"] == {"p5", "p9"}
    assert before["protected"] == {"p2", "p4"}
    assert after["recycling order"] == ["p3", "p1", "p2"]
    assert connection.execute("SELECT to_regclass('cluster.patients_before')").fetchone() == (None,)


def test_places_that_orthanc_could_not_read_are_made_small(index, small_batches):
    connection = index(5, filled=True)
    connection.execute("UPDATE PatientRecyclingOrder SET seq = seq + 3000000000")
    online(connection)
    connection.execute(PUBLIC)
    assert contents(connection, 10)["recycling order"] == RECYCLING_ORDER
    places = connection.execute("SELECT value FROM Metadata WHERE type = 19 ORDER BY value").fetchall()
    assert places == [("1",), ("2",), ("3",)]
    store(connection, "p3", "p3.0", "p3.0.0", "new")
    assert contents(connection, 10)["recycling order"] == ["p5", "p1", "p3"]


@pytest.mark.parametrize("target", [6, 5, 1])
def test_a_downgrade_first_does_what_the_upgrade_left(index, target):
    connection = index(5, filled=True)
    before = contents(connection, 5)
    switched(connection, 5)
    downgrade(connection, "public", target, discard=True)
    connection.execute(PUBLIC)
    after = contents(connection, target)
    for what in ("protected", "recycling order", "resources", "statistics"):
        assert after[what] == before[what]
    # And the way back up begins anew.
    assert online(connection)[-1] == "after: child counts"
