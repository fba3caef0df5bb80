"""How the steps of a run say what they did."""
