"""A dataset in numbers: read once, kept small, merged exactly, stored and compared."""
