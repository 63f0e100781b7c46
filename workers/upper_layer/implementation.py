"""How this implementation names itself in association negotiation (PS3.7 annex D.3.3.2)."""

from pynetdicom.pdu_primitives import ImplementationVersionNameNotification

from cluster.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
"""The DICOM application context (PS3.7 annex A.2.1)."""

CLASS_UID = IMPLEMENTATION_CLASS_UID


def version_name() -> ImplementationVersionNameNotification:
    """Return the version name as the item of user information that it is."""
    item = ImplementationVersionNameNotification()
    item.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return item
