"""Runs in stages: each is done once, and a run that was killed goes on after the last that was."""
