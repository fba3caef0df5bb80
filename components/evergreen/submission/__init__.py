"""Submit pipelines to Kubeflow Pipelines: upload them, start and follow runs, and schedule them."""
