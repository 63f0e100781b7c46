"""Large objects that no row names, as PostgreSQL's own program counts them."""

import os
import re
import shutil
import subprocess

from psycopg.conninfo import conninfo_to_dict

from workers.local import postgresql_binaries


def orphaned_objects(uri: str) -> int:
    """How many `vacuumlo -n` would remove."""
    program = postgresql_binaries.find().program("vacuumlo")
    found = str(program) if program.exists() else shutil.which("vacuumlo")
    assert found is not None, "PostgreSQL without its vacuumlo"
    parts = conninfo_to_dict(uri)
    place = ["-h", str(parts["host"]), "-p", str(parts["port"]), "-U", str(parts["user"]), str(parts["dbname"])]
    environment = os.environ | {"PGPASSWORD": str(parts.get("password", ""))}
    ended = subprocess.run([found, "-n", "-v", *place], capture_output=True, text=True, check=True, env=environment)
    told = re.search(r"Would remove (\d+) large objects", ended.stdout)
    assert told, ended.stdout + ended.stderr
    return int(told[1])
