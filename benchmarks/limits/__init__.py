"""What the parts of ingest cost alone, each against the least that the machine needs for the same result."""
