"""The role `worker`: bulk imports by Celery, behind a gate and with probes.

Imported once metrics are shared: the pool's processes count too.
"""

from cluster.config import Settings
from workers import metrics
from workers.backstage import Backstage
from workers.tasks.watch import Watch
from workers.tasks.worker import Worker
from workers.traces import traces


def serve(settings: Settings, processes: int) -> int:
    """Work until SIGTERM or SIGINT; the exit status.

    Raises:
        ConfigurationError: the port of the probes cannot be had.
        SchemaMismatch, DatabaseRefused: the database will not do, and waiting would not change that.
    """
    worker = Worker(settings, processes=processes, in_child=lambda: backstage.forget_in_child())
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
