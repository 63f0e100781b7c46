"""ZIP archives of resources, as they are sent by a node and as a job leaves them behind."""
