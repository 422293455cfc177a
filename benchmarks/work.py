"""The workload of every system: payloads, handlers that succeed or fail, and the interface."""

import json
from collections import Counter
from typing import Protocol

EVENT_TYPE = "payment.capture"
FAILS = 0.3
"""The share of attempts that fail in workloads with failures; each event is retried until it succeeds."""

PAYLOAD_BYTES = 200


class System(Protocol):
    """A system that records and processes events. Opened by `System(folder, synchronous)`."""

    def record(self, payload):
        """Record one event; durable when it returns."""

    def record_many(self, payloads):
        """Record them in bulk; durable when it returns."""

    def work(self, handler):
        """Call handler(payload) for every due event, and again for failed ones, until none is left."""

    def close(self):
        """Close its connections."""


def payloads(count, first=0):
    """`count` payloads of about PAYLOAD_BYTES of JSON each, all different."""
    note = "left at the gate, the neighbour has been told; " * 3
    for n in range(first, first + count):
        yield {"n": n, "order": f"order-{n * 7919 % 1_000_003}", "amount": n % 997 + 0.25, "note": note, "tries": 0}


def as_json(payload):
    """The JSON text of a payload."""
    return json.dumps(payload, separators=(",", ":"))


def succeed(_payload):
    """A handler that always succeeds."""


class Failing:
    """A handler that fails in a share of its attempts, five frames deep, and counts attempts and failures."""

    def __init__(self, share=FAILS):
        self._below = 1_000 * share
        self.attempts = Counter()
        self.failures = 0

    def __call__(self, payload):
        n = payload["n"]
        self.attempts[n] += 1
        if (n * 7919 + self.attempts[n] * 104_729) % 1_000 < self._below:
            self.failures += 1
            _validate(n, self.attempts[n])


def _validate(n, attempt):
    _connect(n, attempt)


def _connect(n, attempt):
    _send(n, attempt)


def _send(n, attempt):
    _refused(n, attempt)


def _refused(n, attempt):
    raise ConnectionError(f"gateway {n % 4} refused order {n + attempt} after {n % 97} ms")
