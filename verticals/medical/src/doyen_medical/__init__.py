"""Doyen for medicine: a ranked, explained differential of rare diseases, on a CPU, offline."""
