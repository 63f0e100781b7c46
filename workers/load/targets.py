"""Doors of an archive: DICOM, Orthanc's REST API, or STOW-RS."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from cluster.errors import ConfigurationError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """Where instances are sent to; without `url` it is a DICOM door."""

    host: str
    port: int
    url: str = ""
    """Base address of an HTTP door, without a slash at its end."""
    stow: bool = False
    """The HTTP door is a DICOMweb service (PS3.18 section 10.5), not Orthanc's REST API."""

    def __str__(self) -> str:
        if self.url:
            return f"stow+{self.url}" if self.stow else self.url
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_targets(text: str) -> tuple[Target, ...]:
    """Read targets separated by commas: ``HOST:PORT`` (an IPv6 address stands in brackets), ``http://HOST:PORT`` or
    ``https://…`` for Orthanc's REST API, ``stow+http://HOST:PORT/dicom-web``. Raises ConfigurationError."""
    return tuple(_parse_target(part.strip()) for part in text.split(","))


def parse_archive(text: str) -> Target:
    """Read where an archive is asked: ``http://HOST:PORT`` for Orthanc's REST API, ``dicom://HOST:PORT`` for C-FIND and
    C-GET. Raises ConfigurationError."""
    if text.startswith("dicom://"):
        return _parse_target(text.removeprefix("dicom://"), "--archive")
    if not text.startswith(("http://", "https://")):
        raise ConfigurationError(
            "--archive", f"{text!r} is not http://HOST:PORT, https://HOST:PORT or dicom://HOST:PORT"
        )
    return _parse_target(text, "--archive")


def _parse_target(text: str, option: str = "--target") -> Target:
    if "://" in text:
        return _parse_url(text, option)
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not (colon and host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ConfigurationError(option, f"{text!r} is not HOST:PORT")
    if ":" in host and not bracketed:
        raise ConfigurationError(option, f"{text!r}: an IPv6 address stands in brackets, [::1]:4242")
    return Target(host[1:-1] if bracketed else host, int(port))


def _parse_url(text: str, option: str) -> Target:
    stow = text.startswith("stow+")
    try:
        url = urlsplit(text.removeprefix("stow+"))
        port = url.port or _PORTS[url.scheme]
    except (ValueError, KeyError):
        raise ConfigurationError(option, f"{text!r} is not http://HOST:PORT or https://HOST:PORT") from None
    if not url.hostname or url.query or url.fragment:
        raise ConfigurationError(option, f"{text!r} is not the address of a server")
    if url.username or url.password:
        raise ConfigurationError(option, "holds a name or password, which others would see: say --http-user")
    return Target(url.hostname, port, f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}", stow)
