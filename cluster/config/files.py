"""Which configuration files there are, and what they say together (interop/config.md, section 1)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.config.json_text import JsonObject, parse_configuration
from cluster.errors import ConfigurationError


def configuration_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files that `paths` stand for, in order: a folder is all its `*.json`, sorted, without its subfolders.

    Raises ConfigurationError naming a path that does not exist.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(entry for entry in path.glob("*.json") if not entry.is_dir())
        elif path.exists():
            files.append(path)
        else:
            raise ConfigurationError(str(path), "no such configuration file or folder")
    return tuple(files)


def read_files(files: Sequence[Path], environ: Mapping[str, str]) -> JsonObject:
    """The top-level keys of all files put together; they are not merged any deeper.

    Raises ConfigurationError for an unreadable file, a syntax error, and a key that two files give.
    """
    document: JsonObject = {}
    given_by: dict[str, Path] = {}
    for file in files:
        for key, value in parse_configuration(_text(file), str(file), environ).items():
            if key in given_by:
                raise ConfigurationError(key, f"given twice, in {given_by[key]} and in {file}")
            given_by[key] = file
            document[key] = value
    return document


def storage_base(paths: Sequence[Path]) -> Path:
    """The folder that relative paths in the configuration start from: that of the first configuration path.

    A symbolic link is not followed (Kubernetes mounts each file as one). Without any path: the working folder.
    """
    if not paths:
        return Path()
    first = paths[0].absolute()
    return first if first.is_dir() else first.parent


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as failure:
        problem = f"cannot be read: {failure.strerror}"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    raise ConfigurationError(str(file), problem)
