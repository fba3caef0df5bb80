"""Hyperparameter search: candidates and their scores, in one step or divided among parallel steps."""
