"""Log lines of a process, on standard error."""

import logging

_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(process)d %(threadName)s: %(message)s"


def set_up_logging(*, verbose: bool = False) -> None:
    """One line per record, UTC-free local time; libraries only from WARNING on."""
    logging.basicConfig(level=logging.WARNING, format=_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    for package in ("cluster", "workers"):
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.INFO)
    # Our own log says what became of a transaction; the pool's view of it would only double that.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
