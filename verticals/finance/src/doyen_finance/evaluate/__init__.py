"""One module a protocol of ``doyen finance evaluate``: ``evaluate_file(data, limit)`` gives the figures as JSON-able data."""
