"""Backtests of retraining policies: history, replayed window by window."""
