"""Senders without an end of their own: told to stop, each ends with the instance that it is at."""

from collections.abc import Callable

import psycopg

from tests.integration.load.conftest import Node
from workers.load.fleet import fleet
from workers.load.ledger import Delivery
from workers.load.plan import portions
from workers.load.sender import NO_ASSOCIATION, Assignment, Target
from workers.local.ports import free_port


def assignments(target: Target, time_limit_seconds: float) -> list[Assignment]:
    return [
        Assignment(
            sender=number,
            portion=portion,
            size="small",
            seed=3,
            targets=(target,),
            calling_aet="LOAD",
            called_aet="ORTHANC",
            time_limit_seconds=time_limit_seconds,
        )
        for number, portion in enumerate(portions(2, 10**9, shared_studies=True))
    ]


def test_everything_that_was_begun_is_reported(start_node: Callable[..., Node]) -> None:
    node = start_node()
    sent: list[Delivery] = []
    with fleet(assignments(node.target, 60)) as senders:
        senders.go()
        is_told = False
        for report in senders.reports():
            sent += report
            if len(sent) > 20 and not is_told:
                senders.stop()
                is_told = True
    assert all(delivery.acknowledged_at is not None for delivery in sent)
    with psycopg.connect(node.settings.postgresql.conninfo()) as connection:
        assert connection.execute("SELECT count(*) FROM Resources WHERE resourceType = 3").fetchone() == (len(sent),)


def test_a_sender_without_an_association_says_so() -> None:
    with fleet(assignments(Target("127.0.0.1", free_port()), 0.2)) as senders:
        senders.go()
        sent = [delivery for report in senders.reports() for delivery in report]
    assert len(sent) == 2
    assert all(reason.startswith(NO_ASSOCIATION) for delivery in sent for _, reason, _ in delivery.failures)
