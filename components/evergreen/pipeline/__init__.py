"""Settings of every pipeline step, the executor that calls its code in an image, and local pipeline runs."""
