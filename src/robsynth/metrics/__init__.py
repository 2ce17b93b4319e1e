"""Measuring sets and pairs of images under named protocols."""
