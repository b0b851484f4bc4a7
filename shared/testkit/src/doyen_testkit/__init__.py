"""doyen-testkit."""
