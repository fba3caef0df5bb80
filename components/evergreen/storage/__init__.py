"""Where state lives: objects in folders and buckets, and the MLflow server."""
