"""Training of challengers: preprocessing and fitting."""
