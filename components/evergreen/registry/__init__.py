"""MLflow model versions and aliases, and the promotion ledger."""
