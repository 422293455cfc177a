"""The same work for everyone: what is recorded, the handlers that succeed or fail, and how a store is used."""

import json
from collections import Counter
from typing import Protocol

EVENT_TYPE = "payment.capture"
FAILS = 0.3
"""The part of the attempts that fails, where they do; an event fails again until it succeeds."""

PAYLOAD_BYTES = 200


class System(Protocol):
    """Whoever can record and apply: the minimum, a peer, or failaware. Opened by `System(folder, synchronous)`."""

    def record(self, payload):
        """Record one event; durable when it returns."""

    def record_many(self, payloads):
        """Record them in bulk; durable when it returns."""

    def work(self, handler):
        """Call handler(payload) for all that is due, and again for what failed, until nothing is left."""

    def close(self):
        """Close whatever is open."""


def payloads(count, first=0):
    """`count` payloads of about PAYLOAD_BYTES of JSON each, all different."""
    note = "left at the gate, the neighbour has been told; " * 3
    for n in range(first, first + count):
        yield {"n": n, "order": f"order-{n * 7919 % 1_000_003}", "amount": n % 997 + 0.25, "note": note, "tries": 0}


def as_json(payload):
    """The JSON text of a payload."""
    return json.dumps(payload, separators=(",", ":"))


def succeed(_payload):
    """The handler of which every attempt succeeds."""


class Failing:
    """A handler of which 30 % of the attempts fail, five frames deep; counts both kinds."""

    def __init__(self):
        self.tries = Counter()
        self.failures = 0

    def __call__(self, payload):
        n = payload["n"]
        self.tries[n] += 1
        if (n * 7919 + self.tries[n] * 104_729) % 1_000 < 1_000 * FAILS:
            self.failures += 1
            _validate(n, self.tries[n])


def _validate(n, tries):
    _connect(n, tries)


def _connect(n, tries):
    _send(n, tries)


def _send(n, tries):
    _refused(n, tries)


def _refused(n, tries):
    raise ConnectionError(f"gateway {n % 4} refused order {n + tries} after {n % 97} ms")
