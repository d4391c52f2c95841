"""Databases, their tables and parts: kept, listed, read in parts, backed up."""
