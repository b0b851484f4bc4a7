"""Codes of a disease in other systems, each flagged exact, broader or narrower, from the maps that the user built."""
