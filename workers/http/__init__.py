"""The HTTP door: health, metrics and Orthanc's REST routes."""

from workers.http.server import HttpServer

__all__ = ["HttpServer"]
