"""Sentiment of a text and of each entity in it: ``analyse(text)``."""

from doyen_finance.sentiment.analysis import Analysis, Entity, Sentence, Sentiment, analyse

__all__ = ["Analysis", "Entity", "Sentence", "Sentiment", "analyse"]
