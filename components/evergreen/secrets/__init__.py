"""Secret values: reading them, and keeping them out of all output."""
