"""doyen-documents."""
