"""Forecasts of time series: naive models, DLinear and a patch transformer, with conformal intervals and backtests."""
