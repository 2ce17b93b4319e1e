"""The stages that commands are lists of, by what they do."""
