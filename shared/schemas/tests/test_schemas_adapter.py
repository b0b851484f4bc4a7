"""What a release may say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from doyen_schemas import ReleaseBase


def base(language_model: str) -> ReleaseBase:
    return ReleaseBase(
        source="wheel:none==1",
        weights_sha256="a" * 64,
        tokenizer_sha256="b" * 64,
        language_model=language_model,
    )


@pytest.mark.parametrize("path", ["", ".", "reviewer", "parts/reviewer"])
def test_a_language_model_stands_in_the_bundle(path: str) -> None:
    assert base(path).language_model == path


@pytest.mark.parametrize(
    "path", ["/etc", "..", "../other", "parts/../../other", "..\\other", "C:other", "a\0b"]
)
def test_a_language_model_outside_the_bundle_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="plain path inside the bundle"):
        base(path)
