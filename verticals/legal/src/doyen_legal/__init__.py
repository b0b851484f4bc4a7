"""doyen-legal."""
