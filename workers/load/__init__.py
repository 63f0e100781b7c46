"""The load generator: synthetic studies from many senders, and proof that nothing acknowledged was lost."""
