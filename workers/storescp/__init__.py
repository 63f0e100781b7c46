"""The DIMSE door: C-ECHO and C-STORE as SCP."""

from workers.storescp.listener import StoreScp

__all__ = ["StoreScp"]
