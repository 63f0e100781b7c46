"""Log lines of a process, on standard error."""

import logging
from importlib.metadata import version

from cluster.config import Settings, describe

_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(process)d %(threadName)s: %(message)s"


def set_up_logging(*, verbose: bool = False) -> None:
    """One line per record, UTC-free local time; libraries only from WARNING on."""
    logging.basicConfig(level=logging.WARNING, format=_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    for package in ("cluster", "workers"):
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.INFO)
    # Our own log says what became of a transaction; the pool's view of it would only double that.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def log_configuration(settings: Settings) -> None:
    """The first lines of a node's log: version, configuration files, index, storage area.

    Raises:
        ConfigurationError: there is no PostgreSQL index to write to.
    """
    log = logging.getLogger(__name__)
    log.info("orthanc-cluster version: %s", version("orthanc-cluster"))
    for line in describe(settings):
        log.info("%s", line)
    settings.postgresql.conninfo()
