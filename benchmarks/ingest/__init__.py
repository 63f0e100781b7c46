"""What the ingest benchmarks have in common: a load, the systems that receive it, and what it cost them."""
