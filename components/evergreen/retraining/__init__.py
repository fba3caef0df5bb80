"""The retraining branch of pipelines: train a challenger, compare it with the champion, and promote it if it is better."""
