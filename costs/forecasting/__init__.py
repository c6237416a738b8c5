"""Forecasts to the month's end and anomalies of daily spend.

`candidates`, `backtest`, `outliers` and `run` work with numbers only, in a process of their own (`python -m
costs.forecasting.run`): statsmodels, pandas and scipy must not reach web or worker processes. The rest reads the
ledger, stores what came back, and shows it.
"""
