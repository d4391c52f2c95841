"""Ordered columns: windows, neighbours, ranks, rows, and aggregates of them."""
