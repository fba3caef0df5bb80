"""Secret values: where they come from, and what keeps them out of everything that is written."""
