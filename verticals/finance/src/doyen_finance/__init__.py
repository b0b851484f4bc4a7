"""Doyen for finance: reports into checked statements, sentiment per entity, forecasts with a backtest, risk with reasons."""
