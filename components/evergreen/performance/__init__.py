"""Performance monitoring: whether the champion still performs as well as when it was promoted."""
