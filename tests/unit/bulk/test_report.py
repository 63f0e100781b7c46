"""The report of refused files."""

import io
import json

from cluster.bulk.entries import ImportFile, Refusal, printable
from cluster.bulk.report import write_report


def test_one_line_a_file() -> None:
    stream = io.StringIO()

    lines = write_report(
        stream,
        [
            Refusal(ImportFile("/a/ü.txt"), "not_dicom", "no prefix"),
            Refusal(ImportFile("/a.zip", "m\n", 3), "failed", "damaged"),
            Refusal(ImportFile("/\udcfc"), "failed", "why"),
        ],
    )

    assert lines == 3
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"path": "/a/ü.txt", "member": None, "outcome": "not_dicom", "reason": "no prefix"},
        {"path": "/a.zip", "member": "m\n", "outcome": "failed", "reason": "damaged"},
        {"path": "/\\udcfc", "member": None, "outcome": "failed", "reason": "why"},
    ]
    stream.getvalue().encode("utf-8")


def test_a_refusal_survives_json() -> None:
    refusal = Refusal(ImportFile("/\udcfc", "m", 3), "failed", "why")
    assert Refusal.from_json(json.loads(json.dumps(refusal.to_json()))) == refusal


def test_reasons_become_one_printable_line() -> None:
    assert printable("PatientID\0\n\ud800 é") == "PatientID\\x00\\n\\ud800 é"
