"""Serving targets and the promotion, rollback and retirement of versions."""
