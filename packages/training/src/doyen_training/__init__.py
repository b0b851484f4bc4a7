"""doyen-training."""
