"""doyen-graph."""
