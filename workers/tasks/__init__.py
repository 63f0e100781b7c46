"""Work that Celery carries: bulk import."""
