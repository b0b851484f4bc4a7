"""doyen-modeling."""
