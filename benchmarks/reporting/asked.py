"""The table that was asked for of ingest on two cores, row by row, and which figures answer each.

A row stays in the page when nobody has measured it: then it says so.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.reporting.documents import Found

_BESIDE_ORTHANC = r"(orthanc_baseline|ingest_cstore) cstore "
_UPLOADS = r"(orthanc_baseline|ingest_http) http "


@dataclass(frozen=True, slots=True)
class Asked:
    """A row: what, against what, at least how much; `answers`: which "benchmark part figure" it is."""

    what: str
    against: str
    least: str
    answers: str

    def found(self, figures: Iterable[Found]) -> list[Found]:
        """The figures that something is wanted of and that answer this row."""
        return [
            each
            for each in figures
            if each.figure["wanted"] and re.match(self.answers, f"{each.result} {each.part} {each.figure['name']}")
        ]


ROWS: Sequence[Asked] = (
    Asked(
        "C-STORE, 30 KB, 16 senders",
        "Orthanc at its best, TCP_NODELAY on both sides (1.13 + plugin 10.3: 241/s)",
        "4 times the newest, 8 times Debian's; 1,000/s",
        _BESIDE_ORTHANC + r"16 clients, 30 KB, distinct(:|$)",
    ),
    Asked(
        "C-STORE, 30 KB, 1 sender", "the same (143/s)", "1.5 times", _BESIDE_ORTHANC + r"1 client, 30 KB, distinct(:|$)"
    ),
    Asked(
        "C-STORE, 30 KB, DCMTK's default socket options (Nagle)",
        "Orthanc as shipped (1 sender: 10.7/s, 8: 85/s)",
        "1 sender: 12 times; 8: 6 times",
        _BESIDE_ORTHANC + r"[18] clients?, 30 KB, distinct, Nagle",
    ),
    Asked(
        "C-STORE, 526 KB, 16 senders",
        "Orthanc at its best (171/s)",
        "2.2 times, or 80 % of what the disk takes with one sync per batch",
        _BESIDE_ORTHANC + r"16 clients, 526 KB, distinct(:|$)",
    ),
    Asked(
        "HTTP POST, 8 clients",
        "Orthanc (30 KB: 243/s, p99 105 ms; 526 KB: 186/s)",
        "2.5 times, p99 no worse",
        _UPLOADS + "POST 8 clients",
    ),
    Asked("bulk import through Celery, 30 KB", "Orthanc's HTTP upload", "5 times", "import_files import imported"),
    Asked(
        "same study from 16 senders through 2 nodes",
        "all-distinct studies on 2 nodes",
        "70 %",
        "scale_out mixes all senders one study",
    ),
    Asked(
        "5 ms round trip added to the database, 16 senders",
        "our own 0 ms; Orthanc at 5 ms (21/s)",
        "80 % of our own, 25 times Orthanc's",
        "latency distance 5 ms round trip",
    ),
    Asked(
        "index work alone, rows of one batch through our call",
        "COPY of the same rows into the same tables",
        "40 %",
        "floor index batches of",
    ),
    Asked(
        "receiving alone, bytes thrown away, 16 senders",
        "DCMTK's storescp --ignore",
        "60 %",
        "floor receiving ",
    ),
    Asked(
        "CPU for an instance of 30 KB, ours + PostgreSQL",
        "4.7 to 5.9 ms (Orthanc + PostgreSQL)",
        "at most 1.5 ms",
        _BESIDE_ORTHANC + "CPU of ours",
    ),
    Asked(
        "peak memory, 10 instances of 1 GB in parallel",
        "20 GB documented",
        "at most 512 MB per node",
        r"memory \w+ peak of",
    ),
    Asked("p99 of C-STORE at half of the maximum rate", "p50", "at most 5 times", "latency half p99 of"),
)
