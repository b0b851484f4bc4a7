"""Metrics with confidence intervals, figures and model cards. Import the module that you need:

``doyen_evaluation.spans``, ``.classification``, ``.figures`` (matplotlib, on use), ``.cards`` (jinja2, on use).
"""
