"""Fitted models: their predictions, their files, and the types that may be loaded."""
