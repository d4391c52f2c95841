"""Bonds, yield curves and risk."""
