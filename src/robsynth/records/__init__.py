"""What is kept of a run: one JSON, with everything that a figure needs to be trusted."""
