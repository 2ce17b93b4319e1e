"""Rivals that are trained on the same images."""
