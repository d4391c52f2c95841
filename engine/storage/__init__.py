"""Databases on disk: partitioned and dimension tables in segment files."""
