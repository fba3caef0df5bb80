"""Serving targets and the promotion that moves them."""
