"""State storage: objects in folders and buckets, and the MLflow server."""
