"""One file a command; each has `run(config)`, which returns what goes to stdout as JSON."""
