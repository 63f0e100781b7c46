"""The role `housekeeping`: one process of the cluster keeps house, the others of this role stand by."""

import contextlib
import logging

from cluster.config import Settings
from cluster.ingest.intake import open_intake
from workers import metrics
from workers.backstage import Backstage
from workers.housekeeping import keeping_house
from workers.traces import traces

_LOG = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Stand for housekeeping until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the port of the probes cannot be had.
        SchemaMismatch, DatabaseRefused: the database will not do, and waiting would not change that.
    """
    with (
        traces(settings, "housekeeping"),
        Backstage(settings, "housekeeping", metrics.own_process) as backstage,
        contextlib.closing(open_intake(settings)) as intake,
    ):
        if backstage.wait_until_ready():
            with keeping_house(settings, intake.database, intake.storage):
                _LOG.info("orthanc-cluster housekeeping %s has started", settings.cluster.node_name)
                backstage.stopped.wait()
    _LOG.info("orthanc-cluster housekeeping %s has stopped", settings.cluster.node_name)
