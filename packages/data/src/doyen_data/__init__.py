"""Training records: schema, JSON lines, digests, sampling, group split and token lengths."""

from doyen_data.lengths import LengthReport, length_report
from doyen_data.records import (
    Message,
    Record,
    dataset_digest,
    read_records,
    sample,
    split_groups,
    write_records,
)

__all__ = [
    "LengthReport", "Message", "Record", "dataset_digest", "length_report", "read_records", "sample",
    "split_groups", "write_records",
]  # fmt: skip
