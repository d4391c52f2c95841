"""Statistics: distributions, tests, regressions, fits."""
