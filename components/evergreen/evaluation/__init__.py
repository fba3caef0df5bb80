"""Challenger against champion on the same holdout."""
