"""Measurements, no part of the test verdict. `python -m benchmarks` prints ratios against plain sqlite3 of one run."""
