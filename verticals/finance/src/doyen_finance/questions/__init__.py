"""Questions over reports: a tuned selector chooses cells or a span and an operation, a calculator computes."""
