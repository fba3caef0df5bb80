"""Search for hyperparameters: candidates, their scores, and the same divided among parallel steps."""
