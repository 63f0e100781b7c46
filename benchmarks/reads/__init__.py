"""How long routes that read take on a large index."""
