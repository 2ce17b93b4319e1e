"""Training of classifiers, and accuracy with and without an adversary."""
