"""doyen-evaluation."""
