"""Tables and artifacts on disk, columns, and values as JSON."""
