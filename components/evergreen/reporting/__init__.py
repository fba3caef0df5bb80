"""Reports that people read, and the record of a run."""
