"""A batch whose commit was in doubt is run again after its instance was deleted: no row without a file comes back."""

from cluster.dicom.levels import Level
from cluster.index.deletion import delete_resource
from cluster.ingest.commit import commit_batch
from cluster.ingest.intake import Intake
from cluster.ingest.origin import Origin
from cluster.ingest.removal import remove_files
from tests.support.dicom import make_file
from tests.support.invariants import assert_exact, rows_and_files


def stage(intake: Intake, **keywords: object):
    with intake.receive(Origin("RestApi")) as reception:
        reception.write(make_file(SOPInstanceUID="2.25.1.1.1", **keywords))
        return reception.stage()


def commit(intake: Intake, staged, overwrite: str = "Never") -> str:
    [outcome] = commit_batch(intake.database, intake.storage, overwrite, [staged])
    return outcome.status


def test_after_a_deletion(intake: Intake, connection, storage_directory) -> None:
    staged = stage(intake)
    assert commit(intake, staged) == "Success"
    delete_resource(intake.database, Level.INSTANCE, staged.instance.public_ids.instance)
    remove_files(intake.database, intake.storage)
    # Its sender hears of the success that it was, and nothing is there.
    intake.storage.make_durable = lambda attachments: None
    assert commit(intake, staged) == "Success"
    assert rows_and_files(connection, storage_directory) == (set(), set())
    assert connection.execute("SELECT count(*) FROM Resources").fetchone() == (0,)


def test_after_it_was_overwritten(intake: Intake, connection, storage_directory) -> None:
    first, second = stage(intake), stage(intake, PatientName="Other")
    assert commit(intake, first) == "Success"
    assert commit(intake, second, "Always") == "Success"
    intake.storage.make_durable = lambda attachments: None
    assert commit(intake, first, "Always") == "Success"
    remove_files(intake.database, intake.storage)
    rows, files = rows_and_files(connection, storage_directory)
    assert rows == files == {second.attachment.uuid}
    assert_exact(connection)
