"""Tables and artifacts on disk, columns, and JSON values."""
