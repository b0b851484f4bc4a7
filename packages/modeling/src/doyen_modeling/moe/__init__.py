"""Mixtures of experts: scores, selection, tuning of chosen experts or of routers, upcycling."""
