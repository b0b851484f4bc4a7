"""The report as JSON, and the JSON Schema that it follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from doyen_schemas import Report

SCHEMA_FILE: Final = Path(__file__).with_name("report.schema.json")


def as_json(report: Report) -> bytes:
    """The report as UTF-8 JSON, indented; ``schema_version`` names its schema."""
    return report.model_dump_json(indent=1).encode() + b"\n"


def json_schema() -> str:
    """The JSON Schema (2020-12) of a report; ``report.schema.json`` is this, published."""
    schema = Report.model_json_schema(mode="serialization")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:doyen:report:{Report.model_fields['schema_version'].default}",
        **schema,
    }
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
