"""The role `worker`: bulk imports by Celery, behind a gate and with probes.

Imported once metrics are shared: the pool's processes count too.
"""

from collections.abc import Callable

from celery import Celery

from cluster.bulk.ledger import Pace
from cluster.config import Settings
from workers import metrics
from workers.backstage import Backstage
from workers.tasks.watch import Watch
from workers.tasks.worker import Worker
from workers.traces import traces


def serve(
    settings: Settings, processes: int, *, pace: Pace | None = None, prepare: Callable[[Celery], None] = lambda _: None
) -> int:
    """Work until SIGTERM or SIGINT; the exit status.

    Args:
        prepare: called with the application before anything is sent or received.

    Raises:
        ConfigurationError: the port of the probes cannot be had.
        SchemaMismatch, DatabaseRefused: the database will not do, and waiting would not change that.
    """
    worker = Worker(settings, processes=processes, pace=pace, in_child=lambda: backstage.forget_in_child())
    prepare(worker.app)
    watch = Watch(settings, worker.app)
    backstage = Backstage(settings, "worker", metrics.all_processes, lambda: watch.hindrance)
    with backstage:
        # It may be this process that upgrades the schema; tasks are traced by those of the pool.
        with traces(settings, "worker"):
            if not backstage.wait_until_ready():
                return 0
        backstage.on_stop(worker.stop)
        with watch.running():
            return worker.run()
