"""HTML reports and the record of a run."""
