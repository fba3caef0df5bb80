"""Records of the steps of a run."""
