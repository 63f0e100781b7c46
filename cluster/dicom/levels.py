"""The four levels of Orthanc's resource tree."""

from enum import IntEnum


class Level(IntEnum):
    """Level of a resource; the numbers are those of ``Resources.resourceType`` in PostgreSQL.

    Source: interop/enumerations.md, "Resource types". Orthanc's core counts from 1, its PostgreSQL tables from 0.
    """

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    INSTANCE = 3
