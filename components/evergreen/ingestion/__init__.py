"""Where data comes from: one window of events as a dataset."""
