"""A small C-STORE and C-ECHO SCU."""

from workers.storescu.association import Association
from workers.upper_layer.failures import AssociationEnded, AssociationRejected, NotNegotiated

__all__ = ["Association", "AssociationEnded", "AssociationRejected", "NotNegotiated"]
