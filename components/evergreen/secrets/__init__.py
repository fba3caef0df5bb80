"""Secret values: where they are read from, and how they are kept out of all output."""
