"""doyen-data."""
