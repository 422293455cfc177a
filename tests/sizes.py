"""How often what is random or repeated is done: `make test` takes the small number, `.ci/run` the full one."""

import os

FULL = os.environ.get("FAILAWARE_TESTS") == "full"


def sized(small, full):
    """The number for this run."""
    return full if FULL else small
