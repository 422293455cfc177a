"""Benchmarks, separate from the tests. `python -m benchmarks` compares failaware with plain sqlite3 in one run."""
