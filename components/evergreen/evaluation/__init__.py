"""Comparison of challenger and champion on the same holdout."""
