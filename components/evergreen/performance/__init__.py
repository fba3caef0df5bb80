"""Is the champion still as good as when it was promoted."""
