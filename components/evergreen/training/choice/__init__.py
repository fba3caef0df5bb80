"""Chooses what a challenger learns from after the relation between inputs and label may have changed."""
