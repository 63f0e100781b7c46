"""Jobs of the whole cluster: their state in PostgreSQL, who works on which, and what people may do to them."""
