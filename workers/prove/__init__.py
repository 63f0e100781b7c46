"""`orthanc-cluster prove`: a cluster, histories of clients, faults, and a checker that judges (README.md)."""
