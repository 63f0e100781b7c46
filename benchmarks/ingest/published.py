"""Numbers of a system that cannot be had from packages: Orthanc 1.13 with plugin 10.3, not measured in these runs.

They were measured on two cores with PostgreSQL on the same machine, for the issue that asked for these benchmarks.
"""

SYSTEM = "Orthanc 1.13 + plugin 10.3, not in this run"

CSTORE = {("30 KB", 1): 143.0, ("30 KB", 8): 285.0, ("30 KB", 16): 241.0, ("526 KB", 16): 171.0}
"""Instances a second by size and number of senders, TCP_NODELAY=1 on both sides."""

CSTORE_NAGLE = {1: 10.7, 8: 85.0, 16: 152.0}
"""Instances of 30 KB a second by number of senders: as shipped, senders with DCMTK's default socket options."""

HTTP = {"30 KB": 243.0, "526 KB": 186.0}
"""Instances a second from 8 clients, by size."""

HTTP_P99_MILLISECONDS = {"30 KB": 105.0}

CPU_MILLISECONDS = (4.7, 5.9)
"""Of Orthanc and PostgreSQL together for an instance of 30 KB: least and most."""
