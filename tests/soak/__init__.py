"""What can be run for long: each module has `run(seconds, rng) -> dict of counts`, and raises at what must not happen."""
