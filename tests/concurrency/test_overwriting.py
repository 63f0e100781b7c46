"""Twenty uploaders of one study overwrite each other on two nodes: each instance is there once, as one sent it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from tests.concurrency.conftest import StartNodes, assert_all_exact, client_of, in_every_mode
from tests.support.dicom import make_file

UPLOADERS, INSTANCES = 20, 6


@in_every_mode
def test_twenty_uploaders_of_one_study(
    start_nodes: StartNodes, connection: psycopg.Connection, storage_directory: Path
) -> None:
    # Given two nodes that overwrite, and uploaders of the same study, each with contents of its own
    nodes = start_nodes(OverwriteInstances=True)
    contents = {
        (uploader, number): make_file(
            StudyDescription=f"by {uploader}",
            SeriesInstanceUID=f"2.25.1.{number % 2}",
            SOPInstanceUID=f"2.25.1.1.{number}",
            InstanceNumber=number,
        )
        for uploader in range(UPLOADERS)
        for number in range(INSTANCES)
    }

    def upload(uploader: int) -> list[tuple[int, str]]:
        answers = []
        with client_of(nodes[uploader % 2]) as client:
            for step in range(INSTANCES):
                # Everybody begins at another instance, so that two hold what the other one wants.
                number = (uploader + step) % INSTANCES
                while True:
                    answer = client.post("/instances", content=contents[uploader, number])
                    if answer.status_code != 503:  # the sender's turn, after many conflicts
                        break
                answers.append((answer.status_code, answer.json()["ID"]))
        return answers

    with ThreadPoolExecutor(UPLOADERS) as threads:
        answers = [answer for own in threads.map(upload, range(UPLOADERS)) for answer in own]
    # Then all of them were stored
    assert {status for status, _ in answers} == {200}
    ids = {public_id for _, public_id in answers}
    assert len(ids) == INSTANCES
    # and of each instance there is one, with the bytes that one of them sent
    levels = connection.execute("SELECT resourceType, count(*) FROM Resources GROUP BY 1 ORDER BY 1").fetchall()
    assert levels == [(0, 1), (1, 1), (2, 2), (3, INSTANCES)]
    with client_of(nodes[0]) as one, client_of(nodes[1]) as two:
        for public_id in ids:
            served = one.get(f"/instances/{public_id}/file").content
            assert served in contents.values()
            assert two.get(f"/instances/{public_id}/file").content == served
            one.post(f"/instances/{public_id}/attachments/dicom/verify-md5").raise_for_status()
    assert_all_exact(connection, storage_directory)
