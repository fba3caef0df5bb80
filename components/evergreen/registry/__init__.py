"""MLflow versions and aliases, and the promotion ledger."""
