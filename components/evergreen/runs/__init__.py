"""Records of what the steps of a run did."""
