"""doyen-runtime."""
