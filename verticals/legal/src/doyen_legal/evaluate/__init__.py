"""Protocols that measure the pipeline."""
