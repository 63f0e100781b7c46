"""A real Orthanc with its PostgreSQL index as a system under load, on a database and a folder of its own."""

import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from benchmarks.ingest.senders import NotInstalled
from benchmarks.ingest.system import System, new_database
from workers.local.ports import free_ports
from workers.local.postgresql import LocalPostgreSQL
from workers.local.processes import ManagedProcess

READY_SECONDS = 60
_PATH = f"{os.defpath}:/usr/sbin:/usr/local/sbin"
_PLUGINS = ("usr/share/orthanc/plugins", "usr/local/share/orthanc/plugins", "usr/lib/orthanc")
_PLUGIN = "libOrthancPostgreSQLIndex.so*"


@dataclass(frozen=True, slots=True)
class OrthancFiles:
    """An installation: how it is started, its plugin, what it needs in its environment."""

    command: Sequence[str]
    index_plugin: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def version(self) -> str:
        """As the program tells it."""
        answer = subprocess.run(
            [*self.command, "--version"], env=dict(self.environment), capture_output=True, text=True
        )
        return answer.stdout.splitlines()[0].split()[-1]


def find_orthanc(*, root: Path | None = None, program: Path | None = None, plugin: Path | None = None) -> OrthancFiles:
    """The installation to compare with: this machine's unless told otherwise.

    Args:
        root: the root folder of another distribution (as `debootstrap` makes it) that has Orthanc installed; it runs
            with the libraries of that folder.
        program: any Orthanc.
        plugin: any PostgreSQL index plugin.

    Raises:
        NotInstalled: program or plugin are not there.
    """
    top = root or Path("/")
    found = program or _program(root)
    plugins = [plugin] if plugin else [path for folder in _PLUGINS for path in sorted((top / folder).glob(_PLUGIN))]
    if found is None or not found.is_file():
        raise NotInstalled("Orthanc")
    if not plugins or not plugins[0].is_file():
        raise NotInstalled("Orthanc's plugin for an index in PostgreSQL")
    if root is None:
        return OrthancFiles([str(found)], plugins[0])
    return OrthancFiles([*_loader(root), str(found)], plugins[0], _dictionary(root))


def _program(root: Path | None) -> Path | None:
    if root is not None:
        return root / "usr/sbin/Orthanc"
    path = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:{_PATH}")
    return Path(path) if path else None


def _loader(root: Path) -> list[str]:
    """The dynamic loader of that root, told to take libraries from there and nowhere else."""
    loaders = sorted({*root.glob("lib64/ld-linux-*.so.*"), *root.glob("lib/ld-linux-*.so.*")})
    if not loaders:
        raise NotInstalled(f"a dynamic loader in {root}")
    libraries = [*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu"), root / "usr/lib"]
    return [str(loaders[0]), "--library-path", ":".join(map(str, libraries))]


def _dictionary(root: Path) -> dict[str, str]:
    files = sorted(root.glob("usr/share/*dcmtk*/*.dic"))
    wanted = [file for file in files if file.name in ("dicom.dic", "private.dic")]
    return {"DCMDICTPATH": ":".join(map(str, wanted))} if wanted else {}


@contextmanager
def orthanc(
    server: LocalPostgreSQL,
    files: OrthancFiles,
    *,
    no_delay: bool = True,
    seen_by_orthanc: str | None = None,
    **options: Any,
) -> Iterator[System]:
    """An Orthanc that answers; all is gone after the block.

    Args:
        no_delay: TCP_NODELAY=1 in its environment, otherwise as it is shipped.
        seen_by_orthanc: ``host:port`` under which it reaches the server, as that of a proxy.
        options: further top-level keys of its configuration.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orthanc-")))
        uri = stack.enter_context(new_database(server))
        dicom_port, http_port = free_ports(2)
        configuration = folder / "orthanc.json"
        configuration.touch(mode=0o600)
        configuration.write_text(
            json.dumps(_document(folder, files, uri, dicom_port, http_port, seen_by_orthanc) | options)
        )
        environment = {
            "PATH": _PATH,
            "LC_ALL": "C.UTF-8",
            **files.environment,
            **({"TCP_NODELAY": "1"} if no_delay else {}),
        }
        process = ManagedProcess(
            "Orthanc", [*files.command, str(configuration)], log_path=folder / "orthanc.log", env=environment
        )
        process.start()
        stack.callback(process.terminate)
        http = f"http://127.0.0.1:{http_port}"
        process.wait_ready(lambda: _get(f"{http}/system") is not None, READY_SECONDS)
        versions = {"Orthanc": files.version(), "PostgreSQL plugin": _plugin_version(http)}
        name = f"Orthanc {versions['Orthanc']} + plugin {versions['PostgreSQL plugin']}"
        addresses = [f"127.0.0.1:{dicom_port}"], [http]
        yield System(name, *addresses, [process], server, uri, folder / "storage", configuration, versions)


@contextmanager
def plain_orthanc(files: OrthancFiles) -> Iterator[tuple[str, str]]:
    """An Orthanc without plugins, on its own SQLite index: its DICOM door and its address."""
    with tempfile.TemporaryDirectory(prefix="orthanc-") as name:
        folder = Path(name)
        dicom_port, http_port = free_ports(2)
        configuration = folder / "orthanc.json"
        document = {
            "Name": "benchmark",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "DicomPort": dicom_port,
            "HttpPort": http_port,
            "AuthenticationEnabled": False,
        }
        configuration.write_text(json.dumps(document))
        environment = {"PATH": _PATH, "LC_ALL": "C.UTF-8", **files.environment, "TCP_NODELAY": "1"}
        process = ManagedProcess(
            "Orthanc", [*files.command, str(configuration)], log_path=folder / "orthanc.log", env=environment
        )
        process.start()
        try:
            http = f"http://127.0.0.1:{http_port}"
            process.wait_ready(lambda: _get(f"{http}/system") is not None, READY_SECONDS)
            yield f"127.0.0.1:{dicom_port}", http
        finally:
            process.terminate()


def _document(
    folder: Path, files: OrthancFiles, uri: str, dicom_port: int, http_port: int, seen: str | None
) -> dict[str, object]:
    database = conninfo_to_dict(uri)
    host, _, port = (seen or f"{database['host']}:{database['port']}").rpartition(":")
    return {
        "Name": "benchmark",
        "StorageDirectory": str(folder / "storage"),
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "AuthenticationEnabled": False,
        "Plugins": [str(files.index_plugin)],
        "PostgreSQL": {
            "EnableIndex": True,
            "EnableStorage": False,
            "Host": host,
            "Port": int(port),
            "Database": database["dbname"],
            "Username": database["user"],
            "Password": database["password"],
        },
    }


def _plugin_version(http: str) -> str:
    answer = _get(f"{http}/plugins/postgresql-index")
    return str(answer["Version"]) if answer else "unknown"


def _get(url: str) -> dict[str, object] | None:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return json.loads(answer.read())  # type: ignore[no-any-return]
    except OSError:
        return None
