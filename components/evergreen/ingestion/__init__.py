"""Data ingestion: reads one window of events from a source as a dataset."""
