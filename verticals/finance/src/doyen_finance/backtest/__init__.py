"""A backtest that does not lie: point-in-time members, walk-forward refits, costs and limits, and audits for leaks."""
