"""Backtests of retraining policies: replays history window by window."""
