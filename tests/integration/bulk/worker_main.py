"""A worker process for the tests: ``python -m tests.integration.bulk.worker_main '{…}'``."""

import json
import logging
import sys
from pathlib import Path

from cluster.bulk.ledger import Pace
from cluster.jobs.work import JobPace
from tests.support.settings import settings_for
from workers.tasks.worker import run_worker


def main() -> int:
    options = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(message)s")
    settings = settings_for(
        options["database"], Path(options["storage"]), cluster=options["cluster"], **options.get("options", {})
    )
    job_pace = JobPace(**options.get("job_pace", {}))
    return run_worker(settings, processes=options["processes"], pace=Pace(**options["pace"]), job_pace=job_pace)


if __name__ == "__main__":
    sys.exit(main())
