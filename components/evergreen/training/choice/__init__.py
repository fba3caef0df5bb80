"""Chooses what a challenger learns from when the relation between inputs and label may have changed."""
