"""Drift, performance and decision in one step, for those who pay by the pod."""
