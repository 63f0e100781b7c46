"""An archive that is known by DICOM only: a real Orthanc, asked by C-FIND and C-GET; and its STOW-RS."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from cluster.errors import ConfigurationError
from tests.integration.load.conftest import PlainOrthanc, Run
from tests.support.servers import skip_or_fail
from workers.load.check import Findings
from workers.load.ledger import Ledger
from workers.load.options import LoadOptions, parse_targets
from workers.load.pace import Pace, Phase
from workers.load.run import run_load
from workers.load.targets import parse_archive
from workers.load.verify import Place


@pytest.fixture
def loaded(plain_orthanc: PlainOrthanc, tmp_path: Path) -> Path:
    """The ledger of a run whose instances Orthanc has."""
    ledger = tmp_path / "ledger.sqlite"
    options = LoadOptions(
        targets=parse_targets(plain_orthanc.dicom),
        archive=parse_archive(f"dicom://{plain_orthanc.dicom}"),
        pace=Pace((Phase(0.6, 40, 40),)),
        size="tiny",
        senders=2,
        shared_studies=True,
        queries_per_second=50,
        ledger=ledger,
    )
    result = run_load(options)
    assert result.passed, (result.findings, result.missed)
    assert not result.findings.unchecked
    assert result.searches > 0
    return ledger


def verified(plain_orthanc: PlainOrthanc, ledger: Path) -> Findings:
    archive = parse_archive(f"dicom://{plain_orthanc.dicom}")
    with Ledger(ledger) as opened, Place(None, archive, None, "ORTHANC", "LOAD").opened() as verifier:
        return verifier.verify(opened)


def test_what_is_wrong_is_found_by_c_find_and_c_get(plain_orthanc: PlainOrthanc, loaded: Path) -> None:
    with Ledger(loaded) as ledger:
        one, other, third, *_ = (instance for batch in ledger.acknowledged() for instance in batch)
        # When one instance is lost, one is not what was sent, and one should have been deleted
        assert httpx.delete(f"{plain_orthanc.url}/instances/{one.public_id}", trust_env=False).status_code == 200
        with ledger._database as database:
            database.execute(
                "UPDATE deliveries SET data_set_md5 = 'x' WHERE sop_instance_uid = ?", (other.sop_instance_uid,)
            )
            database.execute("INSERT INTO deletions VALUES (?, 0, 0, '')", (third.public_id,))

    # Then each is found, and nothing else
    findings = verified(plain_orthanc, loaded)
    assert findings.missing == {one.public_id}
    assert findings.wrong_bytes == {other.public_id}
    assert findings.not_deleted == {third.public_id}
    assert findings.duplicated == set()


def test_a_lost_series_is_found_with_all_that_was_in_it(plain_orthanc: PlainOrthanc, loaded: Path) -> None:
    with Ledger(loaded) as ledger:
        instances = [instance for batch in ledger.acknowledged() for instance in batch]
    # One of a study that has another one, so that the study stays
    series = next(
        one.series_instance_uid
        for one in instances
        for other in instances
        if one.study_instance_uid == other.study_instance_uid and one.series_instance_uid != other.series_instance_uid
    )
    lost = {each.public_id for each in instances if each.series_instance_uid == series}
    (found,) = httpx.post(f"{plain_orthanc.url}/tools/lookup", content=series, trust_env=False).json()
    httpx.delete(f"{plain_orthanc.url}/series/{found['ID']}", trust_env=False)

    assert verified(plain_orthanc, loaded).missing == {*lost, found["ID"]}


def test_ledgers_are_compared_by_command(
    run: Run, plain_orthanc: PlainOrthanc, loaded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", loaded, "--archive", f"dicom://{plain_orthanc.dicom}") == 0
    assert "lost 0, duplicated 0" in capsys.readouterr().out


def test_an_archive_without_c_find_is_told(start_node: Callable[..., object]) -> None:
    node = start_node()
    target = node.target  # type: ignore[attr-defined]
    with pytest.raises(
        ConfigurationError, match=r"--archive: (dicom://\S+ does not answer C-FIND|\S+ takes no association)"
    ):
        run_load(LoadOptions(targets=(target,), archive=parse_archive(f"dicom://{target}"), instances=1))


def test_stow_into_orthanc(plain_orthanc: PlainOrthanc) -> None:
    if "dicom-web" not in httpx.get(f"{plain_orthanc.url}/plugins", trust_env=False).json():
        skip_or_fail("orthanc-dicomweb", "Orthanc's plugin for DICOMweb")
    result = run_load(
        LoadOptions(
            targets=parse_targets(f"stow+{plain_orthanc.url}/dicom-web"),
            archive=parse_archive(plain_orthanc.url),
            instances=20,
            size="tiny",
            senders=2,
        )
    )
    assert result.passed, (result.failures, result.findings)
