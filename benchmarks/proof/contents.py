"""What a pack consists of, and the one command that repeats each part."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VERDICT = "prove/verdict.json"
VERDICT_PAGE = "prove/verdict.html"
HISTORY = "prove/history.json.xz"
WHOLE_HISTORY = "prove/history.sqlite"
"""Not in git, only in a pack that is handed out."""
PAGE = "index.html"
REPORT = "report.html"
SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Content:
    """A part of the pack.

    Attributes:
        name: the beginning of its files' names.
        question: what it answers, for people.
        command: repeats it, from the root of a checkout after `make install`.
        needed: a pack without it is not complete.
        files: patterns besides ``NAME*.json``, each of which has to match.
    """

    name: str
    question: str
    command: str
    needed: bool = True
    files: Sequence[str] = ()

    def missing(self, folder: Path) -> list[str]:
        """Patterns that match nothing in the folder."""
        return [pattern for pattern in (f"{self.name}*.json", *self.files) if not any(folder.glob(pattern))]

    def present(self, folder: Path) -> list[Path]:
        """Its files in the folder."""
        return [file for pattern in (f"{self.name}*.json", *self.files) for file in sorted(folder.glob(pattern))]


def _python(name: str, options: str = "") -> str:
    return f".venv/bin/python -m benchmarks.{name} {options}".strip()


PROVE = Content(
    "prove/verdict",
    "Is everything that was acknowledged there, once, with the same bytes, whatever breaks?",
    # The rest of the command is in the verdict.
    ".venv/bin/orthanc-cluster prove --out proof",
    files=(VERDICT_PAGE, HISTORY),
)
MEASURED: Sequence[Content] = (
    Content(
        "schema_upgrade",
        "Can an archive be upgraded while it is written to, by whoever comes first, killed or not?",
        _python("schema_upgrade", "--keep /var/tmp/benchmark"),
        files=("schema_upgrade*.f2.log",),
    ),
    Content(
        "orthanc_baseline",
        "How many instances a second beside a real Orthanc, by both doors?",
        _python("orthanc_baseline", "--repeat 5"),
    ),
    Content(
        "ingest_cstore",
        "The same for 1 to 64 senders, small and large instances, studies of their own or one for all?",
        _python("ingest_cstore", "--repeat 3"),
    ),
    Content("ingest_http", "The same over HTTP alone?", _python("ingest_http", "--repeat 5"), needed=False),
    Content(
        "load_comparison",
        "What does the product's own load generator find in Orthanc, on SQLite and on PostgreSQL, and in ours?",
        _python("load_comparison"),
        files=("load_comparison.html",),
    ),
    Content("import_files", "How fast is a bulk import through Celery?", _python("import_files", "--repeat 5")),
    Content("latency", "What does distance to the database cost?", _python("latency", "--repeat 5")),
    Content("scale_out", "What do more nodes bring, what costs a common study?", _python("scale_out", "--repeat 5")),
    Content("memory", "How much memory do ten instances of 1 GB take?", _python("memory", "--repeat 1")),
    Content("floor", "How far is each part of ingest from the least?", _python("floor", "--repeat 7")),
    Content("rest_reads", "How long do reads of a large index take?", _python("rest_reads")),
    Content("storage_areas", "What do PostgreSQL and S3 cost as storage areas?", _python("storage_areas")),
    Content(
        "scaling",
        "What will 150 million and 1 billion instances cost?",
        _python("scaling", "--keep /var/tmp/benchmark"),
    ),
    Content("rollout", "Does anybody notice that pods are replaced?", _python("rollout"), needed=False),
)


def content_of(result: str) -> Content | None:
    """The part that a result, by its file's stem, belongs to; none if nobody has said how to repeat it."""
    return next((each for each in MEASURED if result.startswith(each.name)), None)


def prove_command(verdict: dict[str, object]) -> str:
    """Repeats the run: the same clients, the same faults in the same order."""
    options = f"--seconds {verdict['seconds']:.0f} --nodes {verdict['nodes']} --writers {verdict['writers']}"
    return f"{PROVE.command} {options} --pause {verdict.get('pause_seconds', 1.0)} --seed {verdict['seed']}"
