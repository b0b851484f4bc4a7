"""The report as JSON, the JSON Schema that it follows, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from doyen_medical.report.model import MedicalReport
from doyen_schemas import DoyenError

SCHEMA_FILE: Final = Path(__file__).with_name("report.schema.json")
_LARGEST: Final = 50_000_000


def as_json(report: MedicalReport) -> bytes:
    """The report as UTF-8 JSON, indented; ``schema_version`` names its schema."""
    return report.model_dump_json(indent=1).encode() + b"\n"


def json_schema() -> str:
    """The JSON Schema (2020-12) of a report; ``report.schema.json`` is this, published."""
    schema = MedicalReport.model_json_schema(mode="serialization")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:doyen:medical-report:{MedicalReport.model_fields['schema_version'].default}",
        **schema,
    }
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def read_report(path: Path) -> MedicalReport:
    """A report that was written before. Raises MED-080 for what is none."""
    hint = "Name a report.json of doyen medical report; doyen medical schema prints its schema."
    try:
        content = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
        return MedicalReport.model_validate_json(content)
    except OSError as error:
        raise DoyenError("MED-080", f"the report {path} cannot be read ({error.strerror}).", hint) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DoyenError(
            "MED-080", f"{path.name} is no report of schema version 1: {where}: {first['msg'][:120]}.", hint
        ) from error
