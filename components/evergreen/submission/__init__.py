"""Hand pipelines to Kubeflow Pipelines: upload them, start runs, follow them, schedule them."""
