"""Fitted models: what they predict, their files, and what may be loaded."""
