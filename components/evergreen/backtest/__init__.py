"""What would a policy have done: history, replayed window by window."""
