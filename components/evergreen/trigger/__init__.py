"""A small HTTP service that turns events into runs: signed webhooks, Pub/Sub pushes, Alertmanager notifications, MLflow webhooks."""
