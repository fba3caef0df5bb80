"""The data contract: infer it, check it, say what breaks it."""
