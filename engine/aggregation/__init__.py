"""Aggregates over many groups of rows at once.

A kernel takes `Groups`, then data columns of `groups.rows` elements, then plain Python options, and returns a
vector with one element per group. Moving, cumulative and row-wise functions are made of the same kernels.
"""
