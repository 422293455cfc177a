"""What the tests of the worker share."""

import time

from failaware import Handlers, Worker


def eventually(condition, timeout=20):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def handlers_of(function, pattern="*", **options):
    handlers = Handlers()
    handlers.on(pattern, **options)(function)
    return handlers


def run(store, function, **options):
    Worker(store, handlers_of(function, **options)).run(until_idle=True, patience=0)
