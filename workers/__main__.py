"""`python -m workers` is the same program as `orthanc-cluster`."""

from workers.cli import main

main()
