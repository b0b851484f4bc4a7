"""Report PDFs to statements: every number with its page, box, row, column, period, unit and scale."""
