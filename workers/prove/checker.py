"""Judges a run: the history against itself, and against what is in the archive after all faults are over.

Database and storage area are read without the code that wrote them (cluster/index/check.py, workers/load/check.py).
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cluster.database import Database
from cluster.dicom.levels import Level
from cluster.index.check import (
    ExpectedResource,
    change_numbers,
    count_resources,
    expected_resources,
    inconsistencies,
    stored_files,
    tree_faults,
)
from workers.load.check import check
from workers.load.delivery import Acknowledged
from workers.load.stored_file import path_of
from workers.prove.history import History, Kind, StoredInstance
from workers.prove.rules import Fate, Violation, fates, judge_follower, judge_revisions

RULES = (
    "acknowledged is there",
    "deleted is gone",
    "what is read is what was stored",
    "nothing is there twice",
    "each revision is given once",
    "revisions follow time",
    "changes come once and in order",
    "no change is missed",
    "statistics are the sums",
    "trees are whole and counted",
    "rows are files",
    "answers are explicable",
)
"""Everything that a run has to keep."""

_BATCH = 5000
_KEPT = 200


@dataclass(slots=True)
class Verdict:
    """How often each rule was broken, the first findings in words, and what was looked at."""

    broken: Counter[str] = field(default_factory=Counter)
    examples: list[Violation] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not self.broken

    def add(self, violation: Violation) -> None:
        """Count a finding, and keep it while there are few."""
        self.broken[violation.rule] += 1
        if len(self.examples) < _KEPT:
            self.examples.append(violation)


@dataclass(frozen=True, slots=True)
class FinalRead:
    """What clients were shown when everything was over: ETags by instance, and how far each follower came."""

    etags: Mapping[str, str]
    followed_until: Mapping[str, int]


def judge(history: History, database: Database, storage_directory: Path, final: FinalRead) -> Verdict:
    """Check everything; the cluster has to be at rest.

    Raises:
        Transient, DatabaseRefused: the database cannot be asked.
    """
    verdict = Verdict()
    present, absent = _fates(history, verdict)
    _look_for_present(verdict, present, database, storage_directory)
    for violation in _found_again(absent, database):
        verdict.add(violation)
    for violation in judge_revisions(history.operations(Kind.REVISE), dict(final.etags)):
        verdict.add(violation)
    for name, shown in history.followers().items():
        until = final.followed_until[name]
        for violation in judge_follower(name, shown, until, change_numbers(database, 0)):
            verdict.add(violation)
        verdict.looked_at[f"changes shown to {name}"] = len(shown)
    for text in inconsistencies(database):
        verdict.add(Violation("statistics are the sums", "", text))
    for text in tree_faults(database):
        verdict.add(Violation("trees are whole and counted", "", text))
    _compare_files(verdict, database, storage_directory)
    return verdict


def _fates(history: History, verdict: Verdict) -> tuple[list[StoredInstance], list[StoredInstance]]:
    """Instances that have to be there, and those that must not; findings go into the verdict."""
    known = {instance.public_id: instance for instance in history.instances()}
    found: dict[Fate, list[StoredInstance]] = {fate: [] for fate in Fate}
    for public_id, fate, violations in fates(history.operations(Kind.STORE, Kind.READ, Kind.DELETE)):
        found[fate].append(known[public_id])
        for violation in violations:
            verdict.add(violation)
    verdict.looked_at |= {f"instances {fate.value}": len(instances) for fate, instances in found.items()}
    return found[Fate.PRESENT], found[Fate.ABSENT]


@dataclass(frozen=True, slots=True)
class _Present:
    instances: list[StoredInstance]

    def acknowledged(self) -> Iterator[list[Acknowledged]]:
        """What `check` of the load generator asks its ledger for."""
        for batch in _batches(self.instances):
            yield [
                Acknowledged(
                    each.patient_id,
                    each.study_instance_uid,
                    each.series_instance_uid,
                    each.sop_instance_uid,
                    each.public_id,
                    each.data_set_md5,
                )
                for each in batch
            ]


def _look_for_present(
    verdict: Verdict, present: list[StoredInstance], database: Database, storage_directory: Path
) -> None:
    findings = check(_Present(present), database, storage_directory)
    for rule, public_ids in (
        ("acknowledged is there", findings.missing),
        ("nothing is there twice", findings.duplicated),
        ("what is read is what was stored", findings.wrong_bytes),
    ):
        for public_id in sorted(public_ids):
            verdict.add(Violation(rule, public_id, findings.examples.get(public_id, "")))


def _found_again(absent: list[StoredInstance], database: Database) -> Iterator[Violation]:
    for batch in _batches(absent):
        expected = [_instance_of(each) for each in batch]
        for count in count_resources(database, expected):
            if count.rows or count.identified:
                yield Violation("deleted is gone", count.public_id, "it is in the index")


def _instance_of(each: StoredInstance) -> ExpectedResource:
    uids = (each.patient_id, each.study_instance_uid, each.series_instance_uid, each.sop_instance_uid)
    return next(resource for resource in expected_resources(*uids) if resource.level is Level.INSTANCE)


def _compare_files(verdict: Verdict, database: Database, storage_directory: Path) -> None:
    """Every row has its file, of its size; files without a row are counted: a node that is killed leaves some."""
    named = 0
    uuids = set()
    for uuid, size in stored_files(database):
        named += 1
        uuids.add(uuid)
        path = path_of(storage_directory, uuid)
        try:
            found = path.stat().st_size
        except FileNotFoundError:
            verdict.add(Violation("rows are files", uuid, "a row names this file, which is not there"))
            continue
        if found != size:
            verdict.add(Violation("rows are files", uuid, f"{found} bytes, the row says {size}"))
    if len(uuids) != named:
        verdict.add(Violation("rows are files", "", f"{named - len(uuids)} rows name a file of another row"))
    files = sum(len(name) == 36 and name not in uuids for _, _, names in os.walk(storage_directory) for name in names)
    verdict.looked_at |= {"rows of files": named, "files without row": files}


def _batches(instances: Iterable[StoredInstance]) -> Iterator[list[StoredInstance]]:
    iterator = iter(instances)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
