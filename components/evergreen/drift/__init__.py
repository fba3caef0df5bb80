"""Drift detection: whether the inputs changed, by how much, and in which features."""
