"""What answers wait for: the way to the database, and other senders."""
