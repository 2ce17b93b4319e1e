"""Many runs and their comparison: which settings to try, where the jobs run, what came of them.

A job is a `robsynth` command in a process and a directory of its own; joblib, submitit or Ray say where, Optuna says
with which settings where it is not a grid.
"""
