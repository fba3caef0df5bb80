"""Did the inputs change, how much, and in which features."""
