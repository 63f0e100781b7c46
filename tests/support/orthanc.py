"""A real Orthanc on the tests' PostgreSQL, where the machine has one."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
from psycopg.conninfo import conninfo_to_dict

from tests.support.servers import skip_or_fail
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess

_SBIN = "/usr/sbin:/usr/local/sbin"
"""Where packages put the program, and what an ordinary user's PATH lacks."""

_PLUGIN_FOLDERS = ("/usr/share/orthanc/plugins", "/usr/local/share/orthanc/plugins", "/usr/lib/orthanc")


@dataclass(frozen=True)
class OrthancFiles:
    """The program, and its plugin for an index in PostgreSQL."""

    program: Path
    index_plugin: Path
    storage_plugin: Path | None = None
    """If attachments shall be in PostgreSQL too."""


def orthanc_files(storage: bool = False) -> OrthancFiles:
    """What is installed; skips the test where something is missing. `storage`: with the plugin for attachments."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path=_SBIN)
    if program is None:
        skip_or_fail("orthanc", "Orthanc")
    plugins = [path for folder in _PLUGIN_FOLDERS for path in Path(folder).glob("libOrthancPostgreSQLIndex.so*")]
    if not plugins:
        skip_or_fail("orthanc", "Orthanc's plugin for PostgreSQL")
    storage_plugins = list(plugins[0].parent.glob("libOrthancPostgreSQLStorage.so*"))
    if storage and not storage_plugins:
        skip_or_fail("orthanc", "Orthanc's plugin for attachments in PostgreSQL")
    return OrthancFiles(Path(program), plugins[0], storage_plugins[0] if storage else None)


class OrthancProcess:
    """Orthanc on free ports. Context manager: it answers inside, is gone after, and can be entered again.

    `configuration` is its file, which is good for a node of ours too. Without a `database_uri` its index is in SQLite.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        files: OrthancFiles,
        database_uri: str | None,
        storage_directory: Path,
        *,
        lock: bool = False,
    ) -> None:
        dicom_port, http_port = free_ports(2)
        self.url = f"http://127.0.0.1:{http_port}"
        self.configuration = folder / f"{name}.json"
        document: dict[str, Any] = {
            "Name": name,
            "StorageDirectory": str(storage_directory),
            "HttpPort": http_port,
            "DicomPort": dicom_port,
            "RemoteAccessAllowed": True,
            "AuthenticationEnabled": False,
            "OverwriteInstances": False,
            "Plugins": [],
        }
        if database_uri is not None:
            database = conninfo_to_dict(database_uri)
            plugins = (files.index_plugin, files.storage_plugin)
            document["Plugins"] = [str(path) for path in plugins if path is not None]
            document["PostgreSQL"] = {
                "EnableIndex": True,
                "EnableStorage": files.storage_plugin is not None,
                "Lock": lock,
                "Host": database["host"],
                "Port": int(database["port"]),
                "Database": database["dbname"],
                "Username": database["user"],
                "Password": database["password"],
            }
        self.configuration.write_text(json.dumps(document), "utf-8")
        self._name = name
        self._process = ManagedProcess(name, [files.program, self.configuration], log_path=folder / f"{name}.log")

    def _answers(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/system", timeout=2, trust_env=False)
        except httpx.TransportError:
            return False
        # Another server may have taken the port.
        return answer.status_code == 200 and answer.json()["Name"] == self._name

    def __enter__(self) -> Self:
        self._process.start()
        try:
            self._process.wait_ready(self._answers, 60)
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
