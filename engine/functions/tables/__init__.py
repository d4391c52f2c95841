"""Functions that make, join and change tables."""
