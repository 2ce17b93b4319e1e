"""Image synthesis with a single robust classifier: reproduce, measure and extend."""

__version__ = "0.1.0"
