"""The laboratory: what a run is, how its stages are done, where it is logged, and many of them at once."""
