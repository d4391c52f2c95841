"""Numerical methods, mostly those of scipy and Clarabel, which are imported at the first use."""
