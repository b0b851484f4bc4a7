"""The extractor: sentence heads, BiLSTM-CRF over four label layers and n-gram heads, combined by a scorer."""

from doyen_legal.extract.types import Clause, Extraction

__all__ = ["Clause", "Extraction"]
