"""`orthanc-cluster` with a defect: a node that answers success before it has committed.

Run as a program; the judge of `orthanc-cluster prove` has to see through it.
"""

import threading
import time

from cluster.ingest.batch import GroupCommit
from cluster.ingest.commit import Staged, Stored
from workers.cli import main

_LATE_SECONDS = 0.3

_store = GroupCommit.store


def _store_late(committer: GroupCommit, staged: Staged) -> None:
    time.sleep(_LATE_SECONDS)
    _store(committer, staged)


def _answer_early(committer: GroupCommit, staged: Staged) -> Stored:
    threading.Thread(target=_store_late, args=(committer, staged), daemon=True).start()
    return Stored(staged.instance.public_ids, "Success")


if __name__ == "__main__":
    GroupCommit.store = _answer_early  # type: ignore[method-assign]
    main()
