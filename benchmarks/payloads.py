"""Measures the processor time of one event before it is written, by its payload: `python -m benchmarks.payloads`.

Payloads as users have them, of about the same length as the usual one, and longer ones, each compared with a plain
one of its length.
"""

import json
import statistics
import time

from benchmarks.work import PAYLOAD_BYTES, payloads
from failaware.capture.record import Recorder
from failaware.capture.secrets.masking import Masker

_TEXT = "left at the gate, the neighbour has been told; "
_ORDER = {
    "order": {"lines": [{"sku": "A-1", "n": 2}, {"sku": "B-7", "n": 1}], "to": {"street": "Elm 4", "zip": "1011"}}
}
SHORT = {
    "usual": next(payloads(1)),
    "null": {"n": 1, "note": _TEXT * 3, "parent": None, "error": None},
    "nested": {**_ORDER, "customer": {"name": "Ann Lee", "since": 2019, "tags": ["new", "eu"]}, "note": _TEXT},
    "URL": {"url": "https://shop.example.com/orders/17/items?page=2&sort=asc", "note": _TEXT * 2},
    "mail": {"to": "ann.lee@example.com", "cc": ["bo@example.org"], "template": "welcome", "note": _TEXT * 2},
    "mail and URL": {"to": "ann@example.com", "url": "https://shop.example.com/orders/17", "note": _TEXT * 2},
    "uuid": {
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "parent": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "note": _TEXT,
    },
    "postcode": {"street": "Elm Street 4", "postcode": "1011 AB", "city": "Delft", "note": _TEXT * 2},
    "inside": {"note": "the parcel is inside the gate, outside the shed; " * 3, "side": "left", "considered": True},
    "author": {"author": "Ann Lee", "title": "On keys and keyboards", "authority": "none", "note": _TEXT},
    "session": {"session_length": 12, "sessions": 3, "passenger": "Ann Lee", "compass": "north", "note": _TEXT},
    "idempotency key": {"idempotency_key": "8f14e45f-17", "monkey": 1, "token_count": 12, "lines": [{"code": "A-1"}]},
    "time": {"at": "2026-11-20T10:03:00+00:00", "until": "2026-11-21", "phone": "+31 20 123 4567", "note": _TEXT},
    "path": {
        "path": "/data/in/2026/orders.csv",
        "rows": 1200,
        "sha": "3f2a9bc1d4e5",
        "command": "import orders",
        "note": _TEXT,
    },
}


def plain(length):
    """The usual payload with a text of another length."""
    usual = next(payloads(1))
    return {**usual, "note": (_TEXT * 5)[: max(0, length - len(json.dumps({**usual, "note": ""})))]}


def long(payload, size):
    """A list of copies of a payload, of about `size` bytes."""
    return {"rows": [payload] * max(1, size // len(json.dumps(payload)))}


def _microseconds(function, calls):
    times = []
    for _ in range(31):
        began = time.thread_time()
        for _ in range(calls):
            function()
        times.append((time.thread_time() - began) / calls * 1e6)
    return statistics.quantiles(times, n=10)[0]


def main():
    """Print a line for each payload."""
    recorder = Recorder(Masker())
    for size in (PAYLOAD_BYTES, 2_000, 20_000):
        for name, payload in SHORT.items():
            copies = (payload, plain(len(json.dumps(payload))))
            given, as_long = copies if size == PAYLOAD_BYTES else (long(each, size) for each in copies)
            length = len(json.dumps(given, separators=(",", ":")))
            calls = max(10, 100_000 // length)
            took, plainly = (
                _microseconds(lambda it=it: recorder.event("order.placed", it, now=0), calls) for it in (given, as_long)
            )
            print(f"{name:<16} {length:>7,} bytes {took:>8.1f} µs {took / plainly:>6.2f} × a plain one of this length")


if __name__ == "__main__":
    main()
