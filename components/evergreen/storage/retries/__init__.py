"""Transient faults: how they are recognized, and how requests are retried."""
