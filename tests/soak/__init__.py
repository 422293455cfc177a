"""What can be run for long: each module has `run(seconds, rng) -> dict of counts`; it raises where a promise breaks."""
