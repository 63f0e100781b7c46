"""Compares the ledger with an archive by C-FIND and C-GET.

Every study and series has to be found once and the study under its patient, every instance once in its series; what
C-GET then brings has to be the bytes that were sent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, groupby, islice

from cluster.dicom.levels import Level
from cluster.dicom.public_ids import PublicIds, public_ids
from workers.load.check import Findings
from workers.load.delivery import Acknowledged
from workers.load.dicom_archive import DicomArchive

_READERS = 4
_SERIES_AT_A_TIME = 64


def check_over_dicom(expected: Iterable[Sequence[Acknowledged]], archive: DicomArchive) -> Findings:
    """Check everything that was acknowledged, series by series, in the order of the studies.

    Raises:
        NodeBusy: no association, or no answer.
        ClusterError: a query was refused.
    """
    findings = Findings()
    _, gets = archive.look()
    if not gets:
        findings.unchecked = (
            "the archive does not answer C-GET: that instances are there was compared, their bytes were not"
        )
    study = ""
    with ThreadPoolExecutor(_READERS, thread_name_prefix="check") as readers:
        for batch in _batches(_series(expected)):
            for series, faults in zip(
                batch, readers.map(lambda each: _faults(archive, each, gets), batch), strict=True
            ):
                if series[0].study_instance_uid != study:
                    study = series[0].study_instance_uid
                    _check_study(findings, archive, series[0])
                for kind, public_id, text in faults:
                    getattr(findings, kind).add(public_id)
                    findings.example(public_id, text)
    return findings


def check_deleted_over_dicom(
    findings: Findings, deleted: Iterable[Sequence[Acknowledged]], archive: DicomArchive
) -> None:
    """Check that none of these is found; raises as `check_over_dicom`."""
    for series in _series(deleted):
        found = _found(archive, series[0])
        for instance in series:
            if found[instance.sop_instance_uid]:
                findings.not_deleted.add(instance.public_id)
                findings.example(instance.public_id, "was deleted with success, and is found by C-FIND")


def _series(batches: Iterable[Sequence[Acknowledged]]) -> Iterator[list[Acknowledged]]:
    def place(each: Acknowledged) -> tuple[str, str]:
        return each.study_instance_uid, each.series_instance_uid

    return (list(group) for _, group in groupby(chain.from_iterable(batches), place))


def _batches(series: Iterator[list[Acknowledged]]) -> Iterator[list[list[Acknowledged]]]:
    while batch := list(islice(series, _SERIES_AT_A_TIME)):
        yield batch


def _check_study(findings: Findings, archive: DicomArchive, instance: Acknowledged) -> None:
    uid = instance.study_instance_uid
    public_id = _ids(instance).study
    matches = archive.query(Level.STUDY, {"StudyInstanceUID": uid, "PatientID": ""})
    findings.expect_one(public_id, len(matches), "study found by C-FIND")
    for match in matches:
        if str(match.get("PatientID", "")).strip() != instance.patient_id:
            findings.duplicated.add(public_id)
            findings.example(
                public_id, f"study of patient {match.get('PatientID', '')!r} instead of {instance.patient_id}"
            )


def _found(archive: DicomArchive, instance: Acknowledged) -> Counter[str]:
    keys = {
        "StudyInstanceUID": instance.study_instance_uid,
        "SeriesInstanceUID": instance.series_instance_uid,
        "SOPInstanceUID": "",
    }
    return Counter(str(match.get("SOPInstanceUID", "")) for match in archive.query(Level.INSTANCE, keys))


def _faults(archive: DicomArchive, series: Sequence[Acknowledged], gets: bool) -> list[tuple[str, str, str]]:
    """What is wrong with the instances of one series: name of the finding, public id, words."""
    first = series[0]
    keys = {"StudyInstanceUID": first.study_instance_uid, "SeriesInstanceUID": first.series_instance_uid}
    faults = [
        ("missing" if not number else "duplicated", _ids(first).series, f"{number} times: series found by C-FIND")
        for number in (len(archive.query(Level.SERIES, keys)),)
        if number != 1
    ]
    found = _found(archive, first)
    for instance in series:
        number = found[instance.sop_instance_uid]
        if number != 1:
            kind = "missing" if not number else "duplicated"
            faults.append((kind, instance.public_id, f"{number} times: instance found by C-FIND"))
    if gets and found:
        faults += _faults_of_bytes(archive, series, found)
    return faults


def _faults_of_bytes(
    archive: DicomArchive, series: Sequence[Acknowledged], found: Counter[str]
) -> Iterator[tuple[str, str, str]]:
    kinds = sorted({(each.sop_class_uid, each.transfer_syntax_uid) for each in series})
    fetched = archive.fetch(series[0].study_instance_uid, series[0].series_instance_uid, kinds)
    for instance in series:
        if not found[instance.sop_instance_uid]:
            continue
        came = fetched.get(instance.sop_instance_uid, [])
        if len(came) != 1:
            kind = "missing" if not came else "duplicated"
            yield kind, instance.public_id, f"{len(came)} times: instance brought by C-GET"
            continue
        ((transfer_syntax_uid, md5),) = came
        if transfer_syntax_uid != instance.transfer_syntax_uid:
            yield "wrong_bytes", instance.public_id, f"C-GET brings it in {transfer_syntax_uid}"
        elif not instance.is_content(md5):
            yield "wrong_bytes", instance.public_id, "C-GET brings another data set than the one sent"


def _ids(instance: Acknowledged) -> PublicIds:
    return public_ids(
        instance.patient_id, instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
    )
