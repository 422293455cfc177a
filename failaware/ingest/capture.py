"""Temporary."""

from failaware.model import Failure


def describe(error, *, masker=None):
    return Failure(type(error).__name__, str(error), "Traceback (most recent call last):\n x")


MAX_MESSAGE = 8192
MAX_TRACEBACK = 65536
