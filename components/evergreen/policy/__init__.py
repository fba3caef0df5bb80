"""The retraining decision: combines all triggers into one decision with its reasons."""
