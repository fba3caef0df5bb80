"""User input: policy sections, numeric bounds, functions given by name, and shared command options."""
