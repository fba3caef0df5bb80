"""A small HTTP service that starts runs from events: signed webhooks, Pub/Sub pushes, Alertmanager notifications and MLflow webhooks."""
