"""Quality of predictions and its uncertainty: scorers, resampling and slices."""
