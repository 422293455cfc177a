"""What can be run for long: `python -m tests.soak`.

Each part is a module with `run(seconds, rng) -> Counter`; it raises at what must not happen. The suite runs the same
parts at a small size.
"""
