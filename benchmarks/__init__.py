"""Measurements of the agent and the engine, each beside what one would use instead. `python -m benchmarks [NAME…]`."""
